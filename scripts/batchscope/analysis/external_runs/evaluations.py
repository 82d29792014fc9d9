"""The table of evaluations from the course of runs made elsewhere, and the targets of a study that names none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from batchscope.analysis.external_runs.histories import Course
from batchscope.analysis.external_runs.rows import Row, lengths
from batchscope.analysis.targets import Target, recorded
from batchscope.stats.quantiles import quantile
from batchscope.tables.cells import RUN
from batchscope.tables.metrics import TARGETS

SHARES = (1.0, 0.9, 0.5)
IN_A_ROW = 2


def evaluations(rows: Sequence[Row], courses: Mapping[str, Course], axis: str, n_train: int | None) -> pd.DataFrame:
    """A row per evaluation of the runs that have a course.

    A run that was first looked at after its start gets an evaluation 0 at the start without values: a target that it
    meets at its first look was crossed between the two.

    Args:
        rows: one per run.
        courses: by the name of a run.
        axis: what their steps count.
        n_train: number of training examples; without it epochs do not become updates, or updates epochs.
    """
    found = []
    for row in rows:
        course = courses.get(row.name)
        if course is not None:
            key = {"dataset": row.dataset, "recipe": row.recipe, "batch_size": row.batch_size}
            key |= {"full_batch": False, "seed": row.seed}
            steps = course.steps if course.steps[0] == 0 else (0.0, *course.steps)
            values = {
                name: (math.nan,) * (len(steps) - len(each)) + tuple(each) for name, each in course.values.items()
            }
            spent = [_spent(row, step, axis, n_train) for step in steps]
            found += [
                key | {"evaluation": number} | at | {name: each[number] for name, each in values.items()}
                for number, at in enumerate(spent)
            ]
    return pd.DataFrame(found)


def targets(found: pd.DataFrame) -> list[Target]:
    """Three targets for each data set of a study that names none, by a rule that does not see batch sizes.

    They are the values that all, 90 % and 50 % of the runs on the data set reach, whatever their batch size and
    recipe, in two evaluations in a row, rounded to four digits that are no harder to reach: of the validation loss, or
    where nobody recorded it, of the first metric of `TARGETS` that somebody did.
    """
    made: list[Target] = []
    for dataset, group in found.groupby("dataset", sort=False):
        for metric, known in TARGETS.items():
            values = pd.Series(known.sign * recorded(group, metric), group.index)
            if values.notna().any():
                lowest = values.groupby([group[name] for name in RUN]).agg(_held)
                levels = [quantile(lowest[np.isfinite(lowest)], share) for share in SHARES]
                reached = {_rounded_up(level) for level in levels if level is not None and known.sign * level > 0}
                kept = [known.sign * level for level in sorted(reached, reverse=True)]
                made.append(
                    {"datasets": [str(dataset)], "metric": metric, "values": kept, "evaluations_in_a_row": IN_A_ROW}
                )
                break
    return made


def _spent(row: Row, step: float, axis: str, n_train: int | None) -> dict[str, float]:
    if step == 0:
        return {"epoch": 0.0, "updates": 0.0, "examples": 0.0}
    spent = lengths(replace(row, length=step), axis, n_train)
    return {"epoch": spent["epochs"], "updates": spent["updates"], "examples": spent["examples"]}


def _held(values: pd.Series[float]) -> float:
    """The lowest value at or below which two successive evaluations are; infinite where there are none."""
    known = values.to_numpy(dtype=np.float64)
    pairs = np.maximum(known[1:], known[:-1])
    finite = pairs[np.isfinite(pairs)]
    return float(finite.min()) if len(finite) else math.inf


def _rounded_up(value: float) -> float:
    """The next number with four digits that is not below."""
    scale = 10.0 ** (3 - math.floor(math.log10(abs(value))))
    return float(f"{math.ceil(value * scale - 1e-9) / scale:.4g}")
