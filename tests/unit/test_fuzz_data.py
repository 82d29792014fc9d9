"""Whatever a user's file holds, it gives a data set or one sentence, and the size known beforehand is the size made."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from batchscope.data import making
from batchscope.data.dataset import DataError
from batchscope.data.sources.reading import Place
from batchscope.data.sources.registry import known_size
from batchscope.data.splits import npz_shape, table_columns
from batchscope.tables import foreign

moderate = settings(max_examples=100)
scales = st.sampled_from(["none", "unit", "standardise"])
names = st.sampled_from(["x", "y", "y", "", " ", "é", "Unnamed: 0", "a.b", '"', "\ufeff", "n" * 300])
SOURCES = {"npz": {"x": "x", "y": "y", "x_test": None, "y_test": None}, "table": {"target": "y", "features": None}}


def resolved(source: str, path: Path, **keys: Any) -> dict[str, Any]:
    common = {"split": {"validation": 0.25, "test": 0.25}, "draw": "fixed", "split_seed": 0, "order": "by-class"}
    return {"name": "mine", "source": source, "path": str(path), "classes": None, **SOURCES[source], **common, **keys}


def assert_data_or_a_sentence(dataset: dict[str, Any]) -> None:
    size = sentence_or(known_size, dataset)
    data = sentence_or(making.prepared, dataset, "fixed", Place())
    if data is None:
        return
    parts = [(data.x_train, data.y_train), (data.x_validation, data.y_validation), (data.x_test, data.y_test)]
    assert len(data.x_train) == size
    assert sum(len(y) for _, y in parts) == data.meta["n_total"]
    assert data.meta["classes"] == len(data.meta["class_names"])
    for x, y in parts:
        assert len(x) == len(y) > 0
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        assert np.isfinite(x).all()
        assert 0 <= y.min() <= y.max() < data.meta["classes"]


def sentence_or(call: Any, *arguments: Any, **keys: Any) -> Any:
    """What a call returns, or None where it refuses in a sentence that can be read."""
    try:
        return call(*arguments, **keys)
    except DataError as error:
        sentence = str(error)
    assert 20 < len(sentence) < 2000
    return None


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """The bytes of a file as they are, or cut short, or with some bits turned."""
    kind = data.draw(st.sampled_from(["whole", "whole", "whole", "cut", "bits"]))
    if kind == "cut":
        return content[: data.draw(st.integers(0, len(content)))]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3)) if kind == "bits" and content else 0):
        changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    return bytes(changed)


TYPES = ["?", "i1", "u1", ">i2", "i8", "u8", "f2", ">f4", "f8", "f16", "c8", "U3", "S3", "M8[ns]", "m8[s]", "V3", "O"]


@st.composite
def arrays(draw: st.DrawFn, n: int) -> np.ndarray:
    """An array of features in every other case, otherwise one of any type, mostly with `n` examples."""
    if draw(st.booleans()):
        return draw(hnp.arrays(np.float64, (n, 2), elements=st.floats(-1e30, 1e30)))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    if draw(st.integers(0, 3)):
        shape = (n, *shape[1:])
    if dtype.kind in "VO":
        return np.zeros(shape, dtype)
    array = draw(hnp.arrays(dtype, shape))
    return np.asfortranarray(array) if draw(st.booleans()) else array


@st.composite
def labels(draw: st.DrawFn, n: int) -> np.ndarray:
    """What can be labels in most cases."""
    good = np.arange(n) % draw(st.integers(1, 3))
    return draw(st.one_of(st.just(good), st.just(good.astype("U1")), st.just(good.astype(">f4")), arrays(n)))


@moderate
@given(n=st.integers(6, 20), scale=scales, classes=st.sampled_from([None, 2, 3]), data=st.data())
def test_any_npz_file(
    tmp_path_factory: pytest.TempPathFactory, n: int, scale: str, classes: int | None, data: st.DataObject
) -> None:
    path, stream = tmp_path_factory.mktemp("fuzz") / "data.npz", io.BytesIO()
    save = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    save(stream, x=data.draw(arrays(n)), y=data.draw(labels(n)))
    path.write_bytes(damaged(stream.getvalue(), data))
    for key in "xyz":
        sentence_or(npz_shape, path, key)
    assert_data_or_a_sentence(resolved("npz", path, scale=scale, classes=classes))


WORDS = ["nan", "inf", "1e39", "", " ", "a", "ä", "x" * 200_000, '"', ",", "\n", "\0", "٣", "-0", "1_0", "0x1", "True"]
WORDS += ["3\r", "9007199254740993", "18446744073709551615", "9" * 30, "9" * 200_000, "0" * 5000 + "1", "1e-400"]
numbers = st.one_of(st.integers(-3, 3).map(str), st.floats(-1e3, 1e3).map(str))


@moderate
@given(
    header=st.lists(names, max_size=4),
    columns=st.lists(st.sampled_from(["numbers", "classes", "any"]), min_size=1, max_size=4),
    n=st.integers(0, 20),
    scale=scales,
    data=st.data(),
)
def test_any_csv_file(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    columns: list[str],
    n: int,
    scale: str,
    data: st.DataObject,
) -> None:
    cells = {"numbers": numbers, "classes": st.sampled_from("ab"), "any": st.one_of(numbers, st.sampled_from(WORDS))}
    quote = data.draw(st.sampled_from([lambda cell: cell, lambda cell: '"' + cell.replace('"', '""') + '"']))
    if data.draw(st.booleans()):
        header, columns = ["x", "y"], ["numbers", "classes"]
    rows = [header, *([data.draw(cells[kind]) for kind in columns] for _ in range(n))]
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    text = data.draw(st.sampled_from(["", "\ufeff"])) + "".join(",".join(map(quote, row)) + end for row in rows)
    path = tmp_path_factory.mktemp("fuzz") / "data.csv"
    path.write_bytes(damaged(text.encode(data.draw(st.sampled_from(["utf-8", "utf-8", "utf-16"]))), data))
    sentence_or(table_columns, path)
    sentence_or(foreign.rows, path)
    assert_data_or_a_sentence(resolved("table", path, scale=scale))


def of(elements: st.SearchStrategy[Any], kind: pa.DataType, n: int) -> st.SearchStrategy[pa.Array]:
    return st.lists(elements, min_size=n, max_size=n).map(lambda values: pa.array(values, kind))


def column(n: int) -> st.SearchStrategy[pa.Array]:
    """A column of a Parquet file, of whatever type."""
    whole, real = st.integers(0, 2), st.floats(width=16)
    return st.one_of(
        of(whole, pa.int8(), n),
        of(st.integers(-(2**63), 2**63 - 1), pa.int64(), n),
        of(st.integers(0, 2**64 - 1), pa.uint64(), n),
        of(real, pa.float16(), n),
        of(st.floats(), pa.float64(), n),
        of(st.booleans(), pa.bool_(), n),
        of(st.decimals(-(10**20), 10**20, places=2), pa.decimal128(25, 2), n),
        of(st.sampled_from(["1", "2.5", "a", "9007199254740993"]), pa.string(), n),
        of(st.sampled_from(["1", "2"]), pa.large_string(), n),
        of(st.sampled_from(["a", "b"]), pa.dictionary(pa.int8(), pa.string()), n),
        of(st.binary(max_size=2), pa.binary(), n),
        of(whole, pa.timestamp("ns"), n),
        of(st.lists(whole, max_size=2), pa.list_(pa.int8()), n),
        of(st.just({"a": 1}), pa.struct({"a": pa.int8()}), n),
        of(st.none(), pa.null(), n),
        of(st.one_of(whole, st.none()), pa.int32(), n),
    )


@moderate
@given(n=st.integers(0, 20), width=st.integers(0, 3), scale=scales, data=st.data())
def test_any_parquet_file(
    tmp_path_factory: pytest.TempPathFactory, n: int, width: int, scale: str, data: st.DataObject
) -> None:
    any_kind = st.booleans().flatmap(lambda good: column(n) if not good else of(st.integers(0, 9), pa.int16(), n))
    columns = [data.draw(any_kind) for _ in range(width)]
    target = data.draw(st.one_of(column(n), st.just(pa.array([index % 2 for index in range(n)]))))
    odd = data.draw(st.booleans())
    header = [data.draw(names) if odd else f"{index}" for index in range(width)]
    path = tmp_path_factory.mktemp("fuzz") / "data.parquet"
    pq.write_table(pa.table([*columns, target], names=[*header, "y"]), path)
    path.write_bytes(damaged(path.read_bytes(), data))
    sentence_or(table_columns, path)
    sentence_or(foreign.rows, path)
    assert_data_or_a_sentence(resolved("table", path, scale=scale))
