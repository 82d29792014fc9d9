"""What a study says about one claim on one data set and recipe: the parts of its test and the numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from batchscope.analysis.summary import without_core
from batchscope.claims import readers, words
from batchscope.claims.definitions import Claim
from batchscope.claims.parts import Part
from batchscope.claims.samples import Samples, Size, Tables, of_pair
from batchscope.claims.scope import Pair
from batchscope.tables.metrics import METRICS, Metric
from batchscope.text import count


@dataclass(frozen=True)
class Evidence:
    """What a claim is judged by.

    Attributes:
        pair: the data set and recipe.
        pairs: those of the study, of which `pair` is one.
        tables: those of the study, by name.
        study: `Study.describe()`.
    """

    pair: Pair
    pairs: Sequence[Pair]
    tables: Tables
    study: Mapping[str, Any]

    def of(self, pair: Pair) -> Evidence:
        """The same study on another data set and recipe."""
        return replace(self, pair=pair)

    def rows(self, table: str) -> pd.DataFrame:
        """The rows of a table about the data set and recipe; raise `NotMeasuredError` where there are none."""
        return of_pair(self.tables, table, self.pair)

    def samples(self, metric: Metric) -> Samples:
        """The values of a metric; raise `NotMeasuredError` where there are none."""
        return readers.samples(metric, self.tables, self.pair, paired=self.pair[1] in self.study["recipes"])


@dataclass(frozen=True)
class Finding:
    """What a study says about a claim on one data set and recipe.

    Attributes:
        parts: the comparisons, empty where the claim is decided by counting.
        log: whether effects are logarithms of what is shown.
        unit: unit of the effects as they are shown.
        of: what the values are repeated over.
        n: how many of them there are at each size; the fewest.
        sizes: the batch sizes that the verdict is about.
        numbers: the values at these sizes, in words.
        counted: whether everything that was counted is as stated; None for a claim that is tested.
    """

    parts: tuple[Part, ...]
    log: bool
    unit: str
    of: str
    n: int
    sizes: tuple[Size, ...]
    numbers: str
    counted: bool | None = None


def over_sizes(claim: Claim, evidence: Evidence, found: Samples, parts: Sequence[Part]) -> Finding:
    """The finding on a claim about the values of its metric at some batch sizes."""
    metric, test = METRICS[claim.metric], claim.test
    sizes = test.of_sizes(found)
    remarks = [words.means(metric, found, sizes), test.remark(found, sizes)]
    if metric.table == "windows":
        remarks.append(_disturbed(evidence.rows("timings")))
    n = fewest(found, sizes)
    numbers = "; ".join(filter(None, remarks))
    return Finding(tuple(parts), test.log, test.unit(metric), found.of, n, tuple(sizes), numbers)


def fewest(found: Samples, sizes: Sequence[Size]) -> int:
    """The fewest repetitions behind the values at some sizes."""
    if found.fitted:
        return min(estimate.n for estimate in found.fitted.values())
    if found.of == "sizes":
        return len([size for size in sizes if size in found.values])
    return min((len(found.values[size]) for size in sizes if size in found.values), default=0)


def _disturbed(timings: pd.DataFrame) -> str:
    """How many timings something else slowed down, as a warning; empty where none."""
    short = len(without_core(timings))
    return f"{short} of {count(len(timings), 'timing')} did not have a core alone" if short else ""
