"""Tables that other programs wrote: the same content gives the same cells, whatever the format, and refusals."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchscope.tables import foreign
from batchscope.tables.foreign import Column, DataError, arrow
from batchscope.tables.foreign.csv_files import separator

SCRIPTS = Path(foreign.__file__).resolve().parents[3]
quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# What a cell may hold; Parquet is UTF-8, so no half of a pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=12)
named = st.sampled_from(
    ["NA", "nan", "null", "None", " a", "a ", "A", "01", "1.0", "1e3", "-", "=1+1", "#", '"', ";\t,"]
)


def column(*cells: str) -> Column:
    return Column(Path("sweep.csv"), "lr", cells, "measurements.runs.columns.learning_rate")


@quickly
@given(st.lists(st.tuples(texts | named, texts | named), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_texts_come_back_as_they_are(tmp_path: Path, rows: list[tuple[str, str]], mark: str) -> None:
    frame = pd.DataFrame(rows, columns=["first name", "second"])
    frame.to_csv(tmp_path / "a.csv", index=False, sep=mark, lineterminator="\r\n", encoding="utf-8-sig", quoting=1)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        table = foreign.read(tmp_path / name)
        assert (table.names, table.rows) == (("first name", "second"), len(rows))
        assert [table.column(each).labels() for each in table.names] == [list(each) for each in zip(*rows, strict=True)]
        assert foreign.rows(tmp_path / name) == len(rows)


@quickly
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
def test_whole_numbers_come_back_to_the_last_digit(tmp_path: Path, numbers: list[int]) -> None:
    frame = pd.DataFrame({"n": numbers, "other": 0})
    frame.set_index("n").to_parquet(tmp_path / "index.parquet")
    frame.astype({"n": "Int64"}).to_parquet(tmp_path / "nullable.parquet")
    pq.write_table(pa.table({"n": pa.array(map(Decimal, numbers), pa.decimal128(25, 2))}), tmp_path / "decimal.parquet")
    pyarrow.csv.write_csv(pa.Table.from_pandas(frame), tmp_path / "arrow.csv")
    frame.to_csv(tmp_path / "pandas.csv", index=False)
    for name in ("index.parquet", "nullable.parquet", "arrow.csv", "pandas.csv"):
        assert foreign.read(tmp_path / name).column("n").wholes(low=-(2**63)) == numbers
        assert set(foreign.header(tmp_path / name)) == {"n", "other"}
    small = [number for number in numbers if abs(number) <= 2**53]
    if len(small) == len(numbers):
        assert foreign.read(tmp_path / "decimal.parquet").column("n").wholes(low=-(2**63)) == numbers


@quickly
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1, max_size=8))
def test_numbers_come_back_exactly_and_empty_where_they_are_null(tmp_path: Path, numbers: list[float | None]) -> None:
    frame = pd.DataFrame({"x": pd.array(numbers, "Float64"), "other": 0})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    pyarrow.csv.write_csv(pa.table({"x": pa.array(numbers, pa.float64()), "o": [0] * len(numbers)}), tmp_path / "b.csv")
    for name in ("a.csv", "a.parquet", "b.csv"):
        found = foreign.read(tmp_path / name).column("x")
        assert [None if math.isnan(each) else each for each in found.numbers(empty=True)] == numbers
        assert found.empty() == [each is None for each in numbers]


@quickly
@given(
    st.lists(st.timedeltas(timedelta(days=-900), timedelta(days=900)), min_size=1, max_size=5),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    st.times(),
)
def test_durations_and_times_are_seconds(
    tmp_path: Path, durations: list[timedelta], moment: datetime, clock: time
) -> None:
    n = len(durations)
    frame = pd.DataFrame(
        {"took": pd.to_timedelta(durations), "at": [moment] * n, "zone": [moment] * n, "time": [clock] * n}
    )
    frame["zone"] = frame["zone"].dt.tz_localize("UTC")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    since = (moment - datetime(1970, 1, 1)).total_seconds()
    midnight = clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6
    for name in ("a.csv", "a.parquet"):
        table = foreign.read(tmp_path / name)
        assert table.column("took").seconds() == pytest.approx([each.total_seconds() for each in durations], abs=1e-5)
        assert table.column("at").seconds() == pytest.approx([since] * n, abs=1e-5)
        assert table.column("zone").seconds() == pytest.approx([since] * n, abs=1e-5)
        assert table.column("time").seconds() == pytest.approx([midnight] * n)


@quickly
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), named), min_size=2, max_size=8))
def test_data_sets_and_runs_read_the_same_cells(tmp_path: Path, rows: list[tuple[float, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["x", "kind"])
    frame["kind"] = frame["kind"].astype("category")
    for mark in (",", ";", "\t"):
        path = tmp_path / "a.csv"
        frame.to_csv(path, index=False, sep=mark)
        assert separator(path) == mark
        at_once = arrow.columns(path, ["x", "kind"], ["x", "kind"])
        assert {name: tuple(at_once.column(name).to_pylist()) for name in ("x", "kind")} == foreign.read(path).cells
    frame.to_parquet(tmp_path / "a.parquet")
    at_once = arrow.columns(tmp_path / "a.parquet", ["x", "kind"], ["x", "kind"])
    assert at_once.column("x").to_pylist() == foreign.read(tmp_path / "a.parquet").column("x").numbers()
    assert at_once.column("kind").to_pylist() == foreign.read(path).column("kind").labels()


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        (pa.array([True, None]), ("True", "")),
        (pa.array(["a", None]).dictionary_encode(), ("a", "")),
        (pa.array([0.1, 1e-5], pa.float32()), ("0.1", "1e-05")),
        (pa.array([0.1, float("nan")]), ("0.1", "nan")),
        (pa.array([Decimal("12.50"), None]), ("12.50", "")),
        (pa.array([date(2024, 5, 1), None]), ("2024-05-01", "")),
        (pa.array([2**64 - 1, 0], pa.uint64()), ("18446744073709551615", "0")),
        (pa.array([1, -1], pa.duration("ns")), ("0 days 00:00:00.000000001", "-1 days +23:59:59.999999999")),
        (pa.array([1, None], pa.time32("ms")), ("00:00:00.001", "")),
        (pa.array([None, None]), ("", "")),
    ],
)
def test_values_of_a_parquet_file_are_the_text_of_a_csv_file(tmp_path: Path, values: pa.Array, cells: Any) -> None:
    pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet")
    assert foreign.read(tmp_path / "a.parquet").cells == {"x": cells}


def test_blank_lines_a_mark_and_a_single_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfa\r\n\r\n1\r\n""\r\n\r\n')
    table = foreign.read(path)
    assert (table.names, table.cells) == (("a",), {"a": ("1", "")})
    path.write_bytes(b"")
    assert (foreign.header(path), foreign.rows(path)) == ([], 0)


def test_separators_are_told_by_the_rows_and_not_by_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x;y;z,b\n1,2\n")
    assert foreign.read(path).cells == {"x;y;z": ("1",), "b": ("2",)}
    path.write_text("a;b\n1,5;2,5\n")
    with pytest.raises(
        DataError, match=r"column `a`, row 1 after the header: `1,5` is not a number with a decimal point"
    ):
        foreign.read(path).column("a").numbers()


def test_a_long_cell_and_a_name_given_twice_are_no_error_where_nobody_asks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"a,note,note\n1,{'x' * 200_000},2\n")
    assert foreign.read(path, ["a"]).cells == foreign.read(path).cells == {"a": ("1",)}
    with pytest.raises(DataError, match="more than one column `note`"):
        foreign.read(path, ["note"])


def test_whole_numbers_beside_empty_cells_have_a_point() -> None:
    assert column("12.0", "", "9007199254740992.0", "+7", " 8 ").wholes(empty=True) == [12, None, 2**53, 7, 8]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1e3"], "row 1 .*`1e3` is not a whole number; valid is an integer from 0 to 9223372036854775807"),
        (["1", "12.5"], "row 2 .*`12.5` is not a whole number"),
        (["9007199254740993.0"], "has passed through a floating-point number, which may have changed it"),
        (["9223372036854775808"], "is not allowed"),
        (["-1"], "is not allowed"),
        (["1 000"], "`1 000` is not a whole number without marks between its thousands"),
        (["٣"], "is not a whole number"),
        (["1_000"], "is not a whole number"),
        (["0x10"], "is not a whole number"),
        (["x" * 1000], "`x{60}…` is not a whole number"),
        (["a\nb"], r"`a\\nb` is not a whole number"),
        (["NA"], "the cell has no value"),
    ],
)
def test_what_is_no_whole_number_is_refused_in_one_sentence(cells: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words) as error:
        column(*cells).wholes()
    assert str(error.value).startswith("sweep.csv: column `lr` (measurements.runs.columns.learning_rate), row ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("1 000", "without marks between its thousands"),
        ("1\u202f000,5", "without marks between its thousands"),
        ("93%", "a percentage"),
        ("0,5", "with a decimal point"),
        ("1_0", "is not a number;"),
        ("0x1F", "is not a number;"),
        ("fast", "is not a number;"),
        ("inf", "is not allowed"),
        ("1e999", "is not allowed"),
    ],
)
def test_what_is_no_number_is_refused_with_the_reason(cell: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        column("1", cell).numbers()


def test_truth_is_written_in_several_ways() -> None:
    assert column("True", "false", "1", " 0 ").booleans() == [True, False, True, False]
    with pytest.raises(DataError, match="`maybe` is neither true nor false"):
        column("maybe").booleans()


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1 days", 86400),
        ("1 day, 0:00:01", 86401),
        ("-1 days +23:59:57", -3),
        ("10:00:00.5", 36000.5),
        ("62.5", 62.5),
        ("2024-05-01T12:00:00Z", datetime(2024, 5, 1, 12, tzinfo=UTC).timestamp()),
        ("2024-05-01T12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC).timestamp()),
    ],
)
def test_durations_are_read_as_programs_write_them(cell: str, seconds: float) -> None:
    assert column(cell).seconds() == [seconds]


def test_labels_that_look_alike_are_told() -> None:
    found = column("cat", "Cat", "cat ", "dog", "1", "1.0", "01", "2").look_alikes()
    assert list(found) == [("cat", "Cat"), ("cat", "cat "), ("1", "1.0"), ("1", "01")]


def test_the_standard_library_reads_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    code = (
        "import sys; from pathlib import Path; from batchscope.tables import foreign; "
        "print(foreign.read(Path('a.csv')).column('b').wholes()); "
        "sys.exit(bool({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[2]\n"


def test_a_cut_file_and_other_formats_are_refused(tmp_path: Path) -> None:
    for name, content, words in [
        ("a.parquet", b"PAR1", "is not a whole Parquet file"),
        ("a.csv", "a,é\n".encode("latin-1"), "is not a CSV file in UTF-8"),
        ("a.xlsx", b"", "must be a .csv or a .parquet file"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=words):
            foreign.read(tmp_path / name)
    with pytest.raises(DataError, match="there is no file"):
        foreign.read(tmp_path / "gone.csv")
    pq.write_table(pa.table({"x": [[1]], "n": [1]}), tmp_path / "list.parquet")
    assert foreign.read(tmp_path / "list.parquet", ["n"]).cells == {"n": ("1",)}
    with pytest.raises(DataError, match=r"column `x` has the type list<"):
        foreign.read(tmp_path / "list.parquet")
