"""Data set files: what is in them, where it came from, and what is refused."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_digits, make_blobs

from batchscope.data import making
from batchscope.data.dataset import DataError, load
from batchscope.data.download import SYSTEM_FOLDERS
from batchscope.data.sources.registry import known_size
from batchscope.identity.digests import sealed
from unit.sources import HALVES, RNG, X, Y, everything, made, npz, resolved

BLOBS = {"classes": 3, "features": 2, "cluster_std": 2.0, "draw": "per-seed"}


BLOBS_SPLIT = {"train": 800, "validation": 200, "test": 200}


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
