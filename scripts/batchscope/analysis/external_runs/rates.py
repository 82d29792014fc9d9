"""A grid of learning rates and batch sizes: the best rate of each size, and all others as trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from batchscope import text
from batchscope.analysis.external_runs.given import TO_TARGET, loss_of
from batchscope.analysis.external_runs.rows import Row, rate_step, runs_of
from batchscope.tables.metrics import QUALITY


@dataclass(frozen=True)
class Trial:
    """A run at one of several rates: `value` is what its rate is chosen by, lower is better, None without one."""

    dataset: str
    recipe: str
    batch_size: int
    seed: int
    learning_rate: float
    diverged: bool
    value: float | None
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """How the rates of a data set and recipe are chosen: by `criterion`, a column of runs or `to_target`.

    `runs` are those that did not diverge; `passed_over` names rates whose mean is better than that of the chosen one.
    """

    dataset: str
    recipe: str
    criterion: str
    most_rates: int
    runs: int
    passed_over: str


@dataclass(frozen=True)
class Chosen:
    """The rows of the runs at the best rate of their size; where there are several rates, all runs as trials."""

    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    choices: tuple[Choice, ...]


def choose(rows: Sequence[Row], length: str, *, shared_seeds: bool) -> Chosen:
    """The rows at the best rate of each size.

    The criterion is one for a data set and recipe: the result by which its sizes are compared, the first of `QUALITY`;
    but how long runs took to their targets, where that is given and no result is of validation data. The best rate has
    the smallest share of runs that diverged or missed a target, and of these the best mean. It is chosen by the runs
    that are then reported, which flatters every size a little, and a size with more rates more.

    Trials are numbered at each rate unless seeds are shared. A size whose runs all diverged has neither of them.

    Args:
        rows: of the file, those that diverged among them.
        length: the column that says how long runs took to a target; empty without one.
        shared_seeds: whether runs with the same seed share what it decides.
    """
    kept: list[Row] = []
    trials: list[Trial] = []
    choices: list[Choice] = []
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        pairs.setdefault((row.dataset, row.recipe), []).append(row)
    for pair, of_pair in pairs.items():
        if all(row.diverged for row in of_pair):
            continue
        sizes = {size: _by_rate(row for row in of_pair if row.batch_size == size) for size in _sizes(of_pair)}
        most = max(map(len, sizes.values()))
        criterion = _criterion(of_pair, length)
        passed_over: list[str] = []
        for size, by_rate in sizes.items():
            best = min(by_rate, key=lambda rate, tried=by_rate: _score(tried[rate], criterion))  # type: ignore[misc]
            rate = by_rate[best][0].learning_rate  # one number for rates that differ in their last digits
            ok = [replace(row, learning_rate=rate) for row in by_rate[best] if not row.diverged]
            kept += ok
            passed_over += [f"{named} at {text.integer(size)}" for named in _passed_over(by_rate, best, criterion)]
            trials += _trials(by_rate, best, criterion, shared_seeds=shared_seeds) if ok and most > 1 else []
        if most > 1:
            with_result = runs_of(row for row in of_pair if not row.diverged)
            choices.append(Choice(*pair, criterion, most, len(with_result), "; ".join(passed_over)))
    return Chosen(tuple(sorted(kept, key=lambda row: row.row)), tuple(trials), tuple(choices))


def _sizes(rows: Iterable[Row]) -> list[int]:
    return sorted({row.batch_size for row in rows})


def _by_rate(rows: Iterable[Row]) -> dict[float | None, list[Row]]:
    """The rows of each rate, the lowest first; those whose rate is not known are together, and last."""
    found: dict[float | None, list[Row]] = {}
    for row in rows:
        found.setdefault(rate_step(row.learning_rate), []).append(row)
    return {step: found[step] for step in sorted(found, key=lambda step: math.inf if step is None else step)}


def _criterion(rows: Sequence[Row], length: str) -> str:
    def known(name: str) -> bool:
        return any(math.isfinite(row.values.get(name, math.nan)) for row in rows)

    first = next(filter(known, QUALITY), TO_TARGET)
    return TO_TARGET if length and "_validation_" not in first else first


def _value(run: Sequence[Row], criterion: str) -> float:
    """What a run's rate is chosen by, lower is better; infinite where it diverged or missed a target."""
    if run[0].diverged:
        return math.inf
    if criterion == TO_TARGET:
        return sum(math.inf if math.isnan(row.length) else row.length for row in run)
    value = run[0].values[criterion]
    return math.inf if math.isnan(value) else loss_of(criterion, value)


def _score(rows: Sequence[Row], criterion: str) -> tuple[float, float]:
    """The share of runs without a value, and the mean over the others."""
    values = [_value(run, criterion) for run in runs_of(rows).values()]
    finite = [value for value in values if math.isfinite(value)]
    return 1 - len(finite) / len(values), sum(finite) / len(finite) if finite else math.inf


def _passed_over(by_rate: dict[float | None, list[Row]], best: float | None, criterion: str) -> list[str]:
    """The rates with a better mean than the chosen one, which more of their runs lack, and how many have a value."""
    found = []
    mean = _score(by_rate[best], criterion)[1]
    for rows in by_rate.values():
        lost, other = _score(rows, criterion)
        if other < mean:
            runs = len(runs_of(rows))
            rate = rows[0].learning_rate
            named = "a rate that is not given" if math.isnan(rate) else f"{rate:g}"
            found.append(f"{named} ({round((1 - lost) * runs)} of {text.count(runs, 'run')})")
    return found


def _trials(
    by_rate: dict[float | None, list[Row]], best: float | None, criterion: str, *, shared_seeds: bool
) -> list[Trial]:
    tried = {rate: list(runs_of(rows).values()) for rate, rows in by_rate.items() if rate is not None}
    trials = []
    for rate, runs in tried.items():
        for number, run in enumerate(runs):
            first = run[0]
            value = _value(run, criterion)
            trials.append(
                Trial(
                    *first.cell,
                    seed=first.seed if shared_seeds else number,
                    learning_rate=runs[0][0].learning_rate,
                    diverged=first.diverged,
                    value=value if math.isfinite(value) else None,
                    chosen=rate == best,
                )
            )
    return trials
