"""Learning-rate range test: one training whose rate rises from update to update (Smith 2017, arXiv 1506.01186).

The rate rises geometrically, so that equal shares of the updates are equal shares of the logarithm of the rate. Step
losses of small batches scatter as much as they fall, hence both windows are shares of the updates: the smoothed loss is
the mean over a centred tenth, and the descent at a rate is the least-squares slope over the fifth around it. Centred
windows do not shift the fall to higher rates, as a running average would; the price is that no rate within half a
window of either end, or of divergence, can be suggested. Knows no framework.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.data.dataset import Data
from batchscope.probes.subject import Subject, Tables, orders
from batchscope.training.engines import Engine
from batchscope.training.loop import step_loss_noise
from batchscope.training.plans import Plan

SMOOTHED = 0.1  # share of the updates whose mean loss is the smoothed loss
FIRST = 5  # updates that no slope is fitted through: what they do to fresh weights says little about their rate
SLOPE = 0.2  # share of the updates through whose losses a slope is fitted
FALL = 0.05  # share of the smoothed loss at the start by which it must fall
STANDARD_ERRORS = 4.0  # by which the steepest slope must be below zero: the search looks at many slopes
DIVERGED = 4.0  # times the lowest smoothed loss so far
MIN_UPDATES = 20

Values = NDArray[np.float64]


@dataclass(frozen=True)
class RateRange:
    """What a range test found; rates are those that the optimizer got.

    Attributes:
        suggested_rate: rate of the steepest fall of the loss over the logarithm of the rate, at or below
            `lowest_loss_rate`.
        lowest_loss_rate: rate of the lowest smoothed loss before divergence.
        diverged_rate: first rate at which the loss is not finite, or with which the mean over the smoothing window is
            above `DIVERGED` times the lowest such mean before; None where the highest rate still trains.
        reason: why `suggested_rate` or `lowest_loss_rate` is None, in words; None where both are found.
        curve: a row per update made: update (from 1), learning_rate, loss (None where not finite), smoothed_loss (None
            within half a window of an end).
    """

    suggested_rate: float | None
    lowest_loss_rate: float | None
    diverged_rate: float | None
    reason: str | None
    curve: list[dict[str, Any]]


def measure(subject: Subject) -> Tables:
    """Learning-rate range test of one run: its first weights and its order of the examples."""
    low, high, updates = (subject.settings[key] for key in ("lowest", "highest", "updates"))
    found = range_test(subject.engine, subject.data, subject.plan, low, high, updates)
    names = ("suggested_rate", "lowest_loss_rate", "diverged_rate", "reason")
    row = {**subject.identity, **{name: getattr(found, name) for name in names}}
    return {"rate_ranges": [row], "rate_curves": [{**subject.identity, **point} for point in found.curve]}


def range_test(engine: Engine, data: Data, plan: Plan, low: float, high: float, updates: int) -> RateRange:
    """Train the plan's model from its first weights while the rate rises from `low` to `high` over `updates` updates.

    The batches are those of a training with this plan, epoch after epoch; the plan's own rate and warm-up play no part.
    Training stops at a loss that is not finite. Where memory runs out everything is None, with the reason.

    Raises:
        ValueError: `low` and `high` are no range of rates, or there are fewer than `MIN_UPDATES` updates.
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"a range of learning rates rises from above zero, not from {low} to {high}")
    if updates < MIN_UPDATES:
        raise ValueError(f"a range test needs at least {MIN_UPDATES} updates, not {updates}")
    rates = np.geomspace(low, high, updates).astype(np.float32)
    losses = np.empty(0)
    try:
        trainer = engine.build(plan, data)
        for made, order in orders(len(data.y_train), plan, updates):
            losses = np.append(losses, trainer.train(order, rates[made]).loss)
            if not np.isfinite(losses[-1]):
                break
    except MemoryError as error:
        return RateRange(None, None, None, f"memory ran out: {error}", [])
    return read(rates.astype(np.float64), losses)


