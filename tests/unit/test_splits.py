"""Sizes of the parts, and the size of a data set that is known before it is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batchscope.splits import DataError, known_size, split_sizes

sizes = st.one_of(st.integers(1, 400), st.floats(0.01, 0.99))


def resolved(source: str, split: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": "mine", "source": source, "split": split, **keys}


def npz(path: Path, x: str = "x") -> dict[str, Any]:
    return resolved("npz", {"validation": 0.2, "test": 0.2}, path=str(path), x=x, y="y", x_test=None, y_test=None)


def table(path: Path) -> dict[str, Any]:
    return resolved("table", {"validation": 0.2, "test": 0.2}, path=str(path), target="kind", features=None)


@settings(deadline=None)  # a busy machine is not a failure
@given(n=st.integers(1, 2000), validation=sizes, test=sizes)
def test_parts_are_never_empty_and_add_up(n: int, validation: float, test: float) -> None:
    try:
        parts = split_sizes(n, {"validation": validation, "test": test})
    except DataError:
        # Refused only where a part is rounded to nothing or nothing is left to train on.
        counts = [part if isinstance(part, int) else part * n for part in (validation, test)]
        assert sum(counts) > n - 2 or min(counts) < 0.5
    else:
        assert sum(parts) == n
        assert min(parts) >= 1


@settings(deadline=None)
@given(n=st.integers(20, 10_000), fraction=st.floats(0.05, 0.9))
def test_fractions_are_rounded_to_the_nearest_count(n: int, fraction: float) -> None:
    _, validation, test = split_sizes(n, {"validation": fraction})
    assert test == 0
    assert abs(validation - fraction * n) <= 0.5


def test_fractions_and_counts_of_the_bundled_data_sets() -> None:
    assert split_sizes(1797, {"validation": 0.15, "test": 0.2}) == (1168, 270, 359)
    assert split_sizes(60_000, {"validation": 6000}) == (54_000, 6000, 0)
    assert split_sizes(1200, {"train": 800, "validation": 200, "test": 200}) == (800, 200, 200)


@pytest.mark.parametrize("value", [0, -3, 0.0, 1.0, 1.5, float("nan"), True, "5", None])
def test_a_part_that_is_no_count_or_fraction_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match=r"split: test is .*; it must be a count from 1 or a fraction between 0 and 1"):
        split_sizes(100, {"validation": 10, "test": value})


def test_a_split_that_leaves_no_training_examples_is_refused() -> None:
    with pytest.raises(DataError, match="validation and test take 100 of the 100 examples and leave none"):
        split_sizes(100, {"validation": 60, "test": 0.4})


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(DataError, match="add up to 90, but there are 100"):
        split_sizes(100, {"train": 50, "validation": 20, "test": 20})


def test_declared_training_sizes_go_with_counts_only() -> None:
    with pytest.raises(DataError, match=r"validation is 0.5; it must be a count from 1$"):
        split_sizes(100, {"train": 50, "validation": 0.5, "test": 25})


@pytest.mark.parametrize(
    ("source", "split", "expected"),
    [
        ("digits", {"validation": 0.15, "test": 0.2}, 1168),
        ("blobs", {"train": 800, "validation": 200, "test": 200}, 800),
        ("random-labels", {"train": 1024, "validation": 256, "test": 256}, 1024),
        ("mnist", {"validation": 5000}, 55_000),
        ("fashion-mnist", {"validation": 6000}, 54_000),
        ("cifar10", {"validation": 0.1}, 45_000),
        ("function", {"validation": 0.1, "test": 0.1}, None),
    ],
)
def test_known_sizes(source: str, split: dict[str, Any], expected: int | None) -> None:
    assert known_size(resolved(source, split)) == expected


@settings(deadline=None)
@given(n=st.integers(5, 300))
def test_size_of_an_npz_comes_from_its_header(tmp_path_factory: pytest.TempPathFactory, n: int) -> None:
    path = tmp_path_factory.mktemp("npz") / "data.npz"
    np.savez_compressed(path, x=np.zeros((n, 2, 3)), y=np.zeros(n))
    assert known_size(npz(path)) == split_sizes(n, {"validation": 0.2, "test": 0.2})[0]


def test_npz_errors_name_file_and_array(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(DataError, match=f"data set mine: there is no file {path}"):
        known_size(npz(path))
    np.savez(path, images=np.zeros((9, 2)), labels=np.zeros(9), odd=np.array([{}], dtype=object), one=np.array(3))
    with pytest.raises(DataError, match=r"data.npz has no array `x`; it has: images, labels, odd, one"):
        known_size(npz(path))
    with pytest.raises(DataError, match="`odd` holds Python objects"):
        known_size(npz(path, "odd"))
    with pytest.raises(DataError, match="`one` is one number"):
        known_size(npz(path, "one"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"data.npz is not a whole .npz file"):
        known_size(npz(path, "images"))


@settings(deadline=None)
@given(texts=st.lists(st.text(alphabet='ab,"\n\r ü', min_size=1), min_size=5, max_size=30))
def test_records_of_a_csv_are_counted_not_its_lines(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    path.write_text("size,kind\n\n" + "".join(f"1.5,{text}\n" for text in quoted), encoding="utf-8", newline="")
    assert known_size(table(path)) == split_sizes(len(texts), {"validation": 0.2, "test": 0.2})[0]


def test_size_of_a_parquet_comes_from_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"size": [1.0] * 50, "kind": ["a", "b"] * 25}), path)
    assert known_size(table(path)) == 30
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"data.parquet is not a whole Parquet file"):
        known_size(table(path))


def test_other_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=r"ends in .xlsx; a table must be a .csv or a .parquet file"):
        known_size(table(tmp_path / "data.xlsx"))
    (tmp_path / "data.csv").write_bytes(b"size,kind\n1,\xff\n")
    with pytest.raises(DataError, match=r"data.csv is not a CSV file in UTF-8"):
        known_size(table(tmp_path / "data.csv"))


@settings(deadline=None)
@given(n=st.integers(2, 50), validation=st.integers(1, 60))
def test_known_size_and_split_agree_on_what_is_impossible(n: int, validation: int) -> None:
    assume(validation >= n)
    with pytest.raises(DataError, match="data set mine: split"):
        known_size(resolved("digits", {"validation": 1797 + validation - n, "test": 0.2}))


def test_sizes_are_found_without_importing_scikit_learn_or_pyarrow() -> None:
    code = (
        "import sys; from batchscope.splits import known_size;"
        "known_size({'name': 'd', 'source': 'digits', 'split': {'validation': 9, 'test': 9}});"
        "print([name for name in ('sklearn', 'pyarrow', 'pandas', 'scipy', 'keras') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
