"""Tables and arrays of the user's own: what is read from them to the last digit, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchscope.data.dataset import DataError
from batchscope.data.sources.registry import known_size
from unit.sources import X, Y, csv, everything, made, npz, table


def test_csv_with_quotes_mark_and_late_fractions(tmp_path: Path) -> None:
    rows = "".join(f'{i + 0.5 if i > 30 else i},{i},"cat, ""{"ab"[i % 2]}"""\n' for i in range(40))
    data = made(csv(tmp_path, "\ufeffa,b,kind\n" + rows, features=["a"]), tmp_path)
    assert data.meta["class_names"] == ['cat, "a"', 'cat, "b"']
    assert list(data.meta["files"]) == ["data.csv"]
    assert sorted(everything(data)[:, 0])[-1] == 39.5
    np.testing.assert_array_equal(data.y_train, np.floor(data.x_train[:, 0]).astype(int) % 2)


def test_csv_with_records_that_span_many_lines(tmp_path: Path) -> None:
    labels = ["even\n" * 4000, "odd\n" * 5000]  # more than the megabyte that pyarrow reads at a time
    rows = "".join(f'{i},"{labels[i % 2]}"\n' for i in range(100))
    dataset = csv(tmp_path, "a,kind\n" + rows)
    data = made(dataset, tmp_path)
    assert len(data.x_train) == known_size(dataset) == 50
    np.testing.assert_array_equal(data.y_train, data.x_train[:, 0] % 2)


