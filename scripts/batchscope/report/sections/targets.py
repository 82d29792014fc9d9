"""What it takes to get to a target, or how far an equal budget goes."""

from __future__ import annotations

from batchscope import text
from batchscope.figures import sheets
from batchscope.figures.sheets import Cell, Row, number, spread, value
from batchscope.figures.targets import metric_words
from batchscope.probes.section import Figure
from batchscope.report.content import Content
from batchscope.report.fields import LONG, SIZE, Field, Own, table, words
from batchscope.report.page import Block, section
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair


def _title_of_budgets(content: Content) -> str:
    """What was spent."""
    spent = dict.fromkeys(str(name) for pair in content.shown for name in content.of("equal_budget", pair)["budget"])
    return f"The same runs after equal {text.listing([*spent])}"


@section(
    _title_of_budgets,
    "At equal epochs large batches have made fewer updates, at equal updates small batches have seen fewer examples, "
    "and equal seconds depend on the machine. A statement that holds for only one of these is about that budget.",
)
def budgets(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size and budget: validation loss and error once it was spent."""
    fields = (
        SIZE,
        words("After", _amount),
        Field("Validation loss", "validation_loss"),
        Field("Validation error", "validation_error", optional=True),
        Field("Runs", "n", of="n_runs"),
    )
    caption = (
        f"Means with {LEVEL} t-intervals once each budget was spent, on the straight line between the "
        "evaluations around it; the budget is the largest that every run that ended ok had. A run that was not yet "
        "evaluated by then, or was lost before, is missing; means over different runs do not compare."
    )
    return [*table(content, pair, "budgets", fields, caption, of="equal_budget"), Figure("equal_budget")]


def _amount(row: Row) -> str:
    amount = number(row, "amount")
    return text.seconds(amount) if row["budget"] == "seconds" else f"{text.number(amount)} {row['budget']}"


@section(
    "Targets",
    "What each size needs to get to a target. A run that did not get there is not dropped: how many of how many "
    "got there stands beside every number.",
    "A mean over the runs that got there would leave out the slow ones, so it is given only where every run did. "
    "Else a run that missed the target counts as not there yet at the end of its budget: in the Kaplan–Meier median, "
    "given where half of the runs or more got there, and in the restricted mean, which counts every run up to the same "
    "number of epochs. Where all runs got there between the same two evaluations, there is no interval.",
)
def targets(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size and target: how many runs reached it and what that took."""
    frame = content.of("targets", pair)
    scale, unit = energy_unit(content)
    fields = (
        SIZE,
        words("Target", wanted),
        Field("Reached", "n_reached", "runs", of="n"),
        Field("Epochs", "epochs", aligned=False, optional=True),
        Field("Updates", "updates", optional=True),
        Field("Examples", "examples", optional=True),
        Field("Time", "seconds", optional=True),
        Own("Energy", lambda row: spread(*_joules(row, scale)), unit, optional=True),
        Own("Median epochs", _median, "Kaplan–Meier", optional=True),
        Own("Epochs, cut off", _restricted, "restricted mean", optional=True),
    )
    seconds = (
        "Time: updates times the time per update, timed in isolation and taken as exact."
        if content.trained and frame["seconds_mean"].notna().any()
        else ""
    )
    caption = (
        f"Means over the runs with {LEVEL} t-intervals, where every run reached the target; else the Kaplan–Meier "
        f"median and the restricted mean, up to the epochs beside it. {seconds}"
    ).strip()
    fold = f"All {len(frame)} numbers: every batch size and target" if len(frame) > LONG else ""
    return [
        Figure("steps_to_target"),
        *table(content, pair, "targets", fields, caption, fold=fold),
    ]


def energy_unit(content: Content) -> tuple[float, str]:
    """The unit of all energies to a target on the page, and what turns joules into it."""
    large = any((content.tables[name]["joules"] >= 1e6).any() for name in ("to_target", "savings"))
    return (1e-6, "MJ") if large else (1.0, "J")


def _joules(row: Row, scale: float) -> tuple[float | None, float | None, float | None]:
    mean, low, high = (number(row, f"joules_{end}") for end in ("mean", "ci_low", "ci_high"))
    return tuple(None if joules is None else joules * scale for joules in (mean, low, high))  # type: ignore[return-value]


def wanted(row: Row) -> str:
    """A target in words: `validation loss 0.4`."""
    return f"{metric_words(str(row['metric']))} {number(row, 'target'):g}"


def _median(row: Row) -> Cell:
    return value(number(row, "epochs_median")) if row["n_reached"] < row["n"] else Cell()


def _restricted(row: Row) -> Cell:
    mean, horizon = number(row, "epochs_restricted_mean"), number(row, "restricted_to_epochs")
    if mean is None or horizon is None or row["n_reached"] == row["n"]:
        return Cell()
    return value(mean, f"{text.number(mean)} up to {text.number(horizon)}")


@section(
    "Critical batch size",
    "The batch size at which a run needs twice the fewest epochs to a target: well below it larger batches save "
    "updates at hardly any cost in examples, well above it they cost examples and save hardly any updates.",
    "It is fitted to runs and is not the gradient noise scale, which is measured on frozen weights and may "
    "differ from it by far. It holds for its target, this model and this policy for the learning rate; it tends "
    "to grow as the target tightens.",
    "The law is fitted by least squares in the logarithm. How far the sizes scatter about it (the misfit) is not in "
    "the intervals. A critical size outside the range fitted is an extrapolation.",
)
def critical(content: Content, pair: Pair) -> list[Block]:
    """One row per target: the fit of epochs against batch size, or why it is refused."""
    fields = (
        words("Target", wanted),
        Own("Critical batch size", _critical_size, "examples"),
        Own("Fewest epochs", lambda row: value(_accepted(row, "e_min")), optional=True),
        Own("Fewest examples", lambda row: _count(_accepted(row, "e_min_examples")), optional=True),
        Own("Fewest updates", lambda row: _count(_accepted(row, "s_min")), optional=True),
        Field("Misfit", "rmse_log", "rmse of the log", optional=True),
        Field("Sizes fitted", "n_sizes"),
        Own("Range fitted", _range, "examples", "text", optional=True),
        Field("Runs", "n_runs"),
        words("Fit", lambda row: "accepted" if row["accepted"] else _refused(row)),
    )
    caption = (
        "The law E = E_min (1 + B / B_crit), with E the epochs to the target at batch size B, fitted to the means of "
        f"the sizes at which every run reached it. Brackets: {LEVEL} bootstrap intervals over runs. Where the law does "
        "not fit, the reason stands instead of the number."
    )
    fits = table(content, pair, "critical", fields, caption, of="critical_batch_size")
    return [*fits, Figure("examples_to_target"), Figure("critical_vs_target")]


def bound(row: Row) -> str:
    """What a refused fit says of the critical batch size all the same: `at least 272: larger batches still saved …`."""
    least, most = number(row, "at_least"), number(row, "at_most")
    smallest, largest = (number(row, f"{end}_batch_size") or 0 for end in ("min", "max"))
    if least is not None:
        saved = f": larger batches still saved updates up to {text.integer(largest)}, the largest that always got there"
        return f"at least {text.number(least)}{saved if least >= largest else ''}"
    if most is not None:
        cost = f": from {text.integer(smallest)} on, the smallest tried, larger batches cost examples"
        return f"at most {text.number(most)}{cost if most <= smallest else ''}"
    return ""


def _refused(row: Row) -> str:
    known = bound(row)
    return f"refused: {row['reason']}" + (f" It is {known}." if known else "")


def _count(content: float | None) -> Cell:
    return value(content, text.integer(content))


def _accepted(row: Row, name: str) -> float | None:
    return number(row, name) if row["accepted"] else None


def _critical_size(row: Row) -> Cell:
    return spread(_accepted(row, "b_crit"), _accepted(row, "ci_low"), _accepted(row, "ci_high"), 0)


def _range(row: Row) -> Cell:
    ends = [number(row, "min_batch_size"), number(row, "max_batch_size")]
    return Cell() if None in ends else sheets.text(" to ".join(map(text.integer, ends)))


_SAVINGS = (
    words("Target", wanted),
    words("What is chosen", lambda row: str(row["choice"]).replace("_", " ")),
    Field("Batch size", "batch_size", "examples"),
    Field("Power limit", "power_limit_watts"),
    Field("Runs", "n"),
    Field("Epochs", "epochs", "mean", form="number"),
    Own("Saved", lambda row: value(saved := number(row, "saving_percent"), text.fixed(saved, 2)), "%"),
)


@section(
    "Energy savings",
    "Energy to the target at the best batch size, the best power limit, and the best of both, against what was used. "
    "Sizes at which a run missed the target are no candidates. The least is chosen by the same numbers that it is "
    "reported with, so savings lean to the high side.",
)
def savings(content: Content, pair: Pair) -> list[Block]:
    """One row per target and choice: energy against the baseline."""
    caption = (
        "Energy to the target: mean epochs over the runs times the time per epoch times the mean power, at the least "
        "of all candidates of a row's kind. Without repeats of the power measurement there is no interval."
    )
    scale, unit = energy_unit(content)
    energy = Own("Energy", lambda row: _energy(number(row, "joules"), scale), unit)
    return [*table(content, pair, "savings", (*_SAVINGS[:-1], energy, _SAVINGS[-1]), caption)]


def _energy(joules: float | None, scale: float) -> Cell:
    return Cell() if joules is None else value(joules * scale)
