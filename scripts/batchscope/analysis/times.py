"""The times of a study's timings: how well each is known, and whether something else used the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from batchscope import text
from batchscope.stats import LEVEL
from batchscope.stats.quantiles import median_error
from batchscope.stats.times import JOB_SPREAD, Time
from batchscope.tables.cells import CELL, SIZE, Size

ERROR = "seconds_per_update_error"
SPREAD = (
    f"their {LEVEL} intervals hold the spread of the windows and, for how another job may differ, "
    f"{100 * JOB_SPREAD:g} % (standard deviation, assumed)"
)
WHOLE_CORE_PERCENT = 90  # of CPU time below which a timing on one thread was not alone


def with_errors(timings: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """`timings` with the standard error of each median, relative to it, from its `windows` in their order.

    Null where there are no windows, as of measurements made elsewhere.
    """
    ordered = windows.sort_values("window")
    found = {
        cell: median_error(np.log(group["seconds_per_update"].to_numpy(np.float64)))
        for cell, group in ordered.groupby(CELL, sort=False)
    }
    cells = timings[CELL].itertuples(index=False, name=None)
    return timings.assign(**{ERROR: pd.Series([found.get(cell) for cell in cells], timings.index, dtype="float64")})


def time_of(timing: Mapping[Any, Any], per: Literal["update", "epoch"] = "update") -> Time | None:
    """What a row of the table of timings says of the time of an update or epoch; None where its error is not known."""
    seconds, error = (float(timing.get(name, np.nan)) for name in (f"seconds_per_{per}", ERROR))
    if not np.isfinite([seconds, error]).all():
        return None
    job = (timing["dataset"], timing.get("timed_recipe", timing["recipe"]), *(timing[name] for name in SIZE))
    return Time(seconds, error, int(timing["windows"]), job)


def times(timings: pd.DataFrame) -> dict[Size, Time]:
    """The times of one data set and recipe by size, of those whose error is known."""
    sizes = zip(*(timings[name] for name in SIZE), strict=True)
    found = zip(sizes, map(time_of, timings.to_dict("records")), strict=True)
    return {Size(int(size), bool(full)): time for (size, full), time in found if time is not None}


def epoch_seconds(timings: pd.DataFrame) -> pd.DataFrame:
    """The time of an epoch and its 95 % interval, by timed cell; no ends where its error is not known."""
    found = map(time_of, timings.to_dict("records"))
    ends = np.array([time.factors if time else (np.nan, np.nan) for time in found]).reshape(-1, 2)
    seconds = timings.set_index(CELL)["seconds_per_epoch"]
    low, high = (seconds * end for end in ends.T)
    return pd.DataFrame(
        {"seconds_per_epoch": seconds, "seconds_per_epoch_ci_low": low, "seconds_per_epoch_ci_high": high}
    )


def without_core(timings: pd.DataFrame) -> pd.DataFrame:
    """The timings on one CPU thread that did not get the core they had reserved: something else used the machine."""
    found: pd.DataFrame = timings[_watched(timings) & (timings["cpu_percent_mean"] < WHOLE_CORE_PERCENT).fillna(False)]
    return found


def shared(timings: pd.DataFrame) -> str:
    """What a reader of any of these times must know where something else used the machine; empty where nothing did."""
    short = without_core(timings)
    if short.empty:
        return ""
    return (
        f"{len(short)} of {text.count(int(_watched(timings).sum()), 'timing')} got less than {WHOLE_CORE_PERCENT} % of "
        f"the core they had reserved (the least {short['cpu_percent_mean'].min():.0f} %): something outside the study "
        "used the machine, so times may be too long, by different factors at different sizes"
    )


def _watched(timings: pd.DataFrame) -> pd.Series[bool]:
    """Whether a timing on one CPU thread knows what it got of its core."""
    return (timings["device"] == "cpu") & (timings["threads"] == 1) & timings["cpu_percent_mean"].notna()
