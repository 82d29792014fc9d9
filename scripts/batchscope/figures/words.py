"""Numbers and sentences that captions and alternative texts share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from batchscope import text
from batchscope.figures.frames import Frames, Size, finished, of_size

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def plain(value: float, unit: str = "", digits: int = 4) -> str:
    """A number as people write it: 1,000, 0.05 or 2×10⁻⁷; with an SI prefix where there is a unit: 20 µs, 1.5 GB.

    Many seconds are minutes or hours (`text.time_unit`).
    """
    if not unit:
        if abs(value) >= 1000:
            return f"{value:,.0f}"
        mantissa, _, exponent = f"{value:.{digits}g}".replace("-", "−").partition("e")
        return f"{mantissa}×10{_superscript(exponent)}" if exponent else mantissa
    if value == 0:
        return f"0 {unit}"
    # Rounded first, so that 999.9 µs becomes 1 ms.
    rounded = float(f"{value:.3g}")
    length, name = text.time_unit(rounded) if unit == "s" else (1.0, unit)
    if length > 1:
        return f"{plain(rounded / length, digits=3)} {name}"
    factor, prefix = next((pair for pair in _PREFIXES if abs(rounded) >= pair[0]), _PREFIXES[-1])
    return f"{rounded / factor:.3g} {prefix}{unit}"


def compact(value: float) -> str:
    """`plain` for ticks that stand close: 20k, 1.5M; powers of ten that are very small as 10⁻⁷."""
    for factor, letter in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            return f"{value / (1e6 if letter == 'M' else 1e3):.4g}{letter}"
    return plain(value).removeprefix("1×")


def _superscript(exponent: str) -> str:
    return str(int(exponent.replace("−", "-"))).translate(_SUPERSCRIPTS)


def joined(sentences: Iterable[str]) -> str:
    """The sentences that are not empty."""
    return " ".join(filter(None, sentences))


def range_in_words(counts: Iterable[int]) -> str:
    """`5`, or `3 to 5` where they differ; `0` of none."""
    found = sorted(set(counts)) or [0]
    return f"{found[0]} to {found[-1]}" if len(found) > 1 else f"{found[0]}"


def seeds_in_words(frames: Frames) -> str:
    """`n = 5 seeds`, `n = 3 to 5 seeds`: how many runs per size ended `ok`; `runs` of those made elsewhere."""
    counts = {len(finished(frames, size)) for size in frames.sizes}
    what = "run" if elsewhere(frames) else "seed"
    return f"n = {range_in_words(counts)} {what if counts == {1} else f'{what}s'}"


def elsewhere(frames: Frames) -> bool:
    """Whether the runs were made elsewhere."""
    return "engine" in frames.runs and bool((frames.runs["engine"] == "imported").all())


def intervals_in_words(frames: Frames) -> str:
    """`Bars: 95 % t-intervals over n = 5 seeds.`, or that there are none."""
    if all(len(finished(frames, size)) < 2 for size in frames.sizes):
        return f"No intervals: {seeds_in_words(frames)} per size."
    return f"Bars: 95 % t-intervals over {seeds_in_words(frames)}."


def failed_in_words(frames: Frames) -> str:
    """How many runs did not end `ok`, for a caption; empty where all did."""
    bad = int((frames.runs["outcome"] != "ok").sum())
    return f"{bad} of {len(frames.runs)} runs did not end ok and are in no mean." if bad else ""


def outcomes_in_words(frames: Frames) -> str:
    """Which runs did not end `ok`, and how they ended; empty where all did."""
    bad = frames.runs[frames.runs["outcome"] != "ok"]
    if bad.empty:
        return ""
    parts = []
    for size in frames.sizes:
        for outcome, count in of_size(bad, size)["outcome"].value_counts().sort_index().items():
            parts.append(f"{count} at batch size {size.label} ({str(outcome).replace('_', ' ')})")
    return f"{len(bad)} of {len(frames.runs)} runs did not end ok and are in no mean: {', '.join(parts)}."


def series_in_words(name: str, values: Sequence[tuple[Size, float | None]], unit: str = "") -> str:
    """`NAME is 0.9 at batch size 1 and 0.8 at 800 (full); lowest 0.8 at …, highest …`: the reading of a curve."""
    known = [(size, value) for size, value in values if value is not None and np.isfinite(value)]
    if not known:
        return f"{name}: not measured."
    words = [f"{plain(value, unit, 3)} at batch size {size.label}" for size, value in known]
    if len(known) == 1:
        return f"{name} is {words[0]}."
    order = sorted(range(len(known)), key=lambda i: known[i][1])
    low, high = order[0], order[-1]
    inner = [f"lowest {words[low]}"] * (low not in (0, len(known) - 1))
    inner += [f"highest {words[high]}"] * (high not in (0, len(known) - 1))
    between = f"; {', '.join(inner)}" if inner else ""
    return f"{name} is {words[0]} and {words[-1]}{between}."