def read(rates: Values, losses: Values) -> RateRange:
    """Read a range test.

    Args:
        rates: learning rate of every planned update, rising geometrically, shape (updates,).
        losses: step losses of the updates made, shape (at most updates,); shorter where training stopped.
    """
    width, wide = _odd(SMOOTHED * len(rates)), _odd(SLOPE * len(rates))
    bad = ~np.isfinite(losses)
    finite = losses[: bad.argmax()] if bad.any() else losses
    means = _windows(finite, width).mean(axis=1)
    diverged = _diverged(means, width, len(losses), len(finite))
    curve = _curve(rates, losses, means, width // 2)
    diverged_rate = None if diverged is None else float(rates[diverged])
    usable = finite[:diverged]
    if len(usable) < FIRST + wide:
        reason = f"the loss diverges within {len(usable) + 1} updates, too few to see it fall; start at a lower rate"
        return RateRange(None, None, diverged_rate, reason, curve)
    means = means[: len(usable) - width + 1]
    lowest = int(means.argmin())
    if means[0] - means[lowest] < FALL * means[0]:
        reason = f"the smoothed loss never falls by {100 * FALL:g} % of what it is at the lowest rates"
        return RateRange(None, None, diverged_rate, reason, curve)
    suggested, hidden = _steepest(usable, wide, lowest + width // 2, diverged is not None)
    suggested_rate = None if suggested is None else float(rates[suggested])
    at_end = diverged is None and lowest == len(means) - 1
    lowest_rate = None if at_end else float(rates[lowest + width // 2])
    reasons = [hidden, "the loss still falls at the highest rates" if at_end else None]
    return RateRange(suggested_rate, lowest_rate, diverged_rate, "; ".join(filter(None, reasons)) or None, curve)


def _odd(width: float) -> int:
    """The odd number of updates next to `width`, three at least: a window needs a centre."""
    return max(3, 2 * round((width - 1) / 2) + 1)


def _windows(values: Values, width: int) -> Values:
    """All runs of `width` neighbours, shape (windows, width); none where there are fewer values."""
    if len(values) < width:
        return np.empty((0, width))
    return np.lib.stride_tricks.sliding_window_view(values, width)


def _diverged(means: Values, width: int, made: int, finite: int) -> int | None:
    """Index of the update at which the loss diverged, if it did: the last of the first window that is too high."""
    high = means > DIVERGED * np.minimum.accumulate(means)
    if high.any():
        return int(high.argmax()) + width - 1
    return finite if finite < made else None


def _steepest(losses: Values, wide: int, lowest: int, diverged: bool) -> tuple[int | None, str | None]:
    """Index of the update round which the loss falls most steeply, at most `lowest`, or None and the reason."""
    windows = _windows(losses[FIRST:], wide)
    time, first = np.arange(wide) - wide // 2, FIRST + wide // 2
    slopes = windows @ time / (time @ time)
    steepest = int(slopes[: max(1, lowest - first + 1)].argmin())
    if steepest == 0:
        return None, "the loss falls fastest at the lowest rates; start at a lower rate"
    if steepest == len(slopes) - 1 and not diverged:
        return None, "the loss falls fastest at the highest rates; go on to a higher rate"
    noise = step_loss_noise(windows[steepest])
    assert noise is not None
    if -slopes[steepest] < STANDARD_ERRORS * noise / math.sqrt(time @ time):
        return None, "the step losses scatter too much to tell where they fall fastest; make more updates"
    return first + steepest, None


def _curve(rates: Values, losses: Values, means: Values, half: int) -> list[dict[str, Any]]:
    return [
        {
            "update": i + 1,
            "learning_rate": float(rates[i]),
            "loss": float(loss) if np.isfinite(loss) else None,
            "smoothed_loss": float(means[i - half]) if half <= i < half + len(means) else None,
        }
        for i, loss in enumerate(losses)
    ]
