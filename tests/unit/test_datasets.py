"""Data set files: what is in them, where it came from, and what is refused."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn
from sklearn.datasets import load_digits, make_blobs

from batchscope.data import making
from batchscope.data.dataset import Data, DataError, load
from batchscope.data.download import SYSTEM_FOLDERS
from batchscope.data.sources.registry import known_size
from batchscope.identity.digests import sealed

BLOBS = {"classes": 3, "features": 2, "cluster_std": 2.0, "draw": "per-seed"}
BLOBS_SPLIT = {"train": 800, "validation": 200, "test": 200}
HALVES = {"validation": 0.25, "test": 0.25}


def resolved(source: str, split: dict[str, Any], **keys: Any) -> dict[str, Any]:
    defaults = {"name": "mine", "source": source, "split": split, "scale": "none", "draw": "fixed", "split_seed": 0}
    return {**defaults, "order": "source", **keys}


def npz(folder: Path, split: dict[str, Any] | None = None, keys: dict[str, Any] | None = None, **arrays: Any) -> Any:
    np.savez(folder / "data.npz", **arrays)
    own = {"path": str(folder / "data.npz"), "x": "x", "y": "y", "x_test": None, "y_test": None, "classes": None}
    return resolved("npz", split or HALVES, **{**own, **(keys or {})})


def table(path: Path, target: str = "kind", features: list[str] | None = None, **keys: Any) -> dict[str, Any]:
    own = {"path": str(path), "target": target, "features": features, "classes": None}
    return resolved("table", HALVES, **{**own, **keys})


def csv(folder: Path, text: str, **keys: Any) -> dict[str, Any]:
    (folder / "data.csv").write_text(text, encoding="utf-8", newline="")
    return table(folder / "data.csv", **keys)


def function(folder: Path, code: str, **arguments: Any) -> dict[str, Any]:
    (folder / "own.py").write_text(code, encoding="utf-8")
    return resolved("function", HALVES, function=f"{folder / 'own.py'}:make", arguments=arguments)


def made(dataset: dict[str, Any], tmp_path: Path, draw: str = "fixed") -> Data:
    path = tmp_path / "made" / f"{draw}.npz"
    making.make(dataset, draw, path, path.with_suffix(".json"), asked="", data_folders=[], cache=tmp_path / "cache")
    return load(path)


def everything(data: Data) -> np.ndarray:
    return np.concatenate([data.x_train, data.x_validation, data.x_test])


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), np.arange(40) % 4


def test_digits_are_the_real_images_split_without_overlap(tmp_path: Path) -> None:
    data = made(resolved("digits", {"validation": 0.15, "test": 0.2}), tmp_path)
    assert data.x_train.shape == (1168, 8, 8, 1)
    assert data.x_train.dtype == np.float32
    assert data.y_train.dtype == np.int32
    assert data.meta["class_names"] == list("0123456789")
    assert data.meta["n_total"] == 1797
    images, labels = load_digits(return_X_y=True)
    seen = np.column_stack(
        [everything(data).reshape(1797, 64), np.concatenate([data.y_train, data.y_validation, data.y_test])]
    )
    real = np.column_stack([images, labels])
    np.testing.assert_array_equal(np.unique(seen, axis=0), np.unique(real, axis=0))


@pytest.mark.parametrize(
    "dataset",
    [
        resolved("digits", {"validation": 100, "test": 0.3}),
        resolved("random-labels", {"train": 70, "validation": 20, "test": 10}, classes=2, features=5),
    ],
)
def test_the_size_known_beforehand_is_the_size_made(tmp_path: Path, dataset: dict[str, Any]) -> None:
    assert len(made(dataset, tmp_path).x_train) == known_size(dataset)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    dataset = resolved("digits", {"validation": 0.15, "test": 0.2}, scale="standardise")
    for name in ("a", "b"):
        files = (tmp_path / f"{name}.npz", tmp_path / f"{name}.json")
        making.make(dataset, "fixed", *files, asked="", data_folders=[], cache=tmp_path)
    for kind in ("npz", "json"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:  # no time at which it was made
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_facts_say_what_the_data_set_file_holds(tmp_path: Path) -> None:
    dataset = npz(tmp_path, x=RNG.normal(size=(40, 2, 3)), y=Y, keys={"scale": "standardise"})
    data = made(dataset, tmp_path)
    facts = json.loads((tmp_path / "made" / "fixed.json").read_text())
    sha256 = hashlib.sha256((tmp_path / "made" / "fixed.npz").read_bytes()).hexdigest()
    assert facts == sealed(
        {
            "asked": "",
            "definition": dataset,
            "draw": "fixed",
            "n_train": 20,
            "n_validation": 10,
            "n_test": 10,
            "shape": [2, 3],
            "classes": 4,
            "arrays": data.meta["digest"],
            "files": {"data.npz": hashlib.sha256((tmp_path / "data.npz").read_bytes()).hexdigest()},
            "sha256": sha256,
            "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
        }
    )


def test_facts_are_there_only_beside_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = npz(tmp_path, x=X, y=Y)
    made(dataset, tmp_path)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        made(dataset, tmp_path)
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["fixed.npz"]


def test_another_split_seed_gives_another_split(tmp_path: Path) -> None:
    split = {"validation": 0.15, "test": 0.2}
    one, two = (made(resolved("digits", split, split_seed=seed), tmp_path / str(seed)) for seed in (0, 1))
    assert not np.array_equal(one.x_test, two.x_test)
    assert one.meta["digest"] != two.meta["digest"]


def test_blobs_are_the_articles_draw_with_validation_points_on_top(tmp_path: Path) -> None:
    data = made(resolved("blobs", BLOBS_SPLIT, **BLOBS), tmp_path, "seed7")
    x, y = make_blobs(n_samples=1000, centers=3, n_features=2, cluster_std=2, random_state=7)
    np.testing.assert_array_equal(data.x_train, x[:800].astype(np.float32))
    np.testing.assert_array_equal(data.y_train, y[:800])
    np.testing.assert_array_equal(data.x_test, x[800:].astype(np.float32))
    np.testing.assert_array_equal(data.y_test, y[800:])
    for label in range(3):  # the same centres: means of some 67 and 267 points with a standard deviation of 2
        distance = data.x_validation[data.y_validation == label].mean(0) - data.x_train[data.y_train == label].mean(0)
        assert np.abs(distance).max() < 5 * 2 * np.sqrt(1 / 66 + 1 / 250)
    assert len(np.intersect1d(data.x_validation, x.astype(np.float32))) == 0


def test_each_seed_has_its_own_blobs(tmp_path: Path) -> None:
    dataset = resolved("blobs", BLOBS_SPLIT, **BLOBS)
    assert not np.array_equal(made(dataset, tmp_path, "seed1").x_train, made(dataset, tmp_path, "seed2").x_train)


def test_random_labels_are_independent_of_standard_normal_features(tmp_path: Path) -> None:
    split = {"train": 1024, "validation": 256, "test": 256}
    data = made(resolved("random-labels", split, classes=2, features=50, draw="per-seed"), tmp_path, "seed3")
    assert data.x_train.shape == (1024, 50)
    assert abs(data.x_train.mean()) < 5 / np.sqrt(1024 * 50)
    assert abs(data.x_train.std() - 1) < 0.02
    correlations = [np.corrcoef(column, data.y_train)[0, 1] for column in data.x_train.T]
    assert np.abs(correlations).max() < 5 / np.sqrt(1024)
    assert 400 < data.y_train.sum() < 624


@pytest.mark.parametrize(("draw", "given"), [("fixed", "seed1"), ("per-seed", "fixed"), ("per-seed", "seed-1")])
def test_a_draw_that_does_not_go_with_the_data_set_is_refused(tmp_path: Path, draw: str, given: str) -> None:
    dataset = resolved("blobs", BLOBS_SPLIT, **{**BLOBS, "draw": draw})
    with pytest.raises(DataError, match=f"data set mine: the draw {given} does not go with `draw: {draw}`"):
        made(dataset, tmp_path, given)


@pytest.mark.skipif(
    not (SYSTEM_FOLDERS[0] / "fashion-mnist").is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_fashion_mnist_keeps_its_test_part_and_validates_on_training_images(tmp_path: Path) -> None:
    dataset = resolved("fashion-mnist", {"validation": 6000}, scale="unit")
    data = made(dataset, tmp_path)
    assert data.x_train.shape == (54_000, 28, 28, 1)
    assert known_size(dataset) == 54_000
    assert (data.x_train.min(), data.x_train.max(), data.meta["scale"]["divisor"]) == (0, 1, 255)
    assert np.bincount(data.y_train).tolist() == [5400] * 10
    assert np.bincount(data.y_validation).tolist() == [600] * 10
    assert np.bincount(data.y_test).tolist() == [1000] * 10
    assert data.y_test[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]  # the published order
    assert data.meta["class_names"][9] == "Ankle boot"
    assert next(iter(data.meta["files"])) == "t10k-images-idx3-ubyte.gz"


def test_npz_with_a_test_part_of_its_own(tmp_path: Path) -> None:
    keys = {"x_test": "u", "y_test": "v"}
    dataset = npz(tmp_path, {"validation": 8}, keys, x=X, y=Y, u=X[:4] + 100, v=Y[:4])
    data = made(dataset, tmp_path)
    assert (len(data.x_train), len(data.x_validation)) == (32, 8)
    np.testing.assert_array_equal(data.x_test, (X[:4] + 100).astype(np.float32))
    with pytest.raises(DataError, match="the test part has the class 4, but no training example has it"):
        made(npz(tmp_path, {"validation": 8}, {**keys, "classes": 5}, x=X, y=Y, u=X[:4], v=Y[:4] + 1), tmp_path)
    with pytest.raises(DataError, match="has examples of the shape \\(2,\\), but"):
        made(npz(tmp_path, {"validation": 8}, keys, x=X, y=Y, u=X[:4, :2], v=Y[:4]), tmp_path)
    with pytest.raises(DataError, match="split must not name `test`: the source has a test part of its own"):
        made({**dataset, "split": HALVES}, tmp_path)
    with pytest.raises(DataError, match="split must name `test`"):
        made({**dataset, "x_test": None, "y_test": None}, tmp_path)


def test_the_order_of_the_source_is_kept_in_each_part(tmp_path: Path) -> None:
    data = made(npz(tmp_path, x=np.arange(40.0)[:, None], y=Y), tmp_path)
    for part in (data.x_train, data.x_validation, data.x_test):
        assert (np.diff(part[:, 0]) > 0).all()


@pytest.mark.parametrize(
    ("dataset", "draw"),
    [
        (resolved("digits", {"validation": 0.15, "test": 0.2}, scale="standardise"), "fixed"),
        (resolved("blobs", BLOBS_SPLIT, **BLOBS), "seed1"),
    ],
)
def test_class_order_moves_training_examples_and_touches_nothing_else(
    tmp_path: Path, dataset: dict[str, Any], draw: str
) -> None:
    plain, ordered = (made({**dataset, "order": order}, tmp_path, draw) for order in ("source", "by-class"))
    for name in ("x_validation", "y_validation", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(ordered, name), getattr(plain, name))
    classes = range(plain.meta["classes"])
    assert (np.diff(ordered.y_train) >= 0).all()
    assert (np.diff(plain.y_train) < 0).any()
    by_class = [np.array([x for x, y in zip(plain.x_train, plain.y_train, strict=True) if y == c]) for c in classes]
    np.testing.assert_array_equal(ordered.x_train, np.concatenate(by_class))
    assert {key for key in plain.meta if ordered.meta[key] != plain.meta[key]} == {"digest"}


def test_without_class_order_the_arrays_are_those_of_the_first_version(tmp_path: Path) -> None:
    digits = made(resolved("digits", {"validation": 0.15, "test": 0.2}, scale="unit"), tmp_path)
    assert digits.meta["digest"] == "6175f84a360f695da6e5d9cb1506effddc827f4e469e5062c9f3738020597770"


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
        ("a,kind\n1,x\n2\n", {}, "data.csv cannot be read as a table"),
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


def test_a_function_of_the_user_makes_data_for_each_seed(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "def make(seed, n):\n"
        "    generator = np.random.default_rng(seed)\n"
        "    y = np.array(['a', 'b'] * (n // 2))\n"
        "    return generator.normal(size=(n, 2, 3)), y\n"
    )
    dataset = {**function(tmp_path, code, n=60), "draw": "per-seed"}
    one, two = made(dataset, tmp_path, "seed1"), made(dataset, tmp_path, "seed2")
    assert one.x_train.shape == (30, 2, 3)
    assert one.meta["class_names"] == ["a", "b"]
    assert list(one.meta["files"]) == ["own.py"]
    assert not np.array_equal(np.sort(everything(one), None), np.sort(everything(two), None))


DRAWS = {
    "its seed": "import numpy as np\ndef draw(seed): return np.random.default_rng(seed).normal(size=(40, 2))",
    "the global generator of NumPy": "import numpy as np\ndef draw(seed): return np.random.normal(size=(40, 2))",
    "that of Python": "import random\ndef draw(seed): return [[random.random()] for _ in range(40)]",
    "a generator seeded by the import": (
        "import numpy as np\nnp.random.seed(1)\ndef draw(seed): return np.random.normal(size=(40, 2))"
    ),
    "numbers drawn by the import": ("import numpy as np\nX = np.random.normal(size=(40, 2))\ndef draw(seed): return X"),
}
MAKE = "\ndef make(seed): return draw(seed), [0, 1] * 20\n"


@pytest.mark.parametrize("draw", DRAWS)
def test_data_drawn_with_any_generator_follow_the_seed_and_nothing_else(tmp_path: Path, draw: str) -> None:
    dataset = {**function(tmp_path, DRAWS[draw] + MAKE), "draw": "per-seed"}
    random.seed(3)
    np.random.seed(3)
    first = made(dataset, tmp_path, "seed1")
    state = random.getstate(), np.random.get_state()[1].tolist()
    again, other = made(dataset, tmp_path, "seed1"), made(dataset, tmp_path, "seed2")
    assert first.meta["digest"] == again.meta["digest"] != other.meta["digest"]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state


@pytest.mark.parametrize(
    "draw",
    [
        "import numpy as np\ndef draw(seed): return np.random.default_rng(0).normal(size=(40, 2))",
        "import numpy as np\nRNG = np.random.default_rng(0)\ndef draw(seed): return RNG.normal(size=(40, 2))",
        "import numpy as np\ndef draw(seed):\n    np.random.seed(0)\n    return np.random.normal(size=(40, 2))",
        "import numpy as np\nX = np.zeros((40, 2))\ndef draw(seed): return X",
        "from generator_beside import RNG\ndef draw(seed): return RNG.normal(size=(40, 2))",
        "import parts_beside.generator as g\ndef draw(seed): return g.RNG.normal(size=(40, 2))",
    ],
)
def test_data_that_ignore_the_seed_are_refused_where_each_seed_draws_its_own(tmp_path: Path, draw: str) -> None:
    (tmp_path / "parts_beside").mkdir()
    for name in ("generator_beside.py", "parts_beside/generator.py"):
        (tmp_path / name).write_text("import numpy as np\nRNG = np.random.default_rng(0)\n")
    dataset = function(tmp_path, draw + MAKE)
    assert made(dataset, tmp_path).meta["classes"] == 2
    with pytest.raises(DataError, match=r"own.py:make returns the same data for the seeds 6 and 7; .*`draw: fixed`"):
        made({**dataset, "draw": "per-seed"}, tmp_path, "seed6")


def test_a_function_that_has_data_for_some_seeds_only_follows_its_seed(tmp_path: Path) -> None:
    draw = "def draw(seed): return {4: [[1.0], [2.0]] * 20}[seed]"
    dataset = {**function(tmp_path, draw + MAKE), "draw": "per-seed"}
    assert made(dataset, tmp_path, "seed4").x_train.shape == (20, 1)


def test_the_split_of_a_function_does_not_follow_what_it_seeds(tmp_path: Path) -> None:
    code = "import numpy as np\ndef draw(seed): return np.arange(40.0)[:, None]"
    plain = made(function(tmp_path, code + MAKE), tmp_path)
    seeding = code.replace("seed): ", "seed): np.random.seed(9); ")
    assert made(function(tmp_path, seeding + MAKE), tmp_path).meta["digest"] == plain.meta["digest"]


def test_modules_that_a_function_imports_count_as_read(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "drawing_helper.py").write_text("def draw(seed): return [[0.5]] * 40\n")
    (tmp_path / "unused_helper.py").write_text("")
    data = made(function(tmp_path, "from parts.drawing_helper import draw\n" + MAKE), tmp_path)
    assert set(data.meta["files"]) == {"own.py", "parts/drawing_helper.py"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def other(seed): pass", "defines no function make"),
        ("def make(seed): raise KeyError('gone')", "failed with KeyError: 'gone'"),
        ("def make(): pass", "failed with TypeError"),
        ("import no_such_module_at_all", "failed with ModuleNotFoundError"),
        ("def make(seed): return 3", "returned int; it must return two arrays, (x, y)"),
        ("def make(seed): return [[1], [1, 2]], [0, 1]", "returned something that is no array"),
        ("def make(seed): return [['a'], ['b']], [0, 1]", "make: x has the type <U1; features must be numbers"),
        ("def make(seed): return [1.0, 2.0], [0, 1]", "make: x has the shape (2,)"),
        ("def make(seed): return [[1.0], [2.0]], [[0], [1]]", "make: y has the shape (2, 1)"),
        ("def make(seed): return [[1.0], [2.0]], [0, 1, 1]", "x has 2 examples, but function"),
        ("def make(seed): return [[1.0]] * 8, [0] * 8", "has 1 class; at least two are needed"),
        ("def make(seed): return [[1.0]] * 8, [0, 1, None, 1] * 2", "y has the type object"),
        ("def make(seed): return [[], []], [0, 1]", "x has the shape (2, 0)"),
    ],
)
def test_functions_that_cannot_be_used(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        made(function(tmp_path, code), tmp_path)
    assert message in str(caught.value)
    assert "own.py" in str(caught.value)


def test_a_missing_function_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no Python file .*gone\.py"):
        made(resolved("function", HALVES, function=f"{tmp_path / 'gone.py'}:make", arguments={}), tmp_path)


def test_a_data_set_file_that_is_cut_short_or_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made" / "fixed.npz"
    with pytest.raises(DataError, match="there is no data set file"):
        load(path)
    made(npz(tmp_path, x=X, y=Y), tmp_path)
    content = path.read_bytes()
    for broken in (
        b"",
        content[:-100],
        content[: len(content) // 2],
        content.replace(X[0].astype("<f4")[:1].tobytes(), b"\0\0\0\0"),
    ):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"fixed.npz is not a whole data set file"):
            load(path)
    path.write_bytes(content)
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "y_test": arrays["y_test"][::-1]})
    with pytest.raises(DataError, match="was changed after it was written"):
        load(path)


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        made(npz(tmp_path, x=np.full((40, 1), np.nan), y=Y), tmp_path)
    assert not list(tmp_path.rglob("made/*"))


def test_meta_is_plain_json(tmp_path: Path) -> None:
    meta = made(npz(tmp_path, x=X, y=Y), tmp_path).meta
    assert json.loads(json.dumps(meta)) == meta
    assert set(meta) == {"name", "classes", "class_names", "n_total", "scale", "draw", "source", "files", "digest"}
