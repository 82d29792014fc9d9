"""From an export to what its columns are: batch size, rate, seed, results, and which runs may be compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from batchscope.analysis.external_runs.selecting import FINISHED
from batchscope.study.trackers import names
from batchscope.study.trackers.fields import (
    UNFINISHED,
    AmbiguousError,
    Field,
    fields,
    pick,
    runs_of,
    taken_for_percentages,
)
from batchscope.study.trackers.finder import SHOWN, Finder, examples, is_choice
from batchscope.study.trackers.registry import tracker_of
from batchscope.study.trackers.results import ask_for_results, take_results
from batchscope.study.trackers.tracker import Tracker
from batchscope.tables.foreign import Table, short
from batchscope.text import count, listing

_SEED = names.one_of("seed", "random_seed", "rng_seed", "manual_seed", "global_seed", "train_seed", "random_state")
_RUN = names.one_of("run", "rep", "repeat", "repetition", "replicate", "trial")
_STATE = names.one_of("state", "status", "run_state", "run_status")
_NAME = names.one_of("name", "run_name", "run_id", "run", "id", "experiment")
_DATASET = names.one_of(
    "dataset", "dataset_name", "data_set", "data", "data_name", "data_dataset", "task", "task_name", "corpus"
)
_MODEL = names.one_of(
    *("model", "model_name", "model_type", "model_arch", "arch", "architecture", "network", "net", "backbone"),
    *("optimizer", "optim", "opt", "optimizer_name", "optimizer_type"),
)
_N_TRAIN = names.one_of(
    *("n_train", "num_train", "train_size", "n_train_examples", "num_train_examples", "n_train_samples"),
    *("num_train_samples", "train_examples", "train_samples"),
)


_TARGET = names.one_of("target", "target_metric", "target_value", "target_loss", "target_accuracy", "target_error")
_EPOCHS = names.one_of("epochs", "num_epochs", "n_epochs", "max_epochs", "total_epochs", "num_train_epochs")


@dataclass(frozen=True)
class Recognised:
    """What a table of runs was taken for.

    Attributes:
        tracker: who wrote it.
        columns: by our name of a column: theirs, and what speaks for it.
        dataset: the column that tells data sets apart; "" where none does.
        recipe: the columns that tell recipes apart.
        n_train: number of training examples; None where the table does not say it.
        plans: of finished runs by name, where the table says both: the epochs that were planned and the batch size.
        percent: our names of columns that hold percentages.
        remarks: sentences on what was assumed.
        left_out: the columns that nothing is made of, by reason.
        questions: what must be known and is not in the table, by the key that would say it.
    """

    tracker: str
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    dataset: str = ""
    recipe: tuple[str, ...] = ()
    n_train: int | None = None
    plans: dict[str, tuple[float, int]] = field(default_factory=dict)
    percent: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)

    def sentences(self) -> Iterator[str]:
        """What was taken for what and what was left out, for people."""
        marks = f"was read as an export of {self.tracker}" if self.tracker else "has the marks of no known tracker"
        yield f"The table {marks}."
        yield f"Columns used: {listing([f'{short(theirs)} as {ours}' for ours, (theirs, _) in self.columns.items()])}."
        yield from taken_for_percentages([self.columns[ours][0] for ours in self.percent])
        if self.dataset:
            yield f"Each value of {short(self.dataset)} is a data set."
        if self.recipe:
            each = "Each combination of values" if len(self.recipe) > 1 else "Each value"
            yield f"{each} of {listing(list(map(short, self.recipe)))} is a recipe."
        yield from self.remarks
        for reason, columns in self.left_out.items():
            more = f" and {count(len(columns) - SHOWN, 'other')}" if len(columns) > SHOWN else ""
            yield f"Left out, {reason}: {', '.join(map(short, columns[:SHOWN]))}{more}."


def recognise(table: Table, *, with_results: bool = True) -> Recognised:
    """What the columns of a table of runs are.

    Args:
        table: all columns of the file.
        with_results: whether the table must hold losses or accuracies, as it must where no history is given.
    """
    tracker = tracker_of(table.names)
    state = _state(table, tracker)
    if state:
        tracker = replace(tracker, roles={**tracker.roles, state: "state"})
    rows = runs_of(table, tracker)
    every = fields(table, tracker, rows)
    found = Finder(tracker, every, rows)
    for ours in ("name", "state"):
        if theirs := _role(every, tracker, ours):
            found.take(ours, theirs, "")
    size = found.ask("batch_size", lambda: _batch_size(found))
    found.ask("learning_rate", lambda: _learning_rate(found))
    lengths = _lengths(found)
    take_results(found)
    _times(found)
    workloads = _workloads(found, size) if size else ("", ())
    if size:
        _seed(found, size, workloads)
    n_train = next((f for f in found.rest(_N_TRAIN) if len(f.given) == 1 and f.wholes(1)), None)
    for each in (workloads[0], *workloads[1], n_train.column if n_train else ""):
        found.used.add(each)
    ask_for_results(found, required=with_results and not lengths)
    return Recognised(
        tracker.name,
        found.columns,
        *workloads,
        int(n_train.numbers[0]) if n_train else None,
        _plans(found, size),
        tuple(found.percent),
        tuple(found.remarks),
        _left_out(found, table, size),
        found.questions,
    )


def _role(every: Sequence[Field], tracker: Tracker, ours: str) -> Field | None:
    named = {f.column: f for f in every}
    found = [named[column] for column, role in tracker.roles.items() if role == ours and column in named]
    if not found and ours == "name":
        unique = [f for f in every if _NAME(f.name) and len(f.given) == len(f.cells) and f.cells]
        found = [f for f in unique if not f.numbers][:1]
    return found[0] if found else None


def _state(table: Table, tracker: Tracker) -> str:
    """A column with states where the tracker names none."""
    if "state" in {role for column, role in tracker.roles.items() if column in table.cells}:
        return ""
    known = FINISHED | UNFINISHED
    said = {name: {cell.strip().lower() for cell in cells} for name, cells in table.cells.items() if _STATE(name)}
    return next((name for name, states in said.items() if states and states <= known), "")


def _batch_size(found: Finder) -> Field | None:
    able = [f for f in found.rest(names.batch_size) if f.wholes(1)]
    order = ("update", "plain", "device")
    size = pick(able, "the batch size", lambda f: order.index(names.batch_size(f.name)))
    if size is None:
        whole = [f.column for f in found.rest(lambda name: not names.is_measured(name)) if f.varies and f.wholes(1)]
        named = f"; whole numbers that differ are in {', '.join(map(short, whole[:SHOWN]))}" if whole else ""
        raise AmbiguousError(
            f"no column is named like a batch size and holds a whole number in every finished run{named}"
        )
    if names.batch_size(size.name) != "update":
        _factors(found, size)
    if names.batch_size(size.name) == "device":
        found.remarks.append(
            f"{short(size.column)} counts the examples of one device, of which an update may take several."
        )
    return size


def _factors(found: Finder, size: Field) -> None:
    """What multiplies a batch before an update is made of it."""
    for each in found.rest(names.is_factor):
        if each.varies:
            raise AmbiguousError(
                f"`{each.column}` differs between runs, so `{size.column}` alone does not say how many examples an "
                "update takes; add a column with their product to the table, or choose runs of one value with `where`"
            )
        if each.numbers not in ((1.0,), ()):
            found.remarks.append(
                f"{short(each.column)} is {each.given[0]} in all runs: an update may take so many times the batch size."
            )


def _learning_rate(found: Finder) -> Field | None:
    able = [f for f in found.rest(names.is_learning_rate) if f.numbers and min(f.numbers) > 0]
    logged = [f for f in able if "train" in names.words(f.name)]  # the rate of the last update, which schedules change
    return pick([f for f in able if f not in logged], "the learning rate", lambda f: 0 if f.kind == "setting" else 1)


def _lengths(found: Finder) -> bool:
    """What each run took to a target, if the table says it."""
    taken = next((f for f in found.rest(names.length, "result", "") if f.numbers), None)
    if taken is None:
        return False
    found.take(names.length(taken.name), taken, examples(taken))
    target = next((f for f in found.rest(_TARGET) if f.numbers), None)
    if target is not None:
        found.take("target", target, examples(target))
        found.questions["metric"] = f"what the targets in `{target.column}` are values of is not in the table"
    else:
        found.questions["metric and target"] = f"`{taken.column}` leads to a value that is not in the table"
    return True


def _times(found: Finder) -> None:
    """What is said of the time of whole runs, which holds more than their updates."""
    every = [
        short(f.column) for f in found.every if f.given and f.column not in found.used and names.is_runtime(f.name)
    ]
    if every:
        found.remarks.append(
            f"{listing(every)} {'are times' if len(every) > 1 else 'is the time'} of whole runs, with evaluations and "
            "whatever else the machine did, and not used: a file with seconds_per_epoch or seconds_per_update of each "
            "batch size, named under measurements.timings, would say which size is fastest."
        )


def _seed(found: Finder, size: Field, workloads: tuple[str, tuple[str, ...]]) -> None:
    able = [f for f in found.rest(_SEED) if f.wholes(0)] or [f for f in found.rest(_RUN) if f.wholes(0)]
    if not able:
        return
    further = [found.columns[ours][0] for ours in ("learning_rate", "target") if ours in found.columns]
    by_name = {f.column: f for f in found.every}
    identity = [by_name[column] for column in (size.column, *further, workloads[0], *workloads[1]) if column]
    seed = able[0]
    rows = list(zip(*(f.cells for f in (*identity, seed)), strict=True))
    first: dict[tuple[str, ...], int] = {}
    pairs = ((first.setdefault(row, at), at) for at, row in zip(found.rows, rows, strict=True))
    alike = next(((earlier, at) for earlier, at in pairs if earlier != at), None)
    if alike is None:
        found.take("seed", seed, examples(seed))
    else:
        found.remarks.append(
            f"{short(seed.column)} does not tell runs of a batch size apart, as rows {alike[0] + 1} and {alike[1] + 1} "
            "show: they are numbered in the table's order."
        )
        found.used.add(seed.column)


def _workloads(found: Finder, size: Field) -> tuple[str, tuple[str, ...]]:
    """The columns of data sets and recipes: settings that meet several batch sizes, each with several values.

    A setting that follows the batch size, as warm-up steps may, would make a workload of every size; one that nearly
    every run has a value of its own of would leave nothing to compare.
    """
    named = [f for f in found.rest(_DATASET) if not f.numbers]
    dataset = next((f for f in named if f.varies), named[0] if named else None)
    able = [f for f in found.rest(lambda name: not names.is_measured(name)) if f.kind == "setting" or is_choice(f)]
    able = [
        f for f in able if f is not dataset and not _SEED(f.name) and not _RUN(f.name) and not names.batch_size(f.name)
    ]
    models = [f for f in able if _MODEL(f.name) and not f.numbers]
    ordered = [*models, *sorted((f for f in able if f not in models), key=lambda f: len(f.given))]
    chosen: list[Field] = []
    for each in ordered:
        several = [f for f in (dataset, *chosen) if f]
        new = each.cells not in {f.cells for f in several}
        if new and _crosses(each, size) and _sizes_each([*several, each], size) >= 2:
            chosen.append(each)
    return dataset.column if dataset else "", tuple(f.column for f in (chosen or models[:2]))


def _crosses(each: Field, size: Field) -> bool:
    sizes: dict[str, set[str]] = {}
    values: dict[str, set[str]] = {}
    for value, at in zip(each.cells, size.cells, strict=True):
        sizes.setdefault(at, set()).add(value)
        values.setdefault(value, set()).add(at)
    return max(map(len, sizes.values()), default=0) > 1 and max(map(len, values.values()), default=0) > 1


def _plans(found: Finder, size: Field | None) -> dict[str, tuple[float, int]]:
    """What each run was to do, which tells what the steps of a history count."""
    name = next((f for f in found.every if f.column == found.columns.get("name", ("", ""))[0]), None)
    epochs = next((f for f in found.every if f.kind != "result" and _EPOCHS(f.name) and f.wholes(1)), None)
    if size is None or name is None or epochs is None:
        return {}
    rows = zip(name.cells, epochs.cells, size.cells, strict=True)
    return {run: (float(planned), int(float(batch))) for run, planned, batch in rows}


def _sizes_each(columns: Sequence[Field], size: Field) -> float:
    """Batch sizes per combination of the values of some columns, on average."""
    cells = set(zip(*(f.cells for f in columns), size.cells, strict=True))
    return len(cells) / max(1, len({cell[:-1] for cell in cells}))


def _left_out(found: Finder, table: Table, size: Field | None) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {
        "since the tracker says it about the run": [],
        "empty in every finished run": [],
        "the same in every finished run": [],
        "not known by name as a result of one part of the data": [],
        "since it follows the batch size or nearly every run has a value of its own": [],
        "since the header names it more than once": [],
    }
    about, empty, same, measured, other, twice = reasons.values()
    for each in found.every:
        if each.column in found.used or _is_asked_about(each, found):
            continue
        kept = (
            *((not each.given, empty), (each.kind == "about", about)),
            *((each.kind == "result", measured), (not each.varies, same), (names.is_measured(each.name), measured)),
        )
        next((columns for fits, columns in kept if fits), other).append(each.column)
    twice += [name for name in dict.fromkeys(table.names) if table.names.count(name) > 1]
    return {reason: columns for reason, columns in reasons.items() if columns}


def _is_asked_about(each: Field, found: Finder) -> bool:
    """Whether a question names the column, so that the answer may use it."""
    return any(f"`{name}`" in asked for asked in found.questions.values() for name in (each.column, short(each.column)))
