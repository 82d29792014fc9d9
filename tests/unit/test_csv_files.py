"""CSV files are those of pandas to the byte."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batchscope.tables.csv_files import write_csv

TINY = [5e-324, 1.5e-7, 1e-5, 9.99e-5, 1e-4]
LARGE = [1e9 - 0.5, 1e9 + 0.5, 1e15 - 0.5, 1e15, 1.5e15, 1e16, 1.25e22]
ODD = [0.0, 1.0, 100.0, 0.1 + 0.2, *TINY, *LARGE]
NUMBERS = np.concatenate([ODD, np.negative(ODD), [np.nan, np.inf, -np.inf], np.random.default_rng(1).normal(size=99)])


def both(frame: pd.DataFrame, folder: Path) -> tuple[bytes, bytes]:
    write_csv(frame, folder / "ours.csv")
    frame.to_csv(folder / "pandas.csv", index=False, lineterminator="\n")
    return (folder / "ours.csv").read_bytes(), (folder / "pandas.csv").read_bytes()


@pytest.mark.parametrize("text", ["digits", "", "é", "a, b", 'an "end"', "two\nlines", "return\r"])
def test_every_kind_of_column_is_written_as_by_pandas(tmp_path: Path, text: str) -> None:
    n = len(NUMBERS)
    whole, sides = pd.Series(range(n)), pd.Series(range(n)) % 2 == 0
    frame = pd.DataFrame(
        {
            "text": pd.Series([text, None] * n, dtype="str")[:n],
            "number": NUMBERS,
            "spread": NUMBERS * 10.0 ** np.random.default_rng(2).integers(-30, 30, n),
            "whole": whole,
            "some": whole.astype("Int64").where(sides),
            "side": sides,
            "known": sides.astype("boolean").where(whole % 3 > 0),
            "nothing": np.full(n, np.nan),
            "void": pd.Series([None] * n, dtype=object),
        }
    )
    for columns in (list(frame), list(frame.drop(columns="void"))):
        ours, theirs = both(frame[columns], tmp_path)
        assert ours == theirs


def test_a_table_without_rows_has_its_names(tmp_path: Path) -> None:
    ours, theirs = both(pd.DataFrame({"a": pd.Series(dtype="str"), "b": pd.Series(dtype="float64")}), tmp_path)
    assert ours == theirs == b"a,b\n"
