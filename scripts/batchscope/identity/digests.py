"""Fingerprints: what a result is told by, whatever the time stamps of files say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SEAL = "<!-- sha256 {} -->\n"


def fingerprint(content: Any) -> str:
    """SHA-256 (hexadecimal) of any JSON-like content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON-like content with its fingerprint as the key `digest`."""
    return {**content, "digest": fingerprint(content)}


def unsealed(text: str | bytes) -> dict[str, Any] | None:
    """What `sealed` was given, from its JSON; None where that is no longer what was written."""
    try:
        content = json.loads(text)
        whole = content.pop("digest") == fingerprint(content)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return content if whole else None


def sealed_markup(text: str) -> str:
    """A drawing or page with the SHA-256 of its text as a last line, a comment."""
    return text + _SEAL.format(hashlib.sha256(text.encode()).hexdigest())


def is_sealed_markup(content: bytes) -> bool:
    """Whether a drawing or page is what `sealed_markup` made."""
    size = len(_SEAL.format("0" * 64))
    return content[-size:] == _SEAL.format(hashlib.sha256(content[:-size]).hexdigest()).encode()


def file_sha256(path: str | Path) -> str:
    """SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
