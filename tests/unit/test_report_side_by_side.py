"""The recipes of a data set beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from bs4 import BeautifulSoup

from batchscope.report.content import Content
from batchscope.report.sections.quality import side_by_side


def cell(recipe: str, size: int, mean: float | None, *, finished: int = 5, full: bool = False) -> dict[str, Any]:
    ends = {"test_accuracy_ci_low": mean and mean - 0.01, "test_accuracy_ci_high": mean and mean + 0.01}
    head = {"dataset": "digits", "recipe": recipe, "batch_size": size, "full_batch": full, "n_train": 1168}
    return {**head, "test_accuracy_mean": mean, **ends, "n_ok": finished, "n_runs": 5}


def table(*cells: dict[str, Any]) -> list[list[str]]:
    summary = pd.DataFrame(cells)
    runs = summary[["dataset", "recipe", "batch_size"]]
    content = Content(
        study={"measurements": None}, manifest={}, tables={"summary": summary, "runs": runs}, figures=Path()
    )
    rows = BeautifulSoup(side_by_side(content), "html.parser").select("tr")
    return [[" ".join(each.get_text(" ").split()) for each in row.select("th, td")] for row in rows]


def test_every_size_has_the_accuracy_of_each_recipe_or_a_dash() -> None:
    head, smallest, largest = table(
        cell("norm-batch", 32, 0.98), cell("norm-batch", 1, 0.11, finished=1), cell("norm-layer", 32, 0.97)
    )
    assert [name.split()[0] for name in head] == ["Batch", "norm-batch", "norm-layer"]
    assert smallest == ["1", "0.110 [0.100, 0.120] 1 of 5 runs finished", "— none"]
    assert largest == ["32", "0.980 [0.970, 0.990]", "0.970 [0.960, 0.980]"]


def test_recipes_that_share_no_size_are_not_set_side_by_side() -> None:
    assert table(cell("norm-batch", 32, 0.98), cell("norm-layer", 16, 0.97)) == []
    assert table(cell("norm-batch", 32, None), cell("norm-layer", 32, None)) == []
