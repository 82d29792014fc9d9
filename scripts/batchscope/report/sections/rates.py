"""The learning rate of every batch size."""

from __future__ import annotations

import pandas as pd

from batchscope import text
from batchscope.analysis.external_runs.given import best_mean_in_words
from batchscope.figures.sheets import Row, number
from batchscope.probes.section import Figure
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.fields import SIZE, Field, table, words
from batchscope.report.page import Block, section
from batchscope.stats import LEVEL
from batchscope.tables.cells import Pair

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


_OF_RUNS = (
    SIZE,
    Field("Learning rate", "learning_rate"),
    Field("Repetition", "seed"),
    Field("Chosen by", "selected_validation_loss", "lower is better"),
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
    over = "repetitions" if choices else "tuning seeds"
    caption = (
        f"{_chosen_by(choices[0]) if choices else _TUNED} The best rate is the geometric mean over the {over} of the "
        f"vertex of a parabola through the best rate tried and its neighbours, with its {LEVEL} t-interval. Where the "
        "best lies at the edge of the rates that could be trained, a better one may lie beyond it."
    )
    fold = f"All {text.count(n_trials, 'run' if choices else 'trial')}"
    columns = [field for field in _RATES if not (choices and field.heading == "Tuning seeds")]
    return [
        elements.paragraph(_bias(choices[0]) if choices else own),
        *table(content, pair, "rates", columns, caption),
        *table(content, pair, "trials", _OF_RUNS if choices else _TRIALS, "Every trial of a learning rate.", fold=fold),
        Figure("tuning"),
    ]


def _chosen_by(choice: Row) -> str:
    """By what the rates of external runs were chosen."""
    best = best_mean_in_words(choice["criterion"])
    return f"The runs of a size are those with the rate of the {best}, if no fewer of them succeeded."


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
    """How the best rate grows with the batch size, in a sentence."""
    n_sizes, n_bounded = int(row["n_sizes"]), int(row["n_bounded"])
    beside = "all" if n_bounded == n_sizes else f"{n_bounded}"
    basis = (
        f"{text.count(n_sizes, 'size')} whose best rate lies within the rates tried, and "
        f"{text.count(int(row['n']), 'tuning seed' if trained else 'run')}{'' if trained else ' at each rate'}"
        + (f"; of {beside} it is only known between which two rates tried it lies" if n_bounded else "")
    )
    value, least, most = (number(row, name) for name in ("slope", "slope_lowest", "slope_highest"))
    if least is None or most is None:
        return f"How the best rate grows with the batch size cannot be told from {basis}."
    low, high = number(row, "ci_low"), number(row, "ci_high")
    if value is not None:
        power = f"to the power {text.interval(value, low, high)} ({LEVEL} t-interval, from {basis})"
    else:
        ends = [text.number(each) for each in (least, most)]
        reach = [text.number(each) for each in (low, high) if each is not None]
        seeds = (
            f", with the spread of the {'seeds' if trained else 'runs'} between {' and '.join(reach)} ({LEVEL})"
            if len(reach) == 2
            else ""
        )
        power = f"to a power between {' and '.join(ends)}{seeds} (from {basis})"
    return f"The best rate grows as the batch size {power}. In proportion would be 1, with the square root 0.5."


def _edge(at_edge: bool | None) -> str:
    return "not tuned" if pd.isna(at_edge) else "yes" if at_edge else "no"
