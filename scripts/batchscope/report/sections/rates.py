"""The learning rate of every batch size."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from batchscope import text
from batchscope.analysis.external_runs.given import best_mean_in_words, criterion_in_words, paired
from batchscope.figures.sheets import Row, number
from batchscope.figures.targets import sentence_case
from batchscope.probes.section import Figure
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.fields import SIZE, Field, Own, table, words
from batchscope.report.page import Block, section
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair, listed

_NAMED = 3  # sizes up to which a sentence names them
_RATES = (
    SIZE,
    Field("Rate of the runs", "learning_rate"),
    Field("Best rate", "optimum", "interpolated", form="digits"),
    words("Best at the edge", lambda row: _edge(row["at_edge"])),
    Field("Trials", "n_trials"),
    Field("Tuning seeds", "n_seeds"),
)
_TUNED = (
    "The runs use the tried rate with the lowest mean of the best validation loss over the tuning seeds, which are not "
    "seeds of the runs."
)
_TRIALS = (
    SIZE,
    Field("Learning rate", "learning_rate"),
    Field("Tuning seed", "seed"),
    Field("Best validation loss", "selected_validation_loss"),
    words("Outcome", lambda row: str(row["outcome"]).replace("_", " ")),
    Field("Grid", "stage"),
    words("Chosen", lambda row: "chosen" if row["chosen"] else ""),
)


def _of_runs(choice: Row) -> tuple[Field | Own, ...]:
    return (
        SIZE,
        Field("Learning rate", "learning_rate"),
        Field("Repetition", "seed"),
        Field("Chosen by", "selected_validation_loss", f"{criterion_in_words(choice['criterion'])}, lower is better"),
        words("Outcome", lambda row: str(row["outcome"])),
        words("Chosen", lambda row: "chosen" if row["chosen"] else ""),
    )


@section("Learning rate per batch size")
def rates(content: Content, pair: Pair) -> list[Block]:
    """One row per batch size: the learning rate of its runs and the best found; below it, folded, every trial."""
    frame, n_trials = content.of("rates", pair), len(content.of("trials", pair))
    if frame.empty or not frame["tuned"].any():
        return []
    choices = content.rows("rate_choices", pair)
    own = "Every size tried the same learning rates, and more where the best was the lowest or the highest of them, on "
    own += "seeds that no run of the study has."
    vertex = "vertex of a parabola through the best rate tried and its neighbours"
    if choices and not paired(content.study["measurements"]):
        found = f"The best rate is the {vertex}, of the means over runs; it has no interval."
    else:
        over = "repetitions" if choices else "tuning seeds"
        found = f"The best rate is the geometric mean over the {over} of the {vertex}, with its {LEVEL} t-interval."
    caption = f"{_chosen_by(choices[0]) if choices else _TUNED} {found}"
    edge = "Where the best lies at the edge of the rates that could be trained, a better one may lie beyond it."
    fold = f"All {text.count(n_trials, 'trial')}"
    trials = _of_runs(choices[0]) if choices else _TRIALS
    columns = [field for field in _RATES if not (choices and field.heading == "Tuning seeds")]
    return [
        elements.paragraph(f"{_bias(choices[0]) if choices else own} {edge}"),
        *table(content, pair, "rates", columns, caption),
        *table(content, pair, "trials", trials, "Every trial of a learning rate.", fold=fold),
        Figure("tuning"),
    ]


def _chosen_by(choice: Row) -> str:
    """By what the rates of external runs were chosen."""
    best = best_mean_in_words(choice["criterion"])
    return (
        f"The runs of a size are those with the rate of the {best}, of the rates at which the smallest share of "
        "finished runs lacks a result."
    )


def _bias(choice: Row) -> str:
    """What choosing a rate by the runs that are reported does to them."""
    tried = f"Up to {text.count(int(choice['most_rates']), 'learning rate')} were tried at a batch size"
    if "validation" in choice["criterion"]:
        return (
            f"{tried}, and the best was chosen by the validation part of the same runs: their validation results look "
            "a little better than those of new runs would."
        )
    return (
        f"{tried}, and the best was chosen by the same result that is reported, since the file has none of a "
        "validation part: every size looks better than new runs would, and a size with more rates more so."
    )


def slope(row: Row, *, trained: bool) -> str:
    """How the best rate grows with the batch size: the finding, and what it rests on."""
    n, fitted, bounded = int(row["n"]), listed(row["fitted"]), listed(row["bounded"])
    of_means = "the means of the runs at each rate, without an interval"
    repeated = text.count(n, "tuning seed") if trained else f"{n} runs at each rate" if n > 1 else of_means
    value, low, high, least, most = (
        number(row, name) for name in ("slope", "ci_low", "ci_high", "slope_lowest", "slope_highest")
    )
    if least is None or most is None:
        return (
            "How the best learning rate grows with the batch size is not known: it lies within the rates tried at "
            f"{f'{_sizes(fitted)} only' if fitted else 'no batch size'}; a slope needs two."
        )
    head = "The best learning rate changes as the batch size to"
    rests, others = f"The power rests on {_sizes(fitted)} and {repeated}.", _left_out(listed(row["left_out"]))
    powers = "The square root is 0.5, in proportion is 1."
    if value is not None:
        return f"{head} the power {text.interval(value, low, high)}. {powers} {rests}{others}"
    between = f"{head} a power between {text.number(least, 2)} and {text.number(most, 2)}."
    spread = (
        f"With the spread of the {'seeds' if trained else 'runs'} the {LEVEL} interval is {text.number(low, 2)} to "
        f"{text.number(high, 2)}. "
        if low is not None and high is not None
        else ""
    )
    some = _sizes(bounded) if len(bounded) <= _NAMED else f"{len(bounded)} of these sizes"
    where = "each of these sizes" if bounded == fitted else some
    known = f"At {where} the best rate is only known to lie between two rates tried."
    return f"{between} {spread}{powers} {rests} {known}{others}"


def _left_out(labels: Sequence[str]) -> str:
    """Which sizes a slope does not rest on, and why."""
    if not labels:
        return ""
    are, their = ("is", "its best rate") if len(labels) == 1 else ("are", "their best rates")
    return f" {sentence_case(_sizes(labels))} {are} left out: {their} may lie beyond those tried."


def _sizes(labels: Sequence[str]) -> str:
    """`batch size 8`, `batch sizes 8 and 32`, and of more than three how many they are."""
    if len(labels) > _NAMED:
        return f"{len(labels)} batch sizes"
    return f"batch size{'' if len(labels) == 1 else 's'} {text.listing(labels)}"


def _edge(at_edge: bool | None) -> str:
    return "not tuned" if pd.isna(at_edge) else "yes" if at_edge else "no"
