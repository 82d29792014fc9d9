"""Which batch size to use, per goal, with what the runs leave open; and time against test error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from batchscope import text
from batchscope.analysis import decision_tree
from batchscope.analysis.choosing import Answer, Choice, choose, in_words, may_be_equal, per_seed, span
from batchscope.analysis.external_runs.given import Measurements, direction, paired
from batchscope.analysis.scaling import MAX_RESOLUTION
from batchscope.analysis.spent import seconds_to_selected
from batchscope.analysis.times import shared, times
from batchscope.stats.intervals import t_interval
from batchscope.stats.times import Time
from batchscope.tables.cells import CELL, PAIR, Size, about, of_pair, of_size, pairs, sizes_of
from batchscope.tables.codebook import frame
from batchscope.tables.metrics import TARGETS

GOALS = ("time_to_target", "test_accuracy", "memory", "energy", "decision_tree")
Tables = Mapping[str, pd.DataFrame]
_READ = ("runs", "timings", "summary", "targets", "to_target", "pareto", "tree")
# Peaks of memory that differ by less than this factor are not worth a choice; they hold the code and the data too.
SAME_MEMORY = 1.05
_MEGA = 1e6


def advice(tables: Tables, measurements: Measurements | None) -> pd.DataFrame:
    """One row per data set, recipe and goal (`GOALS`): the size with the best mean, and what else it may be.

    `tables` are those of the study: runs, timings, summary, targets, to_target, pareto and tree; `measurements` are
    those that it names, if it trains nothing. Sizes are compared over equal seeds by paired t-tests (runs that share
    nothing, as those of measurements mostly do, by Welch's), adjusted over all pairs of sizes of the question
    (`choosing.choose`).

    - time_to_target: seconds to the tightest target, of the metric named first, that some size reaches with all its
      runs. Only such sizes can be named. Where a run did not get there its time so far is a lower bound: the size is
      out where even that is told apart as slower; else it stays open, as does a size that lost a run.
    - test_accuracy: at the epoch that the validation loss chose. Of a size that lost a run nothing is known: open.
    - memory: peak of the runs. Equal amounts in all runs are exact, so sizes that always differ are told apart.
    - energy: joules to the target of time_to_target where known, else per epoch, which is one measurement per size.
    - decision_tree: where `tree` ends, compared with the sizes named for test accuracy and time.
    """
    by_seed = paired(measurements)
    rows: list[dict[str, Any]] = []
    for pair in pairs(tables["runs"]):
        found = {name: of_pair(tables[name], pair) for name in _READ}
        time = _time_to_target(found, measurements)
        accuracy = _test_accuracy(found, paired=by_seed)
        answers = {
            "time_to_target": time,
            "test_accuracy": accuracy,
            "memory": _memory(found, paired=by_seed),
            "energy": _energy(found, measurements),
            "decision_tree": decision_tree.ending(found["tree"], accuracy.choice, time.choice),
        }
        rows += [{**dict(zip(PAIR, pair, strict=True)), "goal": goal, **answers[goal].row()} for goal in GOALS]
    return frame("advice", rows)


def pareto(runs: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """One row per timed cell whose runs all have a test accuracy: time of training against test error.

    `seconds_mean` is the mean over the runs of the updates to the selected epoch times the seconds per update measured
    alone; `test_error_mean`, with its 95 % t-interval test_error_ci_low and _ci_high, is one minus the test accuracy at
    that epoch. `on_front` says that no other cell of the data set and recipe has means as low in both and lower in one.
    Cells that lost a run are left out: their survivors are no fair sample.
    """
    per_update = timings.set_index(CELL)["seconds_per_update"].dropna().to_dict()
    rows: list[dict[str, Any]] = []
    for _, of_recipe in about(runs, PAIR):
        found = [_spent(name, group, per_update) for name, group in about(of_recipe, CELL)]
        timed = [row for row in found if row is not None]
        means = np.array([(row["seconds_mean"], row["test_error_mean"]) for row in timed]).reshape(-1, 2)
        beaten = np.any(np.all(means <= means[:, None], axis=2) & np.any(means < means[:, None], axis=2), axis=1)
        rows += [{**row, "on_front": not lower} for row, lower in zip(timed, beaten.tolist(), strict=True)]
    return frame("pareto", rows)


def _spent(cell: dict[str, Any], runs: pd.DataFrame, per_update: Mapping[Any, float]) -> dict[str, Any] | None:
    """Time of training and test error of a cell; None where it was not timed or lost a run."""
    accuracy = runs["selected_test_accuracy"].to_numpy(np.float64, na_value=np.nan)
    seconds = seconds_to_selected(runs, per_update.get(tuple(cell.values())))
    if seconds is None or not np.isfinite(accuracy).all():
        return None
    return {**cell, "seconds_mean": seconds, **t_interval(1 - accuracy).columns("test_error")}


def _time_to_target(tables: Tables, measurements: Measurements | None) -> Answer:
    ordered = _deciding(tables["targets"], measurements)
    if tables["to_target"].empty:
        return Answer(words="Not measured: the study names no target.")
    if not ordered:
        return Answer(words="No size can be named: at none did all runs reach a target within the budget.")
    if tables["to_target"]["seconds"].isna().all():
        return Answer(words="Not measured: seconds to a target need a timing of the updates, which is not there.")
    by_seed = paired(measurements)
    answer = _to_target(tables, ordered[0], "seconds", paired=by_seed)
    others = [
        (target, _to_target(tables, (metric, target), "seconds", paired=by_seed).choice)
        for metric, target in ordered[1:]
    ]
    looser: dict[str, list[str]] = {}
    for target, choice in others:
        if choice is not None:
            looser.setdefault(choice.best.label, []).append(f"{target:g}")
    if not looser or answer.choice is None:
        return answer
    named = [f"{size} at {text.listing(values)}" for size, values in looser.items()]
    return answer.saying(f"At looser targets the lowest mean is that of {'; '.join(named)}.")


def _deciding(targets: pd.DataFrame, measurements: Measurements | None) -> list[tuple[str, float]]:
    """Metric and value of the targets that some size reaches with all its runs, tightest first, of the first metric."""
    reached = targets[(targets["n"] > 0) & (targets["n_reached"] == targets["n"])]
    if reached.empty:
        return []
    metric = next(name for name in targets["metric"] if (reached["metric"] == name).any())
    values = {float(value) for value in reached.loc[reached["metric"] == metric, "target"]}
    return [(metric, value) for value in sorted(values, key=lambda value: direction(metric, measurements) * value)]


def _to_target(tables: Tables, target: tuple[str, float], quantity: str, *, paired: bool) -> Answer:
    """Least seconds or joules to one target."""
    table = tables["to_target"]
    table = table[(table["metric"] == target[0]) & (table["target"] == target[1])]
    per_epoch = {"seconds": "seconds_per_epoch", "joules": "energy_per_epoch_joules"}[quantity]
    rate = _by_size(tables["summary"], per_epoch)
    lost = set(sizes_of(tables["runs"][tables["runs"]["outcome"].isin(["diverged", "out_of_memory"])]))
    values: dict[Size, pd.Series[float]] = {}
    bounds: dict[Size, pd.Series[float]] = {}
    missed = []
    for size in sizes_of(table):
        rows = of_size(table, size).set_index("seed")
        spent = rows[quantity].astype("float64")
        if rows["reached"].all():
            values[size] = spent
            continue
        missed.append(f"{size.label} ({int(rows['reached'].sum())} of {len(rows)} runs)")
        if size in lost:
            values[size] = spent  # null where a run was lost: the size is not compared
        else:
            so_far = rows["budget_epochs"].astype("float64") * rate.get(size, np.nan)
            bounds[size] = spent.where(rows["reached"].astype(bool), so_far)
    slack = {size: time.factors for size, time in times(tables["timings"]).items()}
    choice = choose(values, bounds, slack=slack, paired=paired)
    unit, what = {"seconds": ("s", "the lowest mean time to"), "joules": ("J", "the lowest mean energy to")}[quantity]
    if choice is None:
        return Answer(words=f"Not measured: no size that reaches the target with all runs has its {quantity}.")
    name, known = target[0], TARGETS.get(target[0])
    goal = f"a {known.words} of {target[1]:g}" if known else f"{name} {target[1]:g}"
    unclear = _unclear(choice.best, table, quantity)
    if unclear:
        sizes = span([choice.best, *unclear], choice.sizes)
        return Answer(
            words=f"No size can be named: evaluations are so far apart that {sizes} may have reached {goal} in any "
            "order. Earlier evaluations (first_evaluation_at), more of them, or a tighter target would decide."
        )
    if unit == "J" and (tables["to_target"]["joules"] >= _MEGA).any():
        choice, unit = choice.scaled(1 / _MEGA), "MJ"
    answer = in_words(choice, unit, f"{what} {goal}", "times as long" if unit == "s" else "times as much")
    answer = replace(answer, about=f"{known.words if known else name} {target[1]:g}")
    if missed:
        answer = answer.saying(f"Not reached by every run: {text.listing(missed)}.")
    if choice.open:
        answer = answer.saying(
            f"That {span(choice.open, choice.sizes)} would need more is not shown: the runs that did not get there "
            "ended too early for it, or how far they went is not known."
        )
    return answer.warning(shared(tables["timings"]))


def _unclear(best: Size, reached: pd.DataFrame, quantity: str) -> list[Size]:
    """Sizes that may have come before `best`, since evaluations of one of the two are too far apart to say when.

    The mean of a size is known to half the distance between the evaluations round each crossing, to either side.
    """
    known: dict[Size, tuple[float, float, bool]] = {}
    for size in sizes_of(reached):
        rows = of_size(reached, size)
        epochs, apart, spent = (
            rows[name].astype("float64").mean() for name in ("epochs", "resolution_epochs", quantity)
        )
        if rows["reached"].all() and epochs > 0:
            low, high = (spent * (1 + side * apart / epochs / 2) for side in (-1, 1))
            known[size] = (low, high, bool(apart > MAX_RESOLUTION * epochs))
    if best not in known:
        return []
    _, latest, coarse = known[best]
    return sorted(
        size for size, (first, _, other) in known.items() if size != best and first < latest and (coarse or other)
    )


def _test_accuracy(tables: Tables, *, paired: bool) -> Answer:
    values = per_seed(tables["runs"], "selected_test_accuracy")
    choice = choose(values, highest=True, paired=paired)
    if choice is None:
        return Answer(words="Not measured: at no batch size do all runs have a test accuracy.")
    answer = in_words(choice, "", "the highest mean test accuracy", "")
    close = [each for each in choice.together if may_be_equal(values[each], values[choice.best], paired=paired)]
    timed = times(tables["timings"])
    if quickest := _quickest(choice, close, _by_size(tables["pareto"], "seconds_mean"), timed):
        answer = answer.saying(quickest).warning(shared(tables["timings"]))
    return answer.saying("This looks at the test data; a choice of your own should rest on validation data.")


def _quickest(choice: Choice, close: Sequence[Size], seconds: Mapping[Size, float], timed: Mapping[Size, Time]) -> str:
    """Which of the sizes that may be the best trains in the least time; empty where nothing is to compare."""
    rivals = sorted({choice.best, *choice.equal, *close})
    if len(rivals) < 2 or any(size not in seconds for size in rivals):
        return ""
    quick = min(rivals, key=lambda size: seconds[size])

    def off(size: Size, end: int) -> float:
        """The time at an end of what is known of it."""
        return seconds[size] * (timed[size].factors[end] if size in timed else 1.0)

    level = [size for size in rivals if size == quick or off(size, 0) < off(quick, 1)]
    if len(level) > 1:
        return (
            f"Of the sizes that may be equal, {span(level, choice.sizes)} train to their selected epoch in times that "
            "are not distinguishable with one timing each."
        )
    if quick == choice.best and not choice.equal:
        return "Of those that may be equal to it, it trains to its selected epoch in the least time."
    if quick in (choice.best, *choice.equal):
        return f"Of these {quick.label} trains to its selected epoch in the least time."
    ratio = text.ratio(seconds[choice.best] / seconds[quick])
    reached, best = (text.number(choice.means[size]) for size in (quick, choice.best))
    return (
        f"Of the sizes whose difference from it may be zero, {quick.label} trains to its selected epoch in the "
        f"least time: {text.seconds(seconds[quick])} on average, {ratio} times as fast as {choice.best.label}, "
        f"at a mean test accuracy of {reached} instead of {best}."
    )


def _memory(tables: Tables, *, paired: bool) -> Answer:
    runs = tables["runs"]
    kinds = {
        "allocator_peak_bytes": "the framework's allocator on the device",
        "host_memory_peak_bytes": "the process on the host, above the imported framework",
    }
    for column, kind in kinds.items():
        choice = choose(per_seed(runs, column), exact=True, paired=paired)
        if choice is not None:
            if len(choice.means) > 1 and max(choice.means.values()) < SAME_MEMORY * min(choice.means.values()):
                return Answer(words=_same_memory(choice, kind), choice=choice)
            answer = in_words(choice.scaled(1e-6), "MB", "the lowest mean peak memory of a run", "")
            largest = max(choice.means, key=lambda size: choice.means[size])
            if len(choice.means) > 1 and choice.means[choice.best] > 0:
                ratio = text.fixed(choice.means[largest] / choice.means[choice.best], 2)
                answer = answer.saying(f"The largest, {largest.label}, takes {ratio} times as much.")
            return answer.saying(f"The peak is that of {kind}, over whole runs with their evaluations.")
    return Answer(words="Not measured: the runs have no peak of memory.")


def _same_memory(choice: Choice, kind: str) -> str:
    """Where tests may tell sizes apart by what nobody would choose by."""
    least, most = (pick(choice.means, key=lambda size: choice.means[size]) for pick in (min, max))
    low, high = (f"{text.number(choice.means[size] / 1e6)} MB (at {size.label})" for size in (least, most))
    return (
        f"No size saves memory worth choosing by: the mean peaks of runs lie between {low} and {high}, less than "
        f"{100 * (SAME_MEMORY - 1):.0f} % apart. The peak is that of {kind}, over whole runs with their evaluations."
    )


def _energy(tables: Tables, measurements: Measurements | None) -> Answer:
    ordered = _deciding(tables["targets"], measurements)
    if ordered and tables["to_target"]["joules"].notna().any():
        return _to_target(tables, ordered[0], "joules", paired=paired(measurements))
    table = tables["summary"]
    joules = _by_size(table, "energy_per_epoch_joules")
    if not joules:
        reasons = [reason for reason in table["energy_reason"].dropna().unique() if reason]
        return Answer(words=f"Not measured: {reasons[0] if reasons else 'the study has no measurement of energy'}.")
    best = min(joules, key=lambda size: joules[size])
    most = max(joules, key=lambda size: joules[size])
    kind = table["energy_kind"].dropna().iloc[0]
    times = f", {text.ratio(joules[most] / joules[best])} times as much," if joules[best] > 0 else ""
    words = (
        f"Batch size {best.label} takes the least energy per epoch ({kind}): {text.number(joules[best])} J. The "
        f"most{times} is that of {most.label}. This is one measurement per size, so it has no interval, and how "
        "many epochs a size needs is not in it."
    )
    return Answer(size=best, value=joules[best], unit="J", words=words)


def _by_size(frame: pd.DataFrame, column: str) -> dict[Size, float]:
    known = frame[frame[column].notna()]
    return {size: float(of_size(known, size)[column].iloc[0]) for size in sizes_of(known)}
