"""The records of many runs and timings as one table each, read from and written to explicitly named files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa

from batchscope.analysis import advice, decision_tree, rates, scaling, targets
from batchscope.analysis.best import best, ranks
from batchscope.analysis.curves import equal_budget, learning_curves
from batchscope.analysis.external_runs import tables as external_runs
from batchscope.analysis.external_runs.given import Measurements, paired
from batchscope.analysis.recommendation import recommendation
from batchscope.analysis.summary import metrics, summary
from batchscope.analysis.times import with_errors
from batchscope.claims import definitions, replication, verdicts
from batchscope.claims.published import Published
from batchscope.claims.scope import Design
from batchscope.probes.columns import Record
from batchscope.probes.registry import PROBES, STUDY_TABLES
from batchscope.tables import codebook, records
from batchscope.tables.cells import CELL, PAIR, RUN, Pair, pairs
from batchscope.training.recipes import Recipe

# Which columns tell one row of a concatenated table from every other.
_KEYS = {
    "run": RUN,
    "evaluations": [*RUN, "evaluation"],
    "steps": [*RUN, "update"],
    "timing": CELL,
    "windows": [*CELL, "window"],
    "trials": [*RUN, "learning_rate"],
}
STEPS_PER_RUN = 400
_AT_A_TIME = 256  # files that are read before their rows are put together


class Borrowed(TypedDict):
    """A data set and recipe that takes its timings from another recipe."""

    dataset: str
    recipe: str
    timed_recipe: str


class Study(TypedDict):
    """What tables are made of besides the records: a part of `Study.describe()`."""

    datasets: dict[str, dict[str, Any]]
    recipes: dict[str, Recipe]
    claims: dict[str, dict[str, Any]]
    published: Sequence[dict[str, Any]]
    borrowed_timings: Sequence[Borrowed]
    targets: Sequence[targets.Target]
    measurements: Measurements | None


def study_tables(study: Study, **files: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """All tables of a study (the keys are `STUDY_TABLES`) from the files of its jobs, or from measurements.

    The order of data sets and recipes is that of the `run` files; sizes and seeds are sorted.

    Args:
        study: what the study is.
        files: run, evaluations, steps, timing, windows and trials: tables of `records`; run_manifest and
            timing_manifest: JSON. All empty where `study` names measurements instead. The records of probes and
            probe_manifest may be missing.

    Raises:
        FileNotFoundError: a file is missing.
        records.TableError: a file holds something else.
        ValueError: the files do not describe the same runs.
    """
    measured = study["measurements"]
    probed = {
        probe.name: {name: concat(name, files.pop(name, ()), record) for name, record in probe.records.items()}
        for probe in PROBES.values()
    }
    tables = _analysed(probed) | (
        _recorded(study, **files) if measured is None else _imported(measured, study["targets"])
    )
    shared = paired(measured)
    design = Design.of(study["datasets"], study["recipes"])
    runs, timings, of_target = tables["runs"], tables["timings"], tables["to_target"]
    sizes = runs.drop_duplicates("dataset").set_index("dataset")["n_train"]
    n_train = {str(name): None if pd.isna(size) else int(size) for name, size in sizes.items()}
    tables |= {
        "metrics": metrics(runs),
        "summary": summary(runs, timings, tables["not_measured"], tables["steps"]),
        "learning_curves": learning_curves(tables["evaluations"], runs),
        "best": best(runs, timings, paired=shared),
        "ranks": ranks(runs, paired=shared),
        "equal_budget": equal_budget(tables["evaluations"], runs, timings),
        "rates": rates.rates(runs, tables["trials"], paired=shared),
        "tuning_curves": rates.curves(tables["trials"]),
        "rate_slopes": rates.slopes(tables["trials"], paired=shared),
        "critical_batch_size": scaling.critical_batch_sizes(of_target, n_train, paired=shared),
        "pareto": advice.pareto(runs, timings),
    }
    reached = targets.summarise(of_target, runs, timings)
    tables["targets"] = scaling.with_residuals(reached, tables["critical_batch_size"])
    tables["tree"] = decision_tree.tree(tables, study["recipes"])
    tables["advice"] = advice.advice(tables, measured)
    tables["recommendation"] = recommendation(tables, _tuned_twins(design, pairs(runs)))
    tables["verdicts"] = verdicts.verdicts(tables, definitions.resolved(study["claims"]), design, paired=shared)
    tables["published"] = replication.published(tables, map(Published.model_validate, study["published"]))
    return {name: tables[name] for name in STUDY_TABLES}


def _tuned_twins(design: Design, every: Sequence[Pair]) -> dict[Pair, str]:
    """The recipe that tunes the learning rate for every size, of the data sets and recipes that have such a twin."""
    found = {pair: design.twins("learning_rate", "tuned", pair, every) for pair in every}
    return {pair: twins[0][1] for pair, twins in found.items() if twins}


def _recorded(
    study: Study,
    *,
    run: Sequence[Path],
    evaluations: Sequence[Path],
    steps: Sequence[Path],
    timing: Sequence[Path],
    windows: Sequence[Path],
    run_manifest: Sequence[Path],
    timing_manifest: Sequence[Path],
    trials: Sequence[Path],
    probe_manifest: Sequence[Path] = (),
) -> dict[str, pd.DataFrame]:
    """What the jobs of a study recorded, and when its runs reached its targets."""
    runs, timed = concat("run", run), concat("timing", timing)
    timed_windows = concat("windows", windows)
    timings = with_borrowed(with_errors(timed, timed_windows), runs, study["borrowed_timings"])
    tables = {
        "runs": runs,
        "evaluations": concat("evaluations", evaluations),
        "steps": concat("steps", steps, limit=STEPS_PER_RUN),
        "timings": timings,
        "windows": timed_windows,
        "not_measured": not_measured(run=run_manifest, timing=timing_manifest, probe=probe_manifest),
        "trials": concat("trials", trials),
    }
    _check_same_runs(runs, timed, tables)
    to_target = targets.to_target(runs, tables["evaluations"], timings, study["targets"])
    tables |= {name: codebook.frame(name, []) for name in ("left_out", "rate_choices")}
    return {**tables, "to_target": to_target, "savings": targets.savings(to_target, pd.DataFrame(), None)}


def _analysed(probed: Mapping[str, dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables that follow from what each probe recorded."""
    tables: dict[str, pd.DataFrame] = {}
    for probe, recorded in probed.items():
        tables |= recorded
        if PROBES[probe].derived:
            tables |= import_module(f"batchscope.probes.{probe}.analysis").analyse(recorded)
    return tables


