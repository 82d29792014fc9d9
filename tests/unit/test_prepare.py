"""Labels as integers and stratified parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchscope.data.prepare import by_class, check, check_classes_trained, encode_labels, split_indices
from batchscope.data.sources.reading import Examples
from batchscope.data.splits import DataError

NAMES = tuple("abcdefgh")


def labelled(labels: Any, name: str = "y") -> Examples:
    y = np.asarray(labels)
    return Examples(np.zeros((len(y), 1)), y, "x", name)


def class_counts(y: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(y, minlength=classes)


@settings(deadline=None)  # a busy machine is not a failure
@given(counts=st.lists(st.integers(6, 60), min_size=2, max_size=6), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_parts_are_disjoint_cover_everything_and_keep_the_shares_of_the_classes(
    counts: list[int], seed: int, data: st.DataObject
) -> None:
    y = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[np.random.default_rng(seed).permutation(sum(counts))]
    n, classes = len(y), len(counts)
    # With at most a third of each held out, the smallest class keeps the two examples that a second cut needs.
    split = {part: data.draw(st.integers(classes, max(classes, n // 3)), part) for part in ("validation", "test")}
    train, validation, test = split_indices(y, split, seed, NAMES)
    assert sorted([*train, *validation, *test]) == list(range(n))
    assert (len(validation), len(test)) == (split["validation"], split["test"])
    shares = np.array(counts) / n
    assert (np.abs(class_counts(y[test], classes) - len(test) * shares) < 1 + 1e-9).all()
    rest = class_counts(np.delete(y, test), classes)
    share_of_rest = len(validation) / (n - len(test))
    assert (np.abs(class_counts(y[validation], classes) - rest * share_of_rest) < 1 + 1e-9).all()


def test_declared_parts_follow_one_another() -> None:
    parts = split_indices(np.zeros(9, np.int32), {"train": 4, "validation": 2, "test": 3}, 0, NAMES)
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5], [6, 7, 8]]


def test_classes_too_small_to_split_are_named() -> None:
    y = np.array([0] * 10 + [1] * 10 + [2], np.int32)
    with pytest.raises(DataError, match="the class c has one example left for the test part and the training part"):
        split_indices(y, {"validation": 5, "test": 5}, 0, NAMES)
    with pytest.raises(DataError, match="test takes 1 of 20 examples; with 2 classes, it must take at least 2"):
        split_indices(y[:20], {"validation": 5, "test": 1}, 0, NAMES)


def test_a_class_that_no_training_example_has_is_named() -> None:
    train, test = np.array([0, 1, 1], np.int32), np.array([0, 2], np.int32)
    check_classes_trained(train, {"test": test[:1]}, NAMES)
    with pytest.raises(DataError, match="the test part has the class c, but no training example has it"):
        check_classes_trained(train, {"test": test}, NAMES)


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(-(2**40), 2**40)), min_size=2).filter(lambda labels: len(set(labels)) > 1))
def test_labels_are_numbered_in_sorted_order_and_can_be_read_back(labels: list[int]) -> None:
    (codes,), names = encode_labels([labelled(labels)], None)
    assert [int(names[code]) for code in codes] == labels
    assert sorted(set(codes.tolist())) == list(range(len(names)))
    assert [int(name) for name in names] == sorted(set(labels))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        (np.array([b"b", b"a", b"b"]), ("a", "b")),
        (np.array(["b", "a", "b"], dtype=object), ("a", "b")),
        (np.array(["b", "a", "b"], dtype=np.dtypes.StringDType()), ("a", "b")),
        ([True, False, True], ("0", "1")),
        ([7.0, -1.0, 7.0], ("-1", "7")),
        (np.array([200, 3, 200], np.uint8), ("3", "200")),
    ],
)
def test_kinds_of_labels(labels: Any, names: tuple[str, ...]) -> None:
    (codes,), found = encode_labels([labelled(labels)], None)
    assert found == names
    assert codes.tolist() == [1, 0, 1]
    assert codes.dtype == np.int32


def test_declared_classes_keep_integer_labels_as_they_are() -> None:
    (train, test), names = encode_labels([labelled([3, 1, 3]), labelled([1])], 5)
    assert train.tolist() == [3, 1, 3]
    assert test.tolist() == [1]
    assert names == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize(
    ("parts", "classes", "message"),
    [
        ([[0, 1, 5, 7]], 5, "y: the label of example 3 is 5; with `classes: 5` labels go from 0 to 4"),
        ([[0, -1]], 2, "the label of example 2 is -1"),
        ([[0, 1], [0, 2]], 2, "the label of example 2 is 2"),
        ([["a", "b"]], 3, "y has 2 different labels, but `classes` is 3"),
        ([[4, 4]], None, "y has 1 class; at least two are needed"),
        ([[0, 1], ["a", "b"]], None, "one holds texts and the other numbers"),
        ([["a", " NaN"]], None, "example 2 has no label"),
        ([[0.0, 1.0, 1.5]], None, "the label of example 3 is 1.5; labels must be whole numbers or texts"),
        ([[0.0, float("nan")]], None, "the label of example 2 is nan"),
        ([[0.0, float("inf")]], None, "the label of example 2 is inf"),
        ([[0j, 1j]], None, "y has the type complex128"),
        ([[b"a", b"\xff"]], None, "y holds bytes that are no text in UTF-8"),
    ],
)
def test_labels_that_cannot_be_used(parts: list[Any], classes: int | None, message: str) -> None:
    with pytest.raises(DataError) as caught:
        encode_labels([labelled(labels) for labels in parts], classes)
    assert message in str(caught.value)


@settings(deadline=None)
@given(st.integers(0, 9999), st.sampled_from([np.nan, np.inf, -np.inf, 1e39]))
def test_no_value_that_is_not_finite_passes(position: int, value: float) -> None:
    x = np.zeros((10_000, 2))
    x[position, 1] = value
    with pytest.raises(DataError, match=f"no finite number of 32 bits, first in example {position + 1};"):
        check(Examples(x, np.zeros(10_000), "x", "y"))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_class_order_is_sorted_and_stable(labels: list[int]) -> None:
    x, y = np.arange(len(labels), dtype=np.float32)[:, None], np.array(labels, np.int32)
    moved, classes = by_class(x, y)
    expected = sorted(range(len(labels)), key=lambda i: labels[i])  # Python's sort is stable
    assert moved[:, 0].tolist() == expected
    assert classes.tolist() == [labels[i] for i in expected]
    assert x[:, 0].tolist() == list(range(len(labels)))