def test_parquet_with_categories_and_numbers_of_all_kinds(tmp_path: Path) -> None:
    kinds = pa.array(["lo", "hi"] * 20).dictionary_encode()
    columns = {"kind": kinds, "i": list(range(40)), "f": [0.5] * 40, "b": [True, False] * 20}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    data = made(table(tmp_path / "data.parquet"), tmp_path)
    assert data.meta["class_names"] == ["hi", "lo"]
    assert data.x_train.shape == (20, 3)
    np.testing.assert_array_equal(data.y_train, data.x_train[:, 2])  # "lo" is 1 where b is true


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("a,kind\n1,x\n", {"target": "sort"}, "data.csv has no column `sort`; it has: a, kind"),
        ("a,kind\n1,x\n", {"features": ["b"]}, "data.csv has no column `b`; it has: a, kind"),
        ("a,kind\n1,x\n", {"features": ["a", "kind"]}, "the target `kind` not at all"),
        ("kind\nx\n", {}, "no column is left for the features beside `kind`"),
        ("a,a,kind\n1,2,x\n", {}, "more than one column a"),
        (",kind\n0,x\n1,y\n", {}, "looks like a row number that pandas wrote"),
        ("a,kind\n1,x\n ,y\n", {}, "column `a`: record 2 is ' '; features must be numbers"),
        ("a,kind\n1,x\n,y\n", {}, "column `a`: record 2 is ''; features must be numbers"),
        ("a,kind\n1,x\n2,y\nnan,y\n", {}, "column `a`: record 3 is nan"),
        ("a,kind\n1,x\ninf,y\n", {}, "column `a`: record 2 is inf"),
        ("a,kind\n1,x\n1e39,y\n", {}, "features holds a value that is no finite number of 32 bits, first in example 2"),
        ("a,kind\n1,x\n2,\n", {}, "column `kind`: example 2 has no label"),
        ("a,kind\n1,0\n2,0.5\n", {}, "the label of example 2 is 0.5; labels must be whole numbers or texts"),
        ("a,kind\n1,0\n2,nan\n", {}, "the label of example 2 is nan"),
        ("a,kind\n1,x\n2\n", {}, "data.csv: row 2 after the header has 1 cells; valid are 2"),
        ("a,kind\n", {}, "features has no examples"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        made(csv(tmp_path, text, **keys), tmp_path)
    assert message in str(caught.value)
    assert str(caught.value).startswith("data set mine: ")


NANOSECONDS = 1_700_000_000_000_000_000


def test_seconds_that_differ_by_class_keep_their_values(tmp_path: Path) -> None:
    rows = "".join(f"{1_700_000_000 + i % 4},{i % 4}\n" for i in range(40))
    data = made(csv(tmp_path, "time,kind\n" + rows, scale="standardise"), tmp_path)
    values = np.unique(data.x_train)
    np.testing.assert_array_equal(np.searchsorted(values, data.x_train[:, 0]), data.y_train)
    np.testing.assert_array_equal(np.searchsorted(values, data.x_test[:, 0]), data.y_test)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_nanoseconds_beside_fractions_keep_their_values(tmp_path: Path, kind: str) -> None:
    columns = {"time": [NANOSECONDS + i % 4 for i in range(40)], "a": [i / 7 for i in range(40)]}
    frame = pd.DataFrame({**columns, "kind": Y})
    path = tmp_path / f"data.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    data = made(table(path, scale="standardise"), tmp_path)
    expected = np.float32((Y - 1.5) / np.sqrt(1.25))
    for x, y in ((data.x_train, data.y_train), (data.x_validation, data.y_validation), (data.x_test, data.y_test)):
        np.testing.assert_array_equal(x[:, 0], expected[y])
    assert data.meta["scale"]["mean"][0] == NANOSECONDS + 1.5  # rounded to 64 bits
    with pytest.raises(DataError, match=r"column `time` takes several values .*; use standardise"):
        made(table(path, scale="none"), tmp_path)


def test_arrays_of_nanoseconds_keep_their_values(tmp_path: Path) -> None:
    x = (NANOSECONDS + Y)[:, None]
    data = made(npz(tmp_path, x=x, y=Y, keys={"scale": "standardise"}), tmp_path)
    np.testing.assert_array_equal(data.x_train[:, 0], np.float32((data.y_train - 1.5) / np.sqrt(1.25)))
    for scale in ("none", "unit"):
        with pytest.raises(DataError, match=r"feature 1 of .*array `x` takes several values .*; use standardise"):
            made(npz(tmp_path, x=x, y=Y, keys={"scale": scale}), tmp_path)


def test_texts_of_whole_numbers_are_not_rounded(tmp_path: Path) -> None:
    text = "time,kind\n1,0\n2,1\n1.5,0\n9007199254740993,1\n"
    with pytest.raises(DataError, match="column `time`: record 4 is 9007199254740993, which numbers of 64 bits cannot"):
        made(csv(tmp_path, text), tmp_path)
    with pytest.raises(DataError, match="record 4 is 100000000000000000001,"):
        made(csv(tmp_path, text.replace("9007199254740993", "100000000000000000001")), tmp_path)


MERGED = {
    "whole numbers with a point": [f"{2**53 + i}.0" for i in range(40)],
    "whole numbers with an exponent": [f"{2**60 + i}e0" for i in range(40)],
    "decimals": [Decimal("1700000000.0000001") + i * Decimal("1e-9") for i in range(40)],
    "fractions": [f"1700000000.{i:09}" for i in range(40)],
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("numbers", MERGED)
def test_numbers_that_differ_and_are_equal_in_64_bits_are_refused(tmp_path: Path, numbers: str, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    frame = pd.DataFrame({"time": MERGED[numbers], "kind": Y})
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    with pytest.raises(DataError, match=r"column `time` holds numbers such as .* equal as numbers of 64 bits"):
        made(table(path, scale="standardise"), tmp_path)


@pytest.mark.parametrize(
    "numbers",
    [
        [f"{i % 4}.5" + "0" * (i % 3) for i in range(40)],  # one number, written in several ways
        [f"{i % 4}5e{-1 - i % 2}" if i % 3 else f"{i % 4 + 0.5}" for i in range(40)],
        [Decimal(1) / 3 * i for i in range(40)],
        [f"{i}.{'3' * 25}" for i in range(40)],
        [f"0e{'9' * (20 * (i % 2) + 1)}" if i % 4 < 2 else f"{i}.5" for i in range(40)],
    ],
)
def test_numbers_with_many_digits_that_stay_different_are_read(tmp_path: Path, numbers: list[Any]) -> None:
    frame = pd.DataFrame({"a": numbers, "kind": Y})
    frame.to_parquet(tmp_path / "data.parquet")
    data = made(table(tmp_path / "data.parquet"), tmp_path)
    assert set(everything(data)[:, 0]) == {np.float32(float(number)) for number in numbers}


def test_unsigned_labels_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    y = np.array([2**63, 2**63 + 1] * 20, np.uint64)
    with pytest.raises(DataError, match="the label of example 1 is 9223372036854775808;"):
        made(npz(tmp_path, x=X, y=y), tmp_path)


def test_the_index_of_a_pandas_table_is_no_feature(tmp_path: Path) -> None:
    index = pd.Index(np.arange(100, 140), name="sample")
    pd.DataFrame({"a": X[:, 0], "kind": Y}, index=index).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DataError, match=r"the column `sample` is the index .*valid is a file written with index=False"):
        made(table(tmp_path / "data.parquet"), tmp_path)
    assert made(table(tmp_path / "data.parquet", features=["sample"]), tmp_path).x_train.min() >= 100


def test_parquet_with_missing_values_or_dates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"a": [1.0, None], "when": pa.array([1, 2], pa.date32()), "kind": ["x", "y"]}), path)
    with pytest.raises(DataError, match=r"data.parquet: column `a`: record 2 has no value"):
        made(table(path, features=["a"]), tmp_path)
    with pytest.raises(DataError, match=r"column `when` has the type date32\[day\]; features must be numbers"):
        made(table(path, features=["when"]), tmp_path)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_gives_the_same_data_in_both_formats(tmp_path: Path, mark: str) -> None:
    columns: dict[str, Any] = {
        "flag": [True, False] * 20,
        "count": pd.array(range(40), "Int64"),
        "price": [Decimal(i) / 4 for i in range(40)],
        "share": np.arange(40, dtype=np.float32) / 8,
        "size": pd.Categorical([10, 20, 30, 40] * 10),
        "kind": pd.Categorical([" a", "a", "A", "NA"] * 10),
    }
    frame = pd.DataFrame(columns)
    (tmp_path / "csv").mkdir()
    frame.to_csv(tmp_path / "csv/data.csv", index=False, sep=mark)
    frame.to_parquet(tmp_path / "data.parquet")
    one, other = (made(table(tmp_path / name), tmp_path) for name in ("csv/data.csv", "data.parquet"))
    assert one.meta["class_names"] == other.meta["class_names"] == [" a", "A", "NA", "a"]
    np.testing.assert_array_equal(everything(one), everything(other))
    np.testing.assert_array_equal(one.y_train, other.y_train)
    assert set(everything(one)[:, 0]) == {0, 1}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["0", "1", "10", "2"], ["0", "1", "2", "10"]),
        (["1.0", "2.0", "10.0", "3.0"], ["1", "2", "3", "10"]),
        (["01", "1", "2", "3"], ["01", "1", "2", "3"]),
        (["1", "1.0", "2", "3"], ["1", "1.0", "2", "3"]),
        (["00", "01", "02", "10"], ["00", "01", "02", "10"]),
        ([str(2**63), str(2**63 + 1), "a", "b"], [str(2**63), str(2**63 + 1), "a", "b"]),
    ],
)
def test_labels_are_numbers_only_where_nothing_is_merged(tmp_path: Path, labels: list[str], names: list[str]) -> None:
    rows = "".join(f"{i},{labels[i % 4]}\n" for i in range(40))
    assert made(csv(tmp_path, "a,kind\n" + rows), tmp_path).meta["class_names"] == names


def test_labels_that_look_alike_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made(csv(tmp_path, "a,kind\n" + "".join(f"{i},{['cat', 'Cat '][i % 2]}\n" for i in range(40))), tmp_path)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "`cat` and `Cat ` are two classes" in caplog.text


@pytest.mark.parametrize("cell", ["0x1F", "1 000", "1_000", "True", "2024-05-01"])
def test_what_is_no_number_is_no_feature(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=f"column `a`: record 3 is '{cell}'; features must be numbers"):
        made(csv(tmp_path, f"a,kind\n1,x\n2,y\n{cell},x\n"), tmp_path)