def _imported(measurements: Measurements, wanted: Sequence[targets.Target]) -> dict[str, pd.DataFrame]:
    """What a study's measurements say, in the form of records."""
    found = external_runs.read(measurements, wanted)
    empty = {name: concat(name, []) for name in ("steps", "windows")}
    return {
        "runs": found.runs,
        "timings": with_borrowed(with_errors(found.timings, empty["windows"]), found.runs, []),
        **empty,
        **{name: getattr(found, name) for name in ("evaluations", "trials", "left_out", "rate_choices")},
        "not_measured": not_measured(),
        "to_target": found.to_target,
        "savings": targets.savings(found.to_target, found.timings_by_limit, measurements["baseline"]),
    }


def with_borrowed(timings: pd.DataFrame, runs: pd.DataFrame, borrowed: Sequence[Borrowed]) -> pd.DataFrame:
    """`timings` and, for each data set and recipe that takes them from another recipe, those under its own name.

    Adds the column timed_recipe: the recipe that was trained when the seconds were measured.

    Args:
        timings: the table `timing` of `records`.
        runs: the table `run`; only sizes that the borrower has runs of are taken.
        borrowed: what is taken from where.
    """
    parts = [timings.assign(timed_recipe=timings["recipe"])]
    cells = runs[CELL].drop_duplicates()
    for item in borrowed:
        found = parts[0][(timings["dataset"] == item["dataset"]) & (timings["recipe"] == item["timed_recipe"])]
        parts.append(found.assign(recipe=item["recipe"]).merge(cells, on=CELL))
    return pd.concat(parts, ignore_index=True)


