"""The tables of a study from results made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from batchscope.analysis.external_runs import evaluations, histories, rates, rows, timings
from batchscope.analysis.external_runs.given import Measurements, RunsFile, length_of
from batchscope.analysis.external_runs.histories import Course
from batchscope.analysis.external_runs.rates import Chosen
from batchscope.analysis.external_runs.rows import Row
from batchscope.analysis.external_runs.timings import Timing
from batchscope.analysis.targets import Target, to_target
from batchscope.identity.digests import file_sha256
from batchscope.tables import codebook, records
from batchscope.tables.cells import CELL, RUN
from batchscope.tables.job_columns import Columns

IMPORTED = "imported"
_OF_TARGET = ("seconds", "joules", "budget_epochs")


@dataclass(frozen=True)
class Imported:
    """Tables of a study that trains nothing.

    Columns of `runs`, `timings` and `trials` are those of the tables `run`, `timing` and `trials` of `records`, null
    where the file has no such thing; the others are in the codebook. `timings` are those at the power limit of the
    baseline; `timings_by_limit` has the fields of `timings.Timing` as columns.
    """

    runs: pd.DataFrame
    evaluations: pd.DataFrame
    trials: pd.DataFrame
    timings: pd.DataFrame
    to_target: pd.DataFrame
    left_out: pd.DataFrame
    rate_choices: pd.DataFrame
    timings_by_limit: pd.DataFrame


def read(measurements: Measurements, targets: Sequence[Target] = ()) -> Imported:
    """The tables of a study from the files that its resolved mapping `measurements` names.

    A row of the file of runs is one run, or one run and target. The run has not reached the target where the cell for
    `epochs` (or `updates`, `examples`) has no value; seconds and joules of such a row are not kept. Rows that are no
    results (`selecting.reasons`) are counted in `left_out`. Where a size was trained with several learning rates,
    `runs` are those with the best and `trials` are all (`rates.choose`).

    Updates are examples over the batch size where examples were given; else epochs, updates (ceil(n_train / batch size)
    per epoch) and examples follow from each other where n_train is known. Seconds and joules that no column holds are
    epochs times the seconds per epoch, and those times the mean power, of the timings at the baseline's power limit.

    How finely epochs to a target are known, `resolution_epochs`, is what the file's key of that name says; without it,
    1 where all epochs are whole numbers.

    Where no column holds `budget_epochs`, it is not known how long a run that missed the target was followed.

    Where there are histories, they say when a run reached a target, by the rule of own runs (`targets.to_target`).

    Args:
        measurements: as resolved by the study, with paths of files that are there.
        targets: those of the study; where there are histories and none of these, `evaluations.targets` sets some.

    Raises:
        DataError: in one sentence, which file, column and row is wrong, and what would be valid.
    """
    file = measurements["runs"]
    found, timed = rows.read(file), timings.read(measurements)
    course_file = measurements.get("histories")
    courses = {} if course_file is None else histories.read(course_file)
    found = histories.joined(found, courses, file["path"]) if courses else found
    chosen = rates.choose(found.rows, length_of(file), shared_seeds=file["shared_seeds"])
    at_limit = timings.at_limit(timed, measurements)
    runs = _runs(chosen, measurements)
    timing_table = _timing_table(at_limit, runs, measurements)
    looks = _evaluations(chosen.rows, courses, measurements)
    reached = _to_target(chosen.rows, at_limit, measurements)
    if courses:
        followed = runs.merge(looks[RUN].drop_duplicates(), on=RUN)
        reached = to_target(followed, looks, timing_table, targets or evaluations.targets(looks))
    return Imported(
        runs=runs,
        evaluations=looks,
        trials=_typed("trials", pd.DataFrame(map(_trial, chosen.trials)), Path(file["path"])),
        timings=timing_table,
        to_target=reached,
        left_out=codebook.frame("left_out", [asdict(each) for each in found.left_out]),
        rate_choices=codebook.frame("rate_choices", [asdict(each) for each in chosen.choices]),
        timings_by_limit=_frame(timed),
    )


def _runs(chosen: Chosen, measurements: Measurements) -> pd.DataFrame:
    """The table of runs: those of a data set and recipe in the order of their sizes and seeds."""
    n_train = measurements["runs"]["n_train"]
    found = []
    for same in rows.runs_of(_ordered(chosen.rows)).values():
        row = _identity(same[0]) | {"learning_rate": same[0].learning_rate}
        row |= {name: value for name, value in same[0].values.items() if name not in _OF_TARGET}
        if n_train is not None:
            row |= {"n_train": n_train, "updates_per_epoch": -(-n_train // same[0].batch_size)}
        found.append(row)
    return _typed("run", pd.DataFrame(found), Path(measurements["runs"]["path"]), codebook.OPTIONAL["runs"])


def _evaluations(chosen: Sequence[Row], courses: Mapping[str, Course], measurements: Measurements) -> pd.DataFrame:
    """The table of evaluations; whole numbers of updates and examples, as they are counted."""
    file = measurements.get("histories")
    if file is None:
        return codebook.frame("evaluations", [])
    one = [same[0] for same in rows.runs_of(_ordered(chosen)).values()]
    found = evaluations.evaluations(one, courses, histories.axis_of(file), measurements["runs"]["n_train"])
    whole = found.round({"updates": 0, "examples": 0})
    return _typed("evaluations", whole, Path(file["path"]), codebook.OPTIONAL["evaluations"])


def _ordered(found: Sequence[Row]) -> list[Row]:
    order = {pair: number for number, pair in enumerate(dict.fromkeys((row.dataset, row.recipe) for row in found))}
    return sorted(found, key=lambda row: (order[row.dataset, row.recipe], row.batch_size, row.seed))


def _identity(row: Row) -> dict[str, Any]:
    cell = {"dataset": row.dataset, "recipe": row.recipe, "batch_size": row.batch_size, "full_batch": False}
    return cell | {"seed": row.seed}


def _trial(trial: rates.Trial) -> dict[str, Any]:
    known = asdict(trial)
    value, diverged = known.pop("value"), known.pop("diverged")
    ended = {"outcome": "diverged" if diverged else "ok", "selected_validation_loss": value}
    return known | {"full_batch": False, "stage": "grid"} | ended


def _to_target(found: Sequence[Row], timed: Sequence[Timing], measurements: Measurements) -> pd.DataFrame:
    file = measurements["runs"]
    given = length_of(file)
    if not given:
        return codebook.frame("to_target", [])
    costs = {timing.batch_size: timing for timing in timed}
    apart = _resolution(found, file)
    table = []
    for row in _ordered(found):
        reached = math.isfinite(row.length)
        spent = _spent(row, given, file["n_train"], costs.get(row.batch_size))
        spent |= {name: row.values[name] for name in ("seconds", "joules") if name in row.values}
        spent["resolution_epochs"] = apart
        followed = row.values.get("budget_epochs", spent["epochs"])
        table.append(
            _identity(row)
            | {"metric": file["metric"], "target": row.target, "reached": reached, "budget_epochs": followed}
            | {name: value if reached else math.nan for name, value in spent.items()}
        )
    return codebook.frame("to_target", table)


def _resolution(found: Sequence[Row], file: RunsFile) -> float:
    """How many epochs lie between two evaluations of a run; NaN where that is not known."""
    said = file.get("resolution_epochs")
    if said is not None:
        return said
    lengths = [row.length for row in found if math.isfinite(row.length)]
    whole = length_of(file) == "epochs" and all(length.is_integer() for length in lengths)
    return 1.0 if whole and lengths else math.nan


def _spent(row: Row, given: str, n_train: int | None, cost: Timing | None) -> dict[str, float]:
    """What a run took to its target, in all units that are known."""
    spent = rows.lengths(row, given, n_train)
    seconds = math.nan
    if cost is not None:
        per_unit = {"epochs": cost.seconds_per_epoch, "updates": cost.seconds_per_update}
        known = [spent[unit] * cost_of for unit, cost_of in per_unit.items() if not math.isnan(spent[unit] * cost_of)]
        seconds = known[0] if known else math.nan
    return spent | {"seconds": seconds, "joules": seconds * (math.nan if cost is None else cost.power_watts)}


def _timing_table(timed: Sequence[Timing], runs: pd.DataFrame, measurements: Measurements) -> pd.DataFrame:
    """The table of timings, one row per batch size that has runs; quartiles, windows and memory are not known."""
    cells = runs.drop_duplicates(CELL)[[*CELL, "n_train", "updates_per_epoch"]]
    found = cells.merge(_frame(timed), on="batch_size")
    found["examples_per_second"] = found["batch_size"] / found["seconds_per_update"]
    return _typed("timing", found, measurements["timings"] and Path(measurements["timings"]["path"]))


def _frame(timed: Sequence[Timing]) -> pd.DataFrame:
    types = {name: "int64" if name == "batch_size" else "float64" for name in Timing.__dataclass_fields__}
    return pd.DataFrame(map(asdict, timed), columns=list(types)).astype(types)


def _typed(table: str, content: pd.DataFrame, source: Path | None, optional: Columns | None = None) -> pd.DataFrame:
    """Rows from the file `source` with the columns of a table of `records`; one that they lack is null.

    Of the `optional` columns it has those that they have.
    """
    fixed = dict.fromkeys(("engine", "loop", "device", "host", "started_at"), IMPORTED)
    fixed |= {} if "outcome" in content else {"outcome": "ok"}
    fixed["fingerprint"] = "" if source is None else file_sha256(source)
    declared = {**records.TABLES[table], **{name: each for name, each in (optional or {}).items() if name in content}}
    expected = pa.schema([field.with_nullable(True) for field in records.schema(declared)])
    whole = content.assign(**fixed).reindex(columns=expected.names)
    return codebook.to_pandas(pa.Table.from_pandas(whole, schema=expected, preserve_index=False))
