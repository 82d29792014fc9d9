"""The part of a study that names the course of runs made elsewhere: one value per run, step and metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from batchscope.analysis.external_runs.given import LENGTHS
from batchscope.config.errors import Fault
from batchscope.config.written import DIFFERENT, SORTED, ColumnName, List, Written, valid
from batchscope.tables.metrics import CURVES, quantity

_Named = Annotated[str, Field(min_length=1), valid("the name of a metric as the file writes it")]
_Curve = Literal[*CURVES]  # type: ignore[valid-type]
_SHARES = tuple(name for name in CURVES if quantity(name).scale)
_Share = Literal[*_SHARES]  # type: ignore[valid-type]


class MeasuredHistories(Written):
    """The file with the course of each run, from which its way to targets is measured as that of own runs; null for
    none. Runs are joined by the column `name` of the file of runs.
    """

    path: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid("the path of a .csv or .parquet file")]
    """A .csv or .parquet file, found like that of the runs."""
    columns: Annotated[
        dict[Literal["run", "metric", "value", *LENGTHS, *CURVES], ColumnName],  # type: ignore[valid-type]
        SORTED,
    ]
    """Which column holds what, as `ours: theirs`: `epochs`, `updates` or `examples` trained so far, and where there is
    a row per evaluation, the name of its `run` and what was measured, named as in `evaluations.csv`: losses and
    accuracies (`validation_loss`), and of validation data every other result (`validation_f1`). Where there is a row
    per value, `metric` names the column that says what each `value` measures.
    """
    metrics: Annotated[dict[_Curve, _Named], SORTED] = Field(default_factory=dict)
    """By our name of what was measured, the name in the file: of columns called `RUN - NAME`, one per run, or in the
    column `metric`. Empty where each has a column of its own.
    """
    offset: Annotated[float, Field(ge=0)] = 0.0
    """What is added to each number of epochs, updates or examples: 1 where the evaluation after the first epoch has the
    number 0.
    """
    percent: Annotated[List[_Share], DIFFERENT, valid("a list of accuracies, named as under columns")] = ()
    """Accuracies and other shares, such as F1 or WER, that the file gives in percent; others are from 0 to 1."""

    def conflicts(self) -> Iterator[Fault]:
        """The layout is one of three."""
        axes = [name for name in LENGTHS if name in self.columns]
        curves = [name for name in CURVES if name in self.columns]
        if len(axes) != 1:
            yield ["columns"], "it says how far a run had come in one way; valid is one of epochs, updates, examples"
        if ("metric" in self.columns) != ("value" in self.columns):
            yield ["columns"], "metric and value belong together; valid is both or neither"
        if bool(curves) == bool(self.metrics):
            yield (
                ["metrics"],
                f"what was measured is named {'twice' if curves else 'nowhere'}; valid is under columns, where each "
                "has a column of its own, or under metrics",
            )
        if (curves or "metric" in self.columns) and "run" not in self.columns:
            yield ["columns", "run"], "the key is missing; valid is the column that names the run of each row"
