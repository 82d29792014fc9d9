"""Tables on targets, critical batch sizes, equal budgets, learning rates and energy; empty where there is nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from batchscope import text
from batchscope.figures.targets import metric_words
from batchscope.report import elements
from batchscope.report.content import Content, Row, number, rows, size_cell, spread_cells
from batchscope.report.elements import Cell, Column
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair

Columns = list[tuple[Column, Sequence[Cell]]]

LONG = 24  # rows of a table above which it is folded away
_BUDGETS = {"epochs": "epochs", "updates": "updates", "seconds": "s"}


def targets(content: Content, pair: Pair) -> str:
    """One row per batch size and target: how many runs reached it and what that took."""
    frame = content.of("targets", pair)
    if frame.empty:
        return ""
    columns: Columns = [
        (Column("Batch size", "examples"), [size_cell(row) for row in rows(frame)]),
        (Column("Target", kind="text"), [elements.text(target(row)) for row in rows(frame)]),
        (Column("Reached", "runs"), [_share(row, "n_reached", "n") for row in rows(frame)]),
        (Column("Epochs"), spread_cells(frame, "epochs", aligned=False)),
        (Column("Updates"), spread_cells(frame, "updates")),
        (Column("Examples"), spread_cells(frame, "examples")),
        *_optional(Column("Time", "s"), frame, "seconds"),
        *_optional(Column("Energy", "J"), frame, "joules"),
        (Column("Median epochs", "Kaplan–Meier"), [_median(row) for row in rows(frame)]),
        (Column("Epochs, cut off", "restricted mean"), [_restricted(row) for row in rows(frame)]),
    ]
    caption = (
        f"{_where(pair)} Means over the runs with {LEVEL} t-intervals, given only where every run reached the target: "
        "a mean over those that did would leave out the slow ones. Where all did between the same two evaluations, "
        "there is no interval. Where some did not, a run that missed it counts as not there yet at the end of its "
        "budget: the restricted mean counts every run up to the same number of epochs, given beside it, and the "
        "median is that of the Kaplan–Meier estimate, given where half of the runs got there or more. "
        + (
            "Seconds are updates times the time per update measured alone on the machine, as if that were exact."
            if frame["seconds_mean"].notna().any() and content.trained
            else ""
        )
    ).strip()
    table = elements.table_of(elements.slug("table-targets", *pair), caption, columns)
    if len(frame) <= LONG:
        return table
    return elements.folded(f"All {len(frame)} numbers: every batch size and target", table)


def critical(content: Content, pair: Pair) -> str:
    """One row per target: the fit of epochs against batch size, or why it is refused."""
    frame = content.of("critical_batch_size", pair)
    if frame.empty:
        return ""
    fits = rows(frame)
    columns: Columns = [
        (Column("Target", kind="text"), [elements.text(target(row)) for row in fits]),
        (Column("Critical batch size", "examples"), [_accepted(row, _critical) for row in fits]),
        (Column("Fewest epochs"), [_accepted(row, lambda row: elements.value(number(row, "e_min"))) for row in fits]),
        (Column("Fewest updates"), [_accepted(row, lambda row: _whole(row, "s_min")) for row in fits]),
        (Column("Misfit", "rmse of the log"), [elements.value(number(row, "rmse_log")) for row in fits]),
        (Column("Sizes fitted"), [_whole(row, "n_sizes") for row in fits]),
        (Column("Range fitted", "examples", kind="text"), [elements.text(_range(row)) for row in fits]),
        (Column("Runs"), [_whole(row, "n_runs") for row in fits]),
        (Column("Fit", kind="text"), [_fit(row) for row in fits]),
    ]
    caption = (
        f"{_where(pair)} The law E = E_min (1 + B / B_crit), with E the epochs to the target at batch size B, is "
        "fitted to the means of the sizes at which every run reached it, by least squares in the logarithm. Brackets: "
        f"{LEVEL} bootstrap intervals over runs; how far the sizes scatter about the law (the misfit) is not in them. "
        "Where the law does not fit, the reason stands instead of the number. A critical size outside the "
        "range fitted is an extrapolation."
    )
    return elements.table_of(elements.slug("table-critical", *pair), caption, columns)


def equal_budget(content: Content, pair: Pair) -> str:
    """One row per batch size and budget: validation loss and error after the same epochs, updates and seconds."""
    frame = content.of("equal_budget", pair)
    if frame.empty:
        return ""
    columns: Columns = [
        (Column("Batch size", "examples"), [size_cell(row) for row in rows(frame)]),
        (Column("After", kind="text"), [elements.text(_amount(row)) for row in rows(frame)]),
        (Column("Validation loss", "nat"), spread_cells(frame, "validation_loss")),
        (Column("Validation error"), spread_cells(frame, "validation_error")),
        (Column("Runs"), [_share(row, "n", "n_runs") for row in rows(frame)]),
    ]
    caption = (
        f"{_where(pair)} Means with {LEVEL} t-intervals once each budget was spent, on the straight line between the "
        "evaluations around it; the budget is the largest that every run that ended ok had. A run that was not yet "
        "evaluated by then, or was lost before, is missing; means over different runs do not compare."
    )
    return elements.table_of(elements.slug("table-budgets", *pair), caption, columns)


def rates(content: Content, pair: Pair) -> str:
    """One row per batch size: the learning rate of its runs and the best found; below it, folded, every trial."""
    frame = content.of("rates", pair)
    if frame.empty or not frame["tuned"].any():
        return ""
    columns: Columns = [
        (Column("Batch size", "examples"), [size_cell(row) for row in rows(frame)]),
        (Column("Rate of the runs"), [elements.value(number(row, "learning_rate")) for row in rows(frame)]),
        (Column("Best rate", "interpolated"), [_optimum(row) for row in rows(frame)]),
        (Column("Best at the edge", kind="text"), [_edge(row) for row in rows(frame)]),
        (Column("Trials"), [_whole(row, "n_trials") for row in rows(frame)]),
        (Column("Tuning seeds"), [_whole(row, "n_seeds") for row in rows(frame)]),
    ]
    caption = (
        f"{_where(pair)} The runs use the tried rate with the lowest mean of the best validation loss over the tuning "
        "seeds, which are not seeds of the runs. The best rate is the geometric mean over the tuning seeds of the "
        f"vertex of a parabola through the best rate tried and its neighbours, with its {LEVEL} t-interval. Where the "
        "best lies at the edge of the rates that could be trained, a better one may lie beyond it. "
    )
    slopes = "".join(elements.paragraph(slope(row)) for row in rows(content.of("rate_slopes", pair)))
    return (
        elements.table_of(elements.slug("table-rates", *pair), caption.strip(), columns)
        + slopes
        + _trials(content, pair)
    )


def slope(row: Row) -> str:
    """How the best rate grows with the batch size, in a sentence."""
    n_sizes, n_bounded = int(row["n_sizes"]), int(row["n_bounded"])
    beside = "all" if n_bounded == n_sizes else f"{n_bounded}"
    basis = (
        f"{text.count(n_sizes, 'size')} whose best rate lies within the rates tried, and "
        f"{text.count(int(row['n']), 'tuning seed')}"
        + (f"; of {beside} it is only known between which two rates tried it lies" if n_bounded else "")
    )
    value, least, most = (number(row, name) for name in ("slope", "slope_lowest", "slope_highest"))
    if least is None or most is None:
        return f"How the best rate grows with the batch size cannot be told from {basis}."
    low, high = number(row, "ci_low"), number(row, "ci_high")
    if value is not None:
        power = f"to the power {text.interval(value, low, high)} ({LEVEL} t-interval, from {basis})"
    else:
        ends = [text.number(each) for each in (least, most)]
        reach = [text.number(each) for each in (low, high) if each is not None]
        seeds = f", with the spread of the seeds between {' and '.join(reach)} ({LEVEL})" if len(reach) == 2 else ""
        power = f"to a power between {' and '.join(ends)}{seeds} (from {basis})"
    return f"The best rate grows as the batch size {power}. In proportion would be 1, with the square root 0.5."


def savings(content: Content, pair: Pair) -> str:
    """One row per target and choice: energy against the baseline."""
    frame = content.of("savings", pair)
    if frame.empty:
        return ""
    chosen = {"baseline": "baseline", "batch_size": "batch size", "power_limit": "power limit", "both": "both"}
    found = rows(frame)
    columns: Columns = [
        (Column("Target", kind="text"), [elements.text(target(row)) for row in found]),
        (Column("What is chosen", kind="text"), [elements.text(chosen[str(row["choice"])]) for row in found]),
        (Column("Batch size", "examples"), [_whole(row, "batch_size") for row in found]),
        (Column("Power limit", "W"), [elements.value(number(row, "power_limit_watts")) for row in found]),
        (Column("Runs"), [_whole(row, "n") for row in found]),
        (Column("Epochs", "mean"), [elements.value(number(row, "epochs_mean")) for row in found]),
        (Column("Energy", "MJ"), [elements.value(_scaled(row, "joules", 1e-6)) for row in found]),
        (Column("Saved", "%"), [_percent(row) for row in found]),
    ]
    caption = (
        f"{_where(pair)} Energy to the target: mean epochs over the runs times the time per epoch times the mean "
        "power, at the least of all candidates of a row's kind. Sizes at which a run missed the target are no "
        "candidates. The least is chosen by the same numbers that it is reported with, so savings lean to the high "
        "side; without repeats of the power measurement they have no interval."
    )
    return elements.table_of(elements.slug("table-savings", *pair), caption, columns)


def target(row: Row) -> str:
    """A target in words: `validation loss 0.4`."""
    return f"{metric_words(str(row['metric']))} {number(row, 'target'):g}"


def _trials(content: Content, pair: Pair) -> str:
    found = rows(content.of("trials", pair))
    if not found:
        return ""
    columns: Columns = [
        (Column("Batch size", "examples"), [size_cell(row) for row in found]),
        (Column("Learning rate"), [elements.value(number(row, "learning_rate")) for row in found]),
        (Column("Tuning seed"), [_whole(row, "seed") for row in found]),
        (
            Column("Best validation loss", "nat"),
            [elements.value(number(row, "selected_validation_loss")) for row in found],
        ),
        (Column("Outcome", kind="text"), [elements.text(str(row["outcome"]).replace("_", " ")) for row in found]),
        (Column("Grid", kind="text"), [elements.text(str(row["stage"])) for row in found]),
        (Column("Chosen", kind="text"), [elements.text("chosen" if row["chosen"] else "") for row in found]),
    ]
    table = elements.table_of(
        elements.slug("table-trials", *pair), f"{_where(pair)} Every trial of a learning rate.", columns
    )
    return elements.folded(f"All {text.count(len(found), 'trial')}", table)


def _where(pair: Pair) -> str:
    return f"{pair[0]} with {pair[1]}."


def _optional(column: Column, frame: pd.DataFrame, name: str) -> Columns:
    """A column of means that is there only where one is known."""
    return [(column, spread_cells(frame, name))] if frame[f"{name}_mean"].notna().any() else []


def _whole(row: Row, name: str) -> Cell:
    return elements.value(number(row, name), text.integer(number(row, name)))


def _scaled(row: Row, name: str, factor: float) -> float | None:
    found = number(row, name)
    return None if found is None else found * factor


def _share(row: Row, part: str, whole: str) -> Cell:
    return elements.value(number(row, part), f"{int(row[part]):,} of {int(row[whole]):,}")


def _median(row: Row) -> Cell:
    return elements.value(number(row, "epochs_median")) if row["n_reached"] < row["n"] else elements.value(None)


def _restricted(row: Row) -> Cell:
    mean, horizon = number(row, "epochs_restricted_mean"), number(row, "restricted_to_epochs")
    if mean is None or horizon is None or row["n_reached"] == row["n"]:
        return elements.value(None)
    return elements.value(mean, f"{text.number(mean)} up to {text.number(horizon)}")


def _accepted(row: Row, cell: Callable[[Row], Cell]) -> Cell:
    return cell(row) if row["accepted"] else elements.value(None)


def _critical(row: Row) -> Cell:
    return elements.spread(number(row, "b_crit"), number(row, "ci_low"), number(row, "ci_high"), 0)


def _range(row: Row) -> str:
    ends = [number(row, "min_batch_size"), number(row, "max_batch_size")]
    return text.MISSING if None in ends else " to ".join(map(text.integer, ends))


def _fit(row: Row) -> Cell:
    if row["accepted"]:
        return elements.text("accepted")
    return elements.text(f"refused: {row['reason']}")


def _amount(row: Row) -> str:
    budget = str(row["budget"])
    if budget == "seconds":
        return text.seconds(number(row, "amount"))
    return f"{text.number(number(row, 'amount'))} {_BUDGETS[budget]}"


def _optimum(row: Row) -> Cell:
    middle, low, high = (number(row, name) for name in ("optimum", "optimum_ci_low", "optimum_ci_high"))
    return elements.quartiles(middle, low, high)


def _edge(row: Row) -> Cell:
    at_edge = row["at_edge"]
    return elements.text("not tuned" if pd.isna(at_edge) else "yes" if at_edge else "no")


def _percent(row: Row) -> Cell:
    saved = number(row, "saving_percent")
    return elements.value(saved, text.fixed(saved, 2))
