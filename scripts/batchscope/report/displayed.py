"""The chapters of the page, tables and figures as objects that a notebook displays as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import pandas as pd
from IPython.display import HTML, SVG

from batchscope.report import chapters
from batchscope.report.content import Content
from batchscope.report.sections import answer, opening
from batchscope.tables.cells import Pair


def _displayed(part: Callable[[Content], str]) -> Callable[[Content], HTML]:
    @wraps(part)
    def shown(content: Content) -> HTML:
        return HTML(part(content))  # type: ignore[no-untyped-call]

    return shown


question = _displayed(opening.question)
answers = _displayed(answer.answers)
quality = _displayed(chapters.quality)
speed_and_memory = _displayed(chapters.speed_and_memory)
time_to_target = _displayed(chapters.time_to_target)
stability_and_noise = _displayed(chapters.stability_and_noise)
why = _displayed(chapters.why)
learning_rates = _displayed(chapters.learning_rates)
statements = _displayed(chapters.statements)
how = _displayed(chapters.how)
provenance = _displayed(chapters.provenance)


def recommended(content: Content) -> pd.DataFrame:
    """The recommended batch size of every data set and recipe (table `recommendation`)."""
    return content.tables["recommendation"]


def tested_against_the_best(content: Content) -> pd.DataFrame:
    """Every batch size beside the one with the best mean (table `best`)."""
    return content.tables["best"]


def figure(content: Content, name: str, pair: Pair | None = None) -> SVG | None:
    """The figure `name` of a data set and recipe, by default the first; None where the study does not have it."""
    file = content.svg(name, pair or content.pairs[0])
    return None if file is None else SVG(filename=file)  # type: ignore[no-untyped-call]
