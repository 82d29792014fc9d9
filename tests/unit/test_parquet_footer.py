"""The footer of a Parquet file read without a library says what pyarrow says, and what is damaged is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchscope.tables.foreign import footer as parquet_footer
from batchscope.tables.foreign.footer import FooterError

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
types = st.recursive(
    st.sampled_from([pa.int8(), pa.uint64(), pa.float64(), pa.bool_(), pa.string(), pa.decimal128(20, 3), pa.date32()]),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
        st.lists(st.tuples(names, inner), min_size=1, max_size=3).map(pa.struct),
    ),
    max_leaves=5,
)


@given(
    columns=st.lists(st.tuples(names, types), max_size=5),
    rows=st.integers(0, 12),
    group=st.integers(1, 5),
    version=st.sampled_from(["1.0", "2.6"]),
)
def test_columns_and_rows_are_those_that_pyarrow_finds(
    tmp_path_factory: pytest.TempPathFactory, columns: list[Any], rows: int, group: int, version: Any
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "table.parquet"
    table = pa.table([pa.nulls(rows, kind) for _, kind in columns], schema=pa.schema(columns))
    pq.write_table(table, path, row_group_size=group, version=version)
    file, footer = pq.ParquetFile(path), parquet_footer.read(path)
    assert list(footer.columns) == file.schema_arrow.names
    assert footer.rows == file.metadata.num_rows
    assert footer.index == ()


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(4), ()),
        (pd.RangeIndex(4, name="sample"), ()),
        (pd.Index([3, 1, 2, 9]), ("__index_level_0__",)),
        (pd.Index([3, 1, 2, 9], name="sample"), ("sample",)),
        (pd.MultiIndex.from_product([[0, 1], ["a", "b"]], names=["sample", "größe"]), ("sample", "größe")),
        (pd.MultiIndex.from_product([[0, 1], ["a", "b"]], names=["sample", None]), ("sample", "__index_level_1__")),
    ],
)
def test_the_index_that_pandas_wrote_is_known(tmp_path: Path, index: pd.Index, expected: tuple[str, ...]) -> None:
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": np.arange(4.0), "b": list("wxyz")}, index=index).to_parquet(path)
    footer = parquet_footer.read(path)
    ranges = {index.name: range(4)} if isinstance(index, pd.RangeIndex) and index.name else {}
    assert footer == parquet_footer.Footer(("a", "b", *expected), 4, expected, ranges)


def written(folder: Path) -> bytes:
    path = folder / "table.parquet"
    pd.DataFrame({"a": np.arange(4.0), "b": list("wxyz")}, index=pd.Index(range(1, 5), name="n")).to_parquet(path)
    return path.read_bytes()


@given(data=st.data())
def test_a_damaged_footer_is_refused_or_read_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(written(tmp_path_factory.mktemp("parquet")))
    start = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(start, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    read_or_refused(tmp_path_factory.mktemp("parquet") / "table.parquet", bytes(content))


@given(footer=st.binary(max_size=200))
def test_a_footer_of_any_bytes_is_refused_or_read_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, footer: bytes
) -> None:
    content = b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"
    read_or_refused(tmp_path_factory.mktemp("parquet") / "table.parquet", content)


def read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        footer = parquet_footer.read(path)
    except FooterError:
        return
    assert footer.rows >= 0
    assert set(footer.index) <= set(footer.columns)


@pytest.mark.parametrize("cut", [1, 4, 9, 30, 10_000])
def test_a_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    content = written(tmp_path)
    (tmp_path / "table.parquet").write_bytes(content[: max(len(content) - cut, 0)])
    with pytest.raises(FooterError):
        parquet_footer.read(tmp_path / "table.parquet")


def test_structs_within_structs_without_end_are_refused(tmp_path: Path) -> None:
    path, footer = tmp_path / "table.parquet", b"\x1c" * 100_000
    path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")
    with pytest.raises(FooterError, match="damaged"):
        parquet_footer.read(path)
