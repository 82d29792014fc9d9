"""Fingerprints: what a result is told by, whatever the time stamps of files say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def fingerprint(content: Any) -> str:
    """SHA-256 (hexadecimal) of any JSON-like content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
