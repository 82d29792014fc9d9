"""What a verdict says: the numbers it rests on, in one sentence, and why it is undecided."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from batchscope import text as numbers
from batchscope.claims.parts import Part
from batchscope.tables.cells import Size
from batchscope.tables.metrics import Metric

if TYPE_CHECKING:
    from batchscope.claims.samples import Samples
    from batchscope.stats.estimates import Estimate


def shown(value: float | None, log: bool) -> float | None:
    """A number of the test as tables show it: ratios are tested by their logarithms."""
    if value is None or not log:
        return value
    return math.exp(value) if value < 700 else math.inf


def named(metric: Metric, found: Samples) -> str:
    """What was measured, with what else a reader must know of it."""
    name = f"{metric.words} {found.note}".strip()
    return f"{name[0].upper()}{name[1:]}"


def series(metric: Metric, found: Samples, sizes: Sequence[Size]) -> str:
    """`0.313 nat at 8, 0.299 nat at 32`; a size without a mean says between which values, or why it has none."""
    words = []
    for size in sizes:
        if size in found.values:
            remark = f" ({found.remarks[size]})" if size in found.remarks else ""
            words.append(f"{quantity(float(found.values[size].mean()), metric.unit)} at {size.label}{remark}")
        elif size in found.bounds:
            low, high = float(found.bounds[size][0].min()), float(found.bounds[size][1].max())
            words.append(f"{span(low or None, high if math.isfinite(high) else None)} at {size.label}")
        else:
            words.append(f"none at {size.label} ({found.problems[size]})")
    return ", ".join(words)


def span(low: float | None, high: float | None) -> str:
    """`between 0.2 and 0.4`, `at most 0.4`, `at least 0.2`."""
    if low is None or high is None:
        return f"at most {numbers.number(high, 4)}" if low is None else f"at least {numbers.number(low, 4)}"
    return f"between {numbers.number(low, 4)} and {numbers.number(high, 4)}"


def kind_of_bound(estimate: Estimate) -> str:
    """What the value of an estimate is, of which only ends are known; empty for others."""
    if not estimate.ends:
        return ""
    low, high = estimate.ends
    return "at most" if low is None else "at least" if high is None else "half-way between its bounds"


def quantity(value: float, unit: str) -> str:
    """A number with its unit, seconds and bytes in multiples that read well."""
    if unit == "s":
        return numbers.seconds(value)
    value, unit = (value / 1e6, "MB") if unit == "B" else (value, unit)
    return f"{numbers.number(value, 4)} {unit}".rstrip()


def effect(part: Part, unit: str, of: str, log: bool) -> str:
    """`32 − 128 = +0.009 [0.004, 0.014] nat, n = 5 seeds`."""
    estimate = part.estimate
    assert estimate is not None
    value, low, high = (shown(each, log) for each in (estimate.value, estimate.low, estimate.high))
    repeated = of.removesuffix("s") if estimate.n == 1 else of
    if estimate.ends:
        reach = f"; with the spread of {repeated} {span(low, high)}" if low is not None or high is not None else ""
        return f"{part.words} {span(*estimate.ends)}{reach}, n = {estimate.n} {repeated}"
    sign = "+" if " − " in part.words and value is not None and value > 0 else ""
    unit = unit.partition("per doubling")[0].strip().removeprefix("×")  # words of a trend say it, those of ratios, too
    text = f"{sign}{numbers.interval(value, low, high)} {unit}".rstrip()
    return f"{part.words} = {text}, n = {estimate.n} {repeated}"


def turn(found: Samples, sizes: Sequence[Size], falls: bool) -> str:
    """Where a trend goes the other way between two neighbouring sizes; empty where it is monotone."""
    known = [(size, float(found.values[size].mean())) for size in sizes if size in found.values]
    steps = [(one, other, after - before) for (one, before), (other, after) in itertools.pairwise(known)]
    against = [(one, other) for one, other, change in steps if (change > 0) == falls and change != 0]
    way = "rises" if falls else "falls"
    if not against:
        return ""
    if len(against) == len(steps):
        return f"the mean {way} throughout" if len(steps) > 1 else ""
    one, other = against[0]
    return f"not monotone: the mean {way} from {one.label} to {other.label}"


def undecided(parts: Sequence[Part], p: float | None, p_adjusted: float | None, tests: int) -> str:
    """Why neither the statement nor its opposite was shown."""
    reasons = "; ".join(dict.fromkeys(part.reason for part in parts if part.reason))
    if p is None:
        return reasons
    adjusted = f"p {numbers.p_value(p_adjusted)} adjusted for {numbers.count(tests, 'test')}"
    text = f"neither the statement nor its opposite is shown ({adjusted}, p {numbers.p_value(p)} alone)"
    return f"{text}; {reasons}" if reasons else text
