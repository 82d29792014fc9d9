"""What a part of the check has found: rows of a file, each written as soon as it is there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Check:
    """A number and what is valid for it; `passed` is None where the number was not measured."""

    what: str
    found: float | None
    valid: str
    passed: bool | None


def between(what: str, found: float | None, low: float | None = None, high: float | None = None) -> Check:
    """A number that is valid from `low` to `high`; either may be missing."""
    ends = [f"{word} {end:.4g}" for word, end in (("at least", low), ("at most", high)) if end is not None]
    passed = None if found is None else (low is None or found >= low) and (high is None or found <= high)
    return Check(what, found, " and ".join(ends), None if passed is None else bool(passed))


def equal(what: str, differing: int | None) -> Check:
    """A number of things that differ and should not, or a status that should be 0."""
    return Check(what, differing, "0", None if differing is None else differing == 0)


class Rows:
    """The file that all parts append to; a reader finds in it what was there before a part was cut."""

    def __init__(self, file: str, part: str) -> None:
        self._file, self._part = Path(file), part

    def add(
        self,
        name: str,
        found: Mapping[str, Any],
        checks: Sequence[Check] = (),
        missing: Mapping[str, str] | None = None,
    ) -> None:
        """Append what was found under a name, the checks of it, and a sentence for what could not be measured."""
        row = {
            "part": self._part,
            "name": name,
            "found": found,
            "checks": [dataclasses.asdict(check) for check in checks],
            "missing": dict(missing or {}),
        }
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """What JSON has for a number or an array of NumPy's."""
    return np.asarray(value).tolist()
