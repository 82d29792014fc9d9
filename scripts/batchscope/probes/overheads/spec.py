"""The probe of overheads: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.overheads.columns import RECORDS
from batchscope.probes.probe import Probe, ProbeFigure
from batchscope.tables.job_columns import CELL, Column, integer, number, string

LOOPS = ("fused", "fit", "data")


def _bounded(name: str, meaning: str, unit: str = "", ends: str = "95 % interval") -> dict[str, Column]:
    """A number and the ends of its interval."""
    low, high = (number(unit, f"{end} end of its {ends}") for end in ("lower", "upper"))
    return {name: number(unit, meaning), f"{name}_ci_low": low, f"{name}_ci_high": high}


UPDATE_COSTS: dict[str, Column] = {
    **{name: CELL[name] for name in ("dataset", "recipe")},
    "loop": RECORDS["loop_windows"].columns["loop"],
    **_bounded("fixed_seconds", "cost of an update whatever its batch", "s"),
    **_bounded("marginal_seconds", "cost of one more example", "s"),
    "rmse_relative": number("", "root mean square, over the sizes, of the relative residuals of the line"),
    "n_sizes": integer("", "different batch sizes in the fit"),
    "accepted": Column("boolean", "", "whether the line describes the times"),
    "reason": string("why it does not; empty where it does"),
}
OVERHEADS: dict[str, Column] = {
    **CELL,
    "windows": integer("", "windows of each loop"),
    **{
        f"{loop}_seconds_per_update{part}": number("s", f"{meaning} over the windows of the loop `{loop}`")
        for loop in LOOPS
        for part, meaning in {"": "median", "_q25": "first quartile", "_q75": "third quartile"}.items()
    },
    **{f"{loop}_residual": number("", f"how far the median of `{loop}` is from its line, relative") for loop in LOOPS},
    **_bounded("dispatch_share", "share of the time of `fit` that `fused` saves", ends="95 % t-interval"),
    **_bounded("overhead_share", "share of the fixed cost in an update of `fused`"),
    "data_share": number("", "share of reading the examples in an update of `fused`"),
    "compute_share": number("", "share of the rest of an update of `fused`"),
    **_bounded("fit_overhead_share", "share of the fixed cost in an update of `fit`"),
    "reason": string("why shares are null; empty where none is"),
}

PROBE = Probe(
    name="overheads",
    title="Overheads",
    looks_at="cells",
    records=RECORDS,
    rows={
        "overheads": "One row per batch size: how long an update takes in each loop, and for what.",
        "update_costs": "One row per loop: fixed cost of an update and marginal cost of an example.",
    },
    derived={"overheads": OVERHEADS, "update_costs": UPDATE_COSTS},
    figures=(ProbeFigure("update_costs", "Where the time of an update goes", "overheads", needs=("overheads",)),),
    minutes=60,
)
