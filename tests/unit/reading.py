"""What a sentence tells: its numbers, whatever the words around them."""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")


def numbers(text: str) -> list[float]:
    """The numbers that stand in a text, in their order."""
    return [float(found.replace(",", "").replace("−", "-")) for found in NUMBER.findall(text)]


def tells(text: str, *wanted: float) -> bool:
    """Whether these numbers stand in a text, one after the other."""
    found, n = numbers(text), len(wanted)
    return any(found[start : start + n] == list(wanted) for start in range(len(found) - n + 1))