def concat(table: str, paths: Sequence[Path], record: Record | None = None, limit: int | None = None) -> pd.DataFrame:
    """The rows of all `paths`, which hold the table `table`, sorted by data set, recipe, size and seed.

    Data sets and recipes keep the order in which `paths` bring them. No paths give a table without rows. A table that
    is not one of `records` is a `record` of a probe. Of each file at most `limit` rows are taken, as by `thin`.
    """
    columns, keys = (records.TABLES[table], _KEYS[table]) if record is None else (record.columns, record.keys)
    expected = records.schema(columns)
    frame = codebook.to_pandas(
        _together((thin(records.read_table(table, path, expected), limit) for path in paths), expected)
    )
    identity = frame[keys[len(PAIR) :]].assign(_pair=frame.groupby(PAIR, sort=False).ngroup())
    twice = identity.duplicated()
    if twice.any():
        first = frame.loc[twice, keys].iloc[0].to_dict()
        raise ValueError(f"table {table}: two files describe {first}")
    order = identity.sort_values(["_pair", *keys[len(PAIR) :]]).index
    return frame if order.is_monotonic_increasing else frame.take(order.to_numpy()).reset_index(drop=True)


def _together(parts: Iterator[pa.Table], expected: pa.Schema) -> pa.Table:
    """The rows of all `parts` in one chunk, as texts in many are slow to take rows from.

    Many small tables take several times the memory of their rows, so some are put together while others are read.
    """
    some: list[pa.Table] = [expected.empty_table()]
    while few := list(islice(parts, _AT_A_TIME)):
        some.append(pa.concat_tables(few).combine_chunks())
    return pa.concat_tables(some).combine_chunks()


def thin(rows: pa.Table, limit: int | None) -> pa.Table:
    """At most `limit` of the `rows` (2 or more), evenly spread, the first and the last among them; None for all."""
    if limit is None or rows.num_rows <= limit:
        return rows
    # A row is kept where the grid 0, 1, ..., limit - 1, stretched over the run, reaches a new whole row.
    grid = np.floor(np.arange(-1, rows.num_rows) * (limit - 1) / (rows.num_rows - 1))
    return rows.take(np.flatnonzero(np.diff(grid)))


def not_measured(**manifests: Sequence[Path]) -> pd.DataFrame:
    """What is null in the rows of jobs, and why: one row per kind and reason, from the manifests of each kind."""
    counts: dict[tuple[str, str, str], int] = {}
    totals = {kind: len(paths) for kind, paths in manifests.items()}
    for kind, paths in manifests.items():
        for path in paths:
            for column, reason in _read_reasons(path).items():
                counts[kind, reason, column] = counts.get((kind, reason, column), 0) + 1
    collapsed: dict[tuple[str, str, int], list[str]] = {}
    for (kind, reason, column), n in counts.items():
        collapsed.setdefault((kind, reason, n), []).append(column)
    rows = [
        {"kind": kind, "columns": ", ".join(columns), "reason": reason, "n": n, "of": totals[kind]}
        for (kind, reason, n), columns in collapsed.items()
    ]
    return codebook.frame("not_measured", rows)


def _read_reasons(path: Path) -> Mapping[str, str]:
    manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    reasons = manifest.get("not_measured")
    if not isinstance(reasons, dict):
        raise ValueError(f"{path}: a manifest has a key `not_measured` with a reason per column that is null")
    return reasons


def _check_same_runs(runs: pd.DataFrame, timings: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse records of runs and timings that are not there."""
    if runs.empty:
        raise ValueError("a study has at least one run, but no file of the table run was given")
    for name, keys, owner in (
        ("evaluations", RUN, runs),
        ("steps", RUN, runs),
        ("timings", CELL, runs),
        ("windows", CELL, timings),
        ("trials", CELL, runs),
    ):
        known, found = (
            set(table[keys].drop_duplicates().itertuples(index=False, name=None)) for table in (owner, tables[name])
        )
        stray = found - known
        if stray:
            raise ValueError(f"table {name} describes {sorted(stray)[0]}, of which there is no run or timing")


def _distinct(keys: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(keys.drop_duplicates().itertuples(index=False, name=None))
