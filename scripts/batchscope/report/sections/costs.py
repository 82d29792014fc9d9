"""What a data set and recipe takes to its targets, as its card says it: time, critical batch size and energy."""

from __future__ import annotations

from collections.abc import Sequence

from batchscope import text
from batchscope.analysis.choosing import span
from batchscope.analysis.external_runs.given import direction
from batchscope.figures.sheets import Row, number
from batchscope.report.content import Content, size
from batchscope.report.sections.targets import bound, energy_unit, wanted
from batchscope.tables.cells import Pair, Size, listed

Fact = tuple[str, str, str] | None
"""A row of a card: name, value and remark; None where it was not measured."""


def compared(content: Content, pair: Pair, row: Row) -> str:
    """Which sizes may take less time to the target of an answer that rests on it, and which did not all reach it."""
    found = goal(content, pair, "time_to_target")
    every = sizes(content, pair)
    missed = {
        size(each)
        for each in content.rows("targets", pair)
        if found is not None and wanted(each) == found["about"] and each["n_reached"] < each["n"]
    }
    labels = [label for label in listed(row["not_worse"]) if label in every]
    parts = []
    if close := [every[label] for label in labels if label not in missed]:
        are = "is" if len(close) == 1 else "are"
        parts.append(f"{named(close, [*every.values()])} {are} not significantly different in time.")
    if open_ := [every[label] for label in labels if label in missed]:
        where = span(open_, [*every.values()])
        parts.append(f"Not every run at {where} reached the target, so these may be as fast.")
    return " ".join(parts)


def named(chosen: Sequence[Size], among: Sequence[Size]) -> str:
    """`Batch size 8`, or `Batch sizes 8 and 32`."""
    return f"Batch size{'' if len(chosen) == 1 else 's'} {span(chosen, among)}"


def target(content: Content, pair: Pair) -> Fact:
    """The size with the least time to the tightest target."""
    found = goal(content, pair, "time_to_target")
    if found is None or number(found, "batch_size") is None or not isinstance(found["about"], str):
        return None
    return f"Least time to {found['about']}", f"{measured(found)} at {_one(found)}", rivals(content, pair, found)


def measured(row: Row) -> str:
    """The number of a row of the advice with its interval and unit."""
    value, low, high = (number(row, name) for name in ("value", "ci_low", "ci_high"))
    return text.measured(value, low, high, str(row["unit"]))


def _one(row: Row) -> str:
    return f"batch size {size(row)}"


def critical(content: Content, pair: Pair) -> Fact:
    """The critical batch size of the tightest target that has one, or what is known of it."""
    given = content.study.get("measurements")
    fits = content.rows("critical_batch_size", pair)
    fits = sorted(fits, key=lambda row: direction(str(row["metric"]), given) * row["target"])
    found = next((row for row in fits if row["accepted"]), next((row for row in fits if bound(row)), None))
    if found is None:
        return None
    if not found["accepted"]:
        return "Critical batch size", bound(found), f"at {wanted(found)}"
    value = text.interval(number(found, "b_crit"), number(found, "ci_low"), number(found, "ci_high"), 0)
    return "Critical batch size", value, f"at {wanted(found)}"


def energy(content: Content, pair: Pair) -> Fact:
    """The size with the least energy, at the power limit of the baseline where there is one."""
    found = goal(content, pair, "energy")
    if found is None:
        return None
    if number(found, "value") is None or number(found, "batch_size") is None:
        why = "no counter that can be read" if len(content.of("timings", pair)) else "nothing was timed"
        return ("Energy", "not measured", why) if content.trained else None
    to = f" to {found['about']}" if isinstance(found["about"], str) and found["about"] else ""
    given = content.study.get("measurements") or {}
    limit = (given.get("baseline") or {}).get("power_limit_watts")
    parts = ["" if limit is None else f"at a power limit of {text.number(limit)} W", rivals(content, pair, found)]
    return f"Least energy{to}", f"{measured(found)} at {_one(found)}", "; ".join(filter(None, parts))


def saved(content: Content, pair: Pair) -> Fact:
    """The size and power limit with the least energy to the target that energy is counted to."""
    found = goal(content, pair, "energy")
    choices = [
        row
        for row in content.rows("savings", pair)
        if found is not None and row["choice"] == "both" and wanted(row) == found["about"]
    ]
    joules = number(choices[0], "joules") if choices else None
    if joules is None:
        return None
    scale, unit = energy_unit(content)
    saved = number(choices[0], "saving_percent")
    baseline = content.study["measurements"]["baseline"]["batch_size"]  # type: ignore[index]
    remark = "" if saved is None else f"{text.fixed(saved, 1)} % less than batch size {baseline} at that limit"
    at, limit = (number(choices[0], name) for name in ("batch_size", "power_limit_watts"))
    value = f"{text.number(joules * scale)} {unit} at batch size {text.integer(at)} and {text.number(limit)} W"
    return "Least energy, any limit", value, remark


def rivals(content: Content, pair: Pair, row: Row) -> str:
    """Which other sizes may be as good as the one that a row of the advice names."""
    every = sizes(content, pair)
    found = [every[label] for label in listed(row["not_told_apart"]) if label in every]
    return f"not ruled out: {span(found, [*every.values()])}" if found else ""


def goal(content: Content, pair: Pair, name: str) -> Row | None:
    """The row of the advice for a goal."""
    return next((row for row in content.rows("advice", pair) if row["goal"] == name), None)


def sizes(content: Content, pair: Pair) -> dict[str, Size]:
    """The sizes by their labels."""
    return {size(row): Size.of(row) for row in content.rows("best", pair)}
