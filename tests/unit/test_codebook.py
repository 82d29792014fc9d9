"""Every column of every table is declared once, described, and checked when a table is written.

docs/tables.md is made from the same source; after a change rewrite it with `make schemas`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from batchscope.jobs import saved
from batchscope.probes.registry import PROBE_COLUMNS, STUDY_TABLES
from batchscope.tables import codebook
from batchscope.tables.records import TableError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def test_every_column_of_every_table_has_a_meaning() -> None:
    book = codebook.codebook(STUDY_TABLES, PROBE_COLUMNS)
    assert list(dict.fromkeys(book["table"])) == list(STUDY_TABLES)
    assert not book.duplicated(["table", "column"]).any()
    assert (book["meaning"].str.len() > 3).all()
    assert set(book["type"]) == {"string", "integer", "number", "boolean"}
    identity = book[book["column"] == "batch_size"].drop_duplicates(["type", "unit"])
    assert identity[["type", "unit"]].to_numpy().tolist() == [["integer", "examples"]]


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text(encoding="utf-8") == codebook.page(STUDY_TABLES, PROBE_COLUMNS)


def test_the_codebook_is_written_beside_the_tables(tmp_path: Path) -> None:
    saved.save_codebook(tmp_path / "codebook.csv")
    again = pd.read_csv(tmp_path / "codebook.csv", keep_default_na=False)
    assert list(again.columns) == ["table", "column", "type", "unit", "meaning"]
    row = again[(again["table"] == "critical_batch_size") & (again["column"] == "b_crit")].iloc[0]
    assert (row["type"], row["unit"]) == ("number", "examples")


def test_a_row_with_an_unknown_column_is_refused_and_what_it_lacks_is_null() -> None:
    with pytest.raises(TableError, match="optimumm"):
        codebook.frame("rates", [{"optimumm": 1.0}])
    row = {"dataset": "d", "recipe": "r", "batch_size": 8, "full_batch": False, "tuned": False}
    made = codebook.frame("rates", [{**row, "n_trials": 0, "n_seeds": 0}])
    assert list(made.columns) == list(codebook.columns_of("rates"))
    assert made[["optimum", "at_edge"]].isna().all(axis=None)
    assert codebook.dtypes("rates") == {name: str(dtype) for name, dtype in made.dtypes.items()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="slope"), "lacks ['slope']"),
        (lambda table: table.assign(more=1), "unknown columns ['more']"),
        (lambda table: table[[*table.columns[::-1]]], "order"),
        (lambda table: table.assign(slope="steep"), "column slope holds"),
        (lambda table: table.assign(n=1.5), "valid is integer"),
    ],
)
def test_a_table_that_is_not_as_declared_is_not_written(tmp_path: Path, change: object, words: str) -> None:
    row = {"dataset": "d", "recipe": "r", "n": 3, "fitted": "8; 32", "bounded": "", "left_out": "", "slope": 1.0}
    table = change(codebook.frame("rate_slopes", [row]))  # type: ignore[operator]
    with pytest.raises(TableError) as caught:
        saved.save("rate_slopes", table, tmp_path / "t.parquet", tmp_path / "t.csv")
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())
