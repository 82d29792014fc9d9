"""Which data sets and recipes of a study a group of figures has something to draw for, as far as the study says."""

from __future__ import annotations

from collections.abc import Callable, Collection

from batchscope.figures import FOLLOWED
from batchscope.study.model import Study
from batchscope.tables.cells import Pair
from batchscope.tables.metrics import RESULTS


def pairs(study: Study, group: str) -> list[Pair]:
    """Those of `group` (`FigureSpec.group`), in the order of the study, of those that figures are drawn for."""
    found = _found(study, group)
    return [pair for pair in study.shown if pair in found]


def _found(study: Study, group: str) -> Collection[Pair]:
    if group in FOLLOWED:
        return study.followed(FOLLOWED[group])
    of_group: dict[str, Callable[[Study], Collection[Pair]]] = {
        "runs": lambda study: () if study.file.measurements else study.pairs,
        "answer": _compared,
        "targets": _targeted,
        "times": lambda study: {*_targeted(study)} & {*_timed(study)},
        "tuning": lambda study: study.tuned_pairs,
    }
    if group in of_group:
        return of_group[group](study)
    return {(run.dataset, run.recipe) for run in study.probed_runs(group)}


def _compared(study: Study) -> Collection[Pair]:
    """All, unless the runs were made elsewhere and have no results: only how long they took to a target, say."""
    given = study.file.measurements
    has_results = given is None or given.histories is not None or not {*RESULTS}.isdisjoint(given.runs.columns)
    return study.pairs if has_results else ()


def _targeted(study: Study) -> Collection[Pair]:
    """Those on data sets with targets."""
    return [pair for pair in study.pairs if study.has_targets(pair[0])]


def _timed(study: Study) -> Collection[Pair]:
    """Those of which seconds are known."""
    given = study.file.measurements
    if given is not None:
        return study.pairs if given.timings is not None or "seconds" in given.runs.columns else ()
    return {(cell.dataset, cell.recipe) for cell in study.cells} | {*study.borrowed_timings}
