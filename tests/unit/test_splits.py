"""Sizes of the parts, and the size of a data set that is known before it is loaded."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batchscope.data.sources.registry import known_size
from batchscope.data.splits import (
    DataError,
    channels_first,
    feature_columns,
    npz_shape,
    split_sizes,
    table_columns,
)
from batchscope.tables import foreign

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


def test_a_split_that_leaves_no_training_examples_is_refused() -> None:
    with pytest.raises(DataError, match="validation and test take 100 of the 100 examples and leave none"):
        split_sizes(100, {"validation": 60, "test": 0.4})


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(DataError, match="add up to 90, but there are 100"):
        split_sizes(100, {"train": 50, "validation": 20, "test": 20})


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


ARRAYS = [
    np.zeros((4, 2, 3)),
    np.asfortranarray(np.zeros((4, 2), ">f4")),
    np.zeros((0, 3), np.uint8),
    np.array(["ab", "c"]),
    np.array([b"ab", b"c"]),
    np.zeros(3, "M8[ns]"),
    np.zeros(2, "c16"),
    np.zeros(2, bool),
    np.array(5),
    np.zeros((), "i2"),
]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype.str} {array.shape}")
def test_headers_of_all_versions_and_types(tmp_path: Path, array: np.ndarray, version: tuple[int, int]) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w") as stream:
        np.lib.format.write_array(stream, array, version=version)
    assert npz_shape(path, "x") == array.shape


def test_a_header_of_python_2_is_read(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 1L), }\n"
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        length = len(header).to_bytes(2, "little")
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + length + header + bytes(16))
    assert npz_shape(tmp_path / "data.npz", "x") == (2, 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, [("ü", "f8")]), "is a structured array"),
        (np.zeros(3, "V5"), "is a structured array"),
        (np.array([{}]), "holds Python objects"),
        (np.array(["a", "b"], np.dtypes.StringDType()), "holds Python objects"),
    ],
)
@pytest.mark.filterwarnings("ignore:Custom dtypes")
def test_arrays_of_structures_and_objects_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "data.npz", x=array)
    with pytest.raises(DataError, match=message):
        npz_shape(tmp_path / "data.npz", "x")


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace("(2,)", "(3,)"),  # more than there is
        HEADER.replace("(2,)", "(1,)"),
        HEADER.replace("(2,)", "(-2,)"),
        HEADER.replace("(2,)", "2"),
        HEADER.replace("(2,)", "(2.0,)"),
        HEADER.replace("<f8", "zebra"),
        HEADER.replace("'<f8'", "8"),
        HEADER.replace("descr", "type"),
        HEADER.replace("'<f8'", "[" * 3000),
        HEADER[:-1],
        "__import__('os')",
        "",
        HEADER + " " * 10_000,
    ],
)
def test_headers_that_announce_something_else_are_refused(tmp_path: Path, header: str) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        content = header.encode()
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content + bytes(16))
    with pytest.raises(DataError, match=r"is not a whole .npz file"):
        npz_shape(tmp_path / "data.npz", "x")


def test_a_cell_of_any_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"size,note\n1,{'a' * 200_000}\n")
    assert (table_columns(path), foreign.rows(path)) == (["size", "note"], 1)


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((1, 8, 8), True),
        ((3, 32, 32), True),
        ((4, 32, 32), True),
        ((8, 8, 1), False),
        ((3, 3, 3), False),
        ((1, 28, 3), False),
        ((2, 8, 8), False),
        ((1, 8), False),
        ((1, 1, 8, 8), False),
    ],
)
def test_channels_first_is_told_by_the_shape(shape: tuple[int, ...], first: bool) -> None:
    assert channels_first(shape) == first


def frame(index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({"size": np.arange(4.0), "kind": list("abab")}, index=index)


LEVELS = pd.MultiIndex.from_arrays([list("wxyz"), list("aabb")], names=["sample", "site"])


@pytest.mark.parametrize(
    ("index", "target", "refused"),
    [
        (pd.RangeIndex(4), "kind", None),
        (pd.RangeIndex(4, name="sample"), "kind", None),
        (pd.Index([5, 6, 7, 8], name="sample"), "kind", "sample"),
        (pd.Index(list("abab"), name="sample"), "sample", None),
        (pd.Index([5, 6, 7, 8]), "kind", "__index_level_0__"),
        (LEVELS, "kind", "sample"),
        (LEVELS, "sample", "site"),
    ],
)
def test_an_index_is_no_feature_unless_it_is_named(
    tmp_path: Path, index: pd.Index, target: str, refused: str | None
) -> None:
    path = tmp_path / "data.parquet"
    frame(index).to_parquet(path)
    others = [name for name in table_columns(path) if name != target]
    assert feature_columns(path, target, others) == others
    if refused is None:
        assert feature_columns(path, target, None) == others
    else:
        with pytest.raises(DataError, match=f"the column `{refused}` .* that pandas wrote"):
            feature_columns(path, target, None)


@pytest.mark.parametrize("name", ["", " ", "Unnamed: 0"])
def test_a_row_number_in_a_csv_is_no_feature(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"{name},size,kind\n0,1.5,a\n1,2.5,b\n")
    with pytest.raises(DataError, match=f"the column `{name}` looks like a row number that pandas wrote"):
        feature_columns(path, "kind", None)


def test_the_standard_library_is_enough(tmp_path: Path) -> None:
    frame(pd.RangeIndex(4)).to_parquet(tmp_path / "data.parquet")
    np.savez(tmp_path / "data.npz", x=np.zeros((40, 2)))
    code = (
        "import sys\n"
        "from pathlib import Path; from batchscope.data import splits; from batchscope.data.sources import registry\n"
        "from batchscope.study import definition_files\n"
        "registry.known_size({'name': 'd', 'source': 'digits', 'split': {'validation': 9, 'test': 9}})\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "splits.npz_shape(folder / 'data.npz', 'x'), splits.feature_columns(folder / 'data.parquet', 'kind', None)\n"
        "print([name for name in ('numpy', 'pyarrow', 'pandas', 'scipy', 'sklearn', 'keras') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr
