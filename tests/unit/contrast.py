"""Colours of figures as the page shows them in the light and in the dark, and their contrast (WCAG 2.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb

STYLE = (Path(__file__).resolve().parents[2] / "reports" / "template" / "style.css").read_text(encoding="utf-8")
LIGHT, DARK = (to_rgb(colour) for colour in re.findall(r"--paper: (#\w+)", STYLE)[:2])
_FILTER = re.search(r"filter: invert\(([\d.]+)\) hue-rotate\(180deg\); mix-blend-mode: lighten", STYLE)
# `hue-rotate` by half a turn (Filter Effects Module Level 1).
_HALF_TURN = 2 * np.array([[0.213, 0.715, 0.072]] * 3) - np.eye(3)

Colour = Sequence[float]


def in_the_dark(colour: Colour) -> Colour:
    """What the filter of the dark theme makes of a colour (red, green, blue from 0 to 1) on the page's paper."""
    assert _FILTER is not None
    share = float(_FILTER[1])
    turned = np.clip(_HALF_TURN @ (share + (1 - 2 * share) * np.asarray(colour)), 0, 1)
    shown: list[float] = np.maximum(turned, DARK).tolist()
    return shown


def contrast(colour: Colour, ground: Colour) -> float:
    """The ratio of contrast, from 1 to 21."""
    low, high = sorted(_luminance(each) for each in (colour, ground))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
