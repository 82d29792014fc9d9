"""The decision tree of one of the source documents, followed with measured numbers.

The tree asks, in this order: start at 32; is training unstable (larger); is it slow (larger, unless the hardware is
well used); is the test accuracy far below the training accuracy (smaller); is there batch normalization (at least 16);
is memory short (smallest that fits, and accumulate). It gives no numbers for "unstable", "slow", "low" and "far": the
thresholds here are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from batchscope import text
from batchscope.analysis.choosing import Answer, Choice
from batchscope.analysis.times import shared, times, without_core
from batchscope.stats.intervals import ROUNDING
from batchscope.stats.quantiles import median
from batchscope.tables.cells import Size, of_pair, of_size, pairs, sizes_of
from batchscope.tables.codebook import frame
from batchscope.training.recipes import Recipe

Tables = Mapping[str, pd.DataFrame]

START = 32  # the tree's
STABLE_UP_TO = 128  # the tree names 64 and 128 where training is unstable
SMALLEST = 8  # the tree names 16 and 8 where the model overfits
NORMALIZED_FROM = 16  # the tree's, under batch normalization
# Ours: jitter of a loss that has settled stays far below a tenth of its whole fall, a spike does not.
UNSTABLE_RISE = 0.10
# Ours: another size would halve the wait for an epoch; below that few would look further.
SLOW_RATIO = 2.0
# Ours: more than half of the time nothing is computed.
LOW_UTILISATION = 50.0
# Ours: five points of accuracy, several times the spread between seeds in the studies that come with the workflow.
WIDE_GAP = 0.05


@dataclass(frozen=True)
class _Case:
    """What the tree is asked about: the tables of one data set and recipe, its recipe, and its sizes in order."""

    tables: Tables
    recipe: Recipe | None
    sizes: Sequence[Size]


@dataclass(frozen=True)
class _Step:
    """A question with the number that decides it, its answer, and the size to go on with."""

    question: str
    measured: str
    answer: str
    at: Size


def tree(tables: Tables, recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """One row per question that was asked on the way through the tree, per data set and recipe that was trained.

    `tables` are those of the study (runs, evaluations, timings, summary), `recipes` its recipes by name. A change of
    size goes to the next size of the study, where the same question is asked again. Imported measurements have no rows:
    they lack the curves.
    """
    rows: list[dict[str, Any]] = []
    for pair in pairs(tables["runs"]):
        found = {name: of_pair(tables[name], pair) for name in ("runs", "evaluations", "timings", "summary")}
        if found["evaluations"]["train_loss"].isna().all():
            continue
        case = _Case(found, recipes.get(pair[1]), sizes_of(found["runs"]))
        for number, step in enumerate(_walk(case), 1):
            rows.append(
                {
                    "dataset": pair[0],
                    "recipe": pair[1],
                    "step": number,
                    "question": step.question,
                    "measured": step.measured,
                    "answer": step.answer,
                    "next": f"batch size {step.at.label}",
                    "next_batch_size": step.at.batch_size,
                    "next_full_batch": step.at.full_batch,
                }
            )
    return frame("tree", rows)


def ending(steps: pd.DataFrame, accuracy: Choice | None, time: Choice | None) -> Answer:
    """Where the walk `steps` of one data set and recipe ends, compared with the sizes measured as best."""
    if steps.empty:
        return Answer(words="Not followed: the tree asks for learning curves, which these measurements lack.")
    last = steps.iloc[-1]
    end = Size.of(last, "next_")
    goals = (("test accuracy", accuracy), ("time to target", time))
    compared = [(goal, *_compared(end, choice)) for goal, choice in goals if choice is not None]
    sentences = [f"The tree of one of the sources ends at batch size {end.label}."]
    sentences += [f"In {goal} {words}" for goal, words, _ in compared]
    if not compared:
        sentences.append("Which size is best was not measured, so nothing says whether that is right.")
    return Answer(
        size=end,
        decided=bool(compared) and all(known for _, _, known in compared),
        words=" ".join(sentences),
    )


def _compared(end: Size, choice: Choice) -> tuple[str, bool]:
    """A sentence on the size where the tree ends, and whether it is known to be right or wrong."""
    best = choice.best.label
    if choice.equal and end in (choice.best, *choice.equal):
        return "it has the best mean together with other sizes.", False
    if end == choice.best and choice.decided:
        return "it is the best size: all others are significantly worse.", True
    if end == choice.best:
        return "it has the best mean, but whether it is the best size is undecided.", False
    if end in choice.apart:
        return f"it is significantly worse than {best}.", True
    if end in choice.together:
        return f"it is not significantly different from {best}, which has the best mean.", False
    return f"it could not be compared with {best}, which has the best mean.", False


def _walk(case: _Case) -> list[_Step]:
    steps = [_start(case)]
    for ask in (_stability, _speed, _generalisation, _normalization, _memory):
        steps += ask(case, steps[-1].at)
    return steps


def _start(case: _Case) -> _Step:
    at = min(case.sizes, key=lambda size: abs(math.log2(size[0] / START)))
    measured = f"sizes of the study: {text.listing([size.label for size in case.sizes])}"
    answer = "start there" if at[0] == START else f"{START} is not among them: start at the nearest"
    return _Step(f"Start with batch size {START}", measured, answer, at)


def _stability(case: _Case, at: Size) -> list[_Step]:
    """Larger while unstable, as far as the tree names sizes."""
    question = f"Is training unstable at {at.label}?"
    runs = of_size(case.tables["runs"], at)
    lost = int((runs["outcome"] == "diverged").sum())
    rise = largest_rise(of_size(case.tables["evaluations"], at))
    limit = f"ours: a run diverged, or the rise is over {text.fixed(100 * UNSTABLE_RISE, 0)} %"
    known = "not measured" if rise is None else f"{text.fixed(100 * rise, 1)} % of its whole fall"
    measured = (
        f"{lost} of {text.count(len(runs), 'run')} diverged; largest rise of the training loss from one "
        f"epoch to the next, median over runs: {known} ({limit})"
    )
    if not lost and (rise is None or rise <= UNSTABLE_RISE):
        return [_Step(question, measured, "no" if rise is not None else "not measured: keep the size", at)]
    found = [size for size in case.sizes if size > at and size[0] <= STABLE_UP_TO]
    if not found:
        answer = f"yes: larger, but the study has no larger size up to the {STABLE_UP_TO} that the tree names"
        return [_Step(question, measured, answer, at)]
    step = _Step(question, measured, "yes: larger", found[0])
    return [step, *_stability(case, found[0])]


def _speed(case: _Case, at: Size) -> list[_Step]:
    """Larger while slow with an idle processor."""
    question = f"Is training slow at {at.label}?"
    known = {size: _number(case, size, "seconds_per_epoch") for size in case.sizes}
    timed = {size: seconds for size, seconds in known.items() if seconds is not None}
    if at not in timed:
        return [_Step(question, "no timing", "not measured: keep the size", at)]
    fastest = min(timed, key=lambda size: timed[size])
    factor = timed[at] / timed[fastest]
    low, high = _known_to(case, at, fastest)
    measured = "; ".join(
        [
            f"an epoch takes {text.ratio(factor)} times as long as at the fastest size "
            f"(ours: slow is over {text.number(SLOW_RATIO, 2)} times)",
            *filter(None, [shared(case.tables["timings"])]),
        ]
    )
    if low * factor <= SLOW_RATIO < high * factor:
        measured += "; its interval holds ratios on both sides of it"
        return [_Step(question, measured, "not known: keep the size", at)]
    if factor <= SLOW_RATIO:
        return [_Step(question, measured, "no", at)]
    return [_Step(question, measured, "yes: look at the utilisation", at), *_idle(case, at)]


def _known_to(case: _Case, one: Size, other: Size) -> tuple[float, float]:
    """The ends of the 95 % interval of the ratio of two times, over the ratio; of one time, 1."""
    known = times(case.tables["timings"])
    if one == other or one not in known or other not in known:
        return 1.0, 1.0
    return known[one].factors_over(known[other])


def _idle(case: _Case, at: Size) -> list[_Step]:
    """Larger where the processor of a slow size is used little, unless something else used it."""
    question = f"Is the processor used little at {at.label}?"
    used = _number(case, at, "utilisation_percent")
    if used is None:
        return [_Step(question, "no utilisation", "not measured: keep the size", at)]
    measured = f"utilisation {text.number(used)} % (ours: low is under {text.fixed(LOW_UTILISATION, 0)} %)"
    if used >= LOW_UTILISATION:
        return [_Step(question, measured, "no: keep the size", at)]
    if len(without_core(of_size(case.tables["timings"], at))):
        measured += "; the job did not have its core all the time, for whatever reason"
        return [_Step(question, measured, "not known: keep the size", at)]
    found = [size for size in case.sizes if size > at]
    if not found:
        return [_Step(question, measured, "yes: larger, but the study has no larger size", at)]
    return [_Step(question, measured, "yes: larger", found[0]), *_speed(case, found[0])]


def _generalisation(case: _Case, at: Size) -> list[_Step]:
    """Smaller while the test accuracy is far below the training accuracy, as far as the tree names sizes."""
    question = f"Is the test accuracy far below the training accuracy at {at.label}?"
    gap = _number(case, at, "gap_mean")
    if gap is None:
        return [_Step(question, "no accuracies", "not measured: keep the size", at)]
    bounds = (_number(case, at, "gap_ci_low"), _number(case, at, "gap_ci_high"))
    measured = (
        f"training minus test accuracy {text.interval(gap, *bounds)} at the selected epoch "
        f"(ours: far is over {text.number(WIDE_GAP, 1)})"
    )
    low, high = bounds
    if low is None or high is None or low <= WIDE_GAP < high:
        measured += "; there is no interval" if low is None else "; its interval holds gaps on both sides of it"
        return [_Step(question, measured, "not known: keep the size", at)]
    if gap <= WIDE_GAP:
        return [_Step(question, measured, "no", at)]
    found = [size for size in case.sizes if size < at and size[0] >= SMALLEST]
    if not found:
        answer = f"yes: smaller, but the study has no smaller size down to the {SMALLEST} that the tree names"
        return [_Step(question, measured, answer, at)]
    return [_Step(question, measured, "yes: smaller", found[-1]), *_generalisation(case, found[-1])]


def _normalization(case: _Case, at: Size) -> list[_Step]:
    question = "Is there batch normalization?"
    if case.recipe is None or "normalization" not in case.recipe["model"]:
        return [_Step(question, "the recipe does not say", "not known: keep the size", at)]
    normalization, micro = case.recipe["model"]["normalization"], case.recipe["micro_batch_size"]
    measured = f"the recipe's normalization is {normalization}"
    if normalization != "batch":
        return [_Step(question, measured, "no", at)]
    if micro is not None:
        measured += f", over micro batches of {text.integer(micro)}"
    found = [size for size in case.sizes if size[0] >= NORMALIZED_FROM]
    if at[0] >= NORMALIZED_FROM or not found:
        return [_Step(question, measured, f"yes: keep at least {NORMALIZED_FROM}", at)]
    return [_Step(question, measured, f"yes: at least {NORMALIZED_FROM}", found[0])]


def _memory(case: _Case, at: Size) -> list[_Step]:
    """The smallest size that fits where this one does not: what the tree says, to the letter."""
    question = f"Is memory short at {at.label}?"
    lost, jobs = _out_of_memory(case, at)
    measured = f"{lost} of {text.count(jobs, 'job')} ran out of memory (ours: short is one or more)"
    if not lost:
        return [_Step(question, measured, "no", at)]
    fitting = [size for size in case.sizes if not _out_of_memory(case, size)[0]]
    if not fitting:
        return [_Step(question, measured, "yes: smaller, but no size of the study fits", at)]
    answer = "yes: the smallest size that fits, with gradients accumulated to the size wanted"
    return [_Step(question, measured, answer, fitting[0])]


def _out_of_memory(case: _Case, size: Size) -> tuple[int, int]:
    """Runs and timings of `size` that ran out of memory, and all of them."""
    outcomes = [of_size(case.tables[name], size)["outcome"] for name in ("runs", "timings")]
    return sum(int((ended == "out_of_memory").sum()) for ended in outcomes), sum(map(len, outcomes))


def largest_rise(evaluations: pd.DataFrame) -> float | None:
    """Largest rise of the training loss from one epoch to the next over its whole fall, median over the runs.

    Of evaluations within an epoch only the first counts, so that it does not matter how often a run is looked at. The
    fall is from the first of them to the lowest; a run whose loss never falls counts as infinitely unstable.
    """
    rises = []
    for _, run in evaluations.sort_values("evaluation").groupby("seed"):
        _, first = np.unique(np.floor(run["epoch"].to_numpy(np.float64) + ROUNDING), return_index=True)
        losses = run["train_loss"].to_numpy(np.float64, na_value=np.nan)[first]
        losses = losses[np.isfinite(losses)]
        if len(losses) < 2:
            continue
        fall = float(losses[0] - losses.min())
        rises.append(max(0.0, float(np.diff(losses).max())) / fall if fall > 0 else math.inf)
    return median(rises)


def _number(case: _Case, size: Size, column: str) -> float | None:
    found = of_size(case.tables["summary"], size)[column].dropna()
    return float(found.iloc[0]) if len(found) else None
