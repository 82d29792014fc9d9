"""The results among the columns of an export: losses, accuracies and what else is known by its name."""

from __future__ import annotations

import math
from collections.abc import Sequence

from batchscope.study.trackers import names
from batchscope.study.trackers.fields import AmbiguousError, Field, in_percent, pick
from batchscope.study.trackers.finder import SHOWN, Finder, is_choice
from batchscope.tables.foreign import short
from batchscope.tables.metrics import ELSEWHERE, METRICS, RESULTS, quantity
from batchscope.text import listing

_UNKNOWN = (
    "columns.selected_validation_score where more is better, columns.selected_validation_cost where less is, or "
    "another result that config/README.md names, such as columns.selected_validation_f1"
)
_OBJECTIVE = f"columns.selected_validation_loss, columns.selected_validation_accuracy, {_UNKNOWN}"


def take_results(found: Finder) -> None:
    """Losses, accuracies and others: a value is of the best or the last evaluation, as its name says.

    Where a name does not say it, a value beside the best is the last, and one without is what the run reports.
    """
    said = [(names.result(f.name), f) for f in found.rest(names.result, "result", "") if f.numbers]
    known = [(result, f) for result, f in said if result is not None]
    with_part = {(result.part, result.metric) for result, _ in known if result.part}
    guessed: list[str] = []
    groups: dict[tuple[str, str], list[tuple[str, Field]]] = {}
    for result, each in known:
        part = result.part or _unnamed_part(found, each, result.metric, with_part)
        if f"last_{part}_{result.metric}" in RESULTS:
            groups.setdefault((part, result.metric), []).append((result.weights, each))
    for (part, metric), members in groups.items():
        best = [each for weights, each in members if weights == "best"]
        last = [each for weights, each in members if weights == "last"]
        other = [each for weights, each in members if not weights]
        for weights, columns in (("selected", best or other), ("last", last or (other if best else []))):
            ours = f"{weights}_{part}_{metric}"
            if found.ask(ours, lambda columns=columns, ours=ours: _one(found, columns, ours)):  # type: ignore[misc]
                _scale(found, ours)
        if not best and f"selected_{part}_{metric}" in found.columns:
            guessed.append(found.columns[f"selected_{part}_{metric}"][0])
    if guessed and found.tracker.keeps_last:
        found.remarks.append(
            f"{listing(list(map(short, guessed)))} {'count' if len(guessed) > 1 else 'counts'} as of the best "
            f"evaluation, which is a guess: an export of {found.tracker.name} holds the last value that was logged, "
            "unless the run recorded another. A column of last values is named last_… instead of selected_… in the "
            "study file."
        )


def ask_for_results(found: Finder, *, required: bool) -> None:
    """Ask what an objective measures; where a result is `required` and none is known, which column is one.

    All other columns are taken by then.
    """
    objective = next((f for f in found.rest(found.tracker.objective, "result") if f.numbers), None)
    if objective and not any(ours.startswith("selected_validation") for ours in found.columns):
        found.questions[_OBJECTIVE] = (
            f"what `{objective.column}` measures, and whether more of it is better, is not in the table"
        )
    elif required and not {*RESULTS} & {*found.columns, *(key.split(".")[-1] for key in found.questions)}:
        found.questions[_UNKNOWN] = _unknown(found)


def _unknown(found: Finder) -> str:
    """What is asked where no result is known by its name, and which columns may be one."""
    able = found.rest(lambda name: not names.is_cost(name), "result", "")
    able = [f for f in able if f.numbers and f.varies and (f.kind == "result" or not is_choice(f))]
    asked = "no column is named like a result that is known, such as a loss, an accuracy, F1, AUC or WER"
    if not able:
        return asked
    listed = listing([f"`{short(f.column)}`" for f in able[:SHOWN]])
    return f"{asked}; {listed} may be one"


def _one(found: Finder, columns: Sequence[Field], ours: str) -> Field | None:
    """The column of a result; of one that losses and accuracies go before, none where several may be meant."""
    try:
        return pick(columns, f"the {ours.replace('_', ' ')}")
    except AmbiguousError as error:
        if "_train_" not in ours and ours not in ELSEWHERE:
            raise
        found.remarks.append(f"{str(error).replace('`', '')}, so none is taken.")
        return None


def _unnamed_part(found: Finder, each: Field, metric: str, with_part: set[tuple[str, str]]) -> str:
    """Of which data a `loss` or an `acc` is: beside that of validation data of the training ones, as in Keras."""
    if ("validation", metric) in with_part:
        return "" if ("train", metric) in with_part else "train"
    if with_part & {("train", metric), ("test", metric)}:
        return ""
    part = "validation" if metric == "loss" else "test"
    counts_as = METRICS[f"last_{part}_{metric}"].words.removeprefix("last ")
    found.remarks.append(
        f"The table does not say on which data {short(each.column)} was measured; it counts as {counts_as}."
    )
    return part


def _scale(found: Finder, ours: str) -> None:
    """Shares in percent, such as accuracies, and what cannot be a share."""
    each = next(f for f in found.every if f.column == found.columns[ours][0])
    finite = [number for number in each.numbers if math.isfinite(number)]
    measured = quantity(ours)
    if in_percent(finite, measured.scale):
        found.percent.append(ours)
    elif measured.scale == "share" and finite and not 0 <= min(finite) <= max(finite) <= 1:
        del found.columns[ours]
        found.used.discard(each.column)
        found.remarks.append(f"{short(each.column)} has values below 0 or above 100, which no {measured.words} has.")
