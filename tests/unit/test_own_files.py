"""A user's data before any job: whether they can be used, and whether they are what they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscope.datasets import making, own_files
from batchscope.splits import DataError

X, Y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 4


def dataset(folder: Path, x: np.ndarray = X, **changes: Any) -> dict[str, Any]:
    np.savez(folder / "data.npz", x=x, y=Y)
    return {
        "name": "mine",
        "source": "npz",
        "path": str(folder / "data.npz"),
        "x": "x",
        "y": "y",
        "x_test": None,
        "y_test": None,
        "classes": None,
        "split": {"validation": 0.25, "test": 0.25},
        "scale": "none",
        "draw": "fixed",
        "split_seed": 0,
        "order": "source",
        **changes,
    }


def write(mine: dict[str, Any], folder: Path) -> Path:
    made = folder / "made.npz"
    making.make(mine, "fixed", made, folder / "made.json", data_folders=[], cache=folder)
    return made


def touch(path: Path, later: float) -> None:
    """Date a file `later` seconds after the data set file beside it."""
    when = (path.parent / "made.npz").stat().st_mtime + later
    os.utime(path, (when, when))


def test_data_that_are_made_are_made(tmp_path: Path) -> None:
    mine = dataset(tmp_path)
    assert not own_files.is_made(mine, tmp_path / "made.npz")
    made = write(mine, tmp_path)
    assert own_files.is_made(mine, made)
    assert not own_files.gives_other_data(mine, made)


@pytest.mark.parametrize("changes", [{"scale": "unit"}, {"split": {"validation": 10, "test": 10}}, {"split_seed": 1}])
def test_another_definition_gives_other_data(tmp_path: Path, changes: dict[str, Any]) -> None:
    made = write(dataset(tmp_path), tmp_path)
    other = dataset(tmp_path, **changes)
    touch(tmp_path / "data.npz", -10)
    assert not own_files.is_made(other, made)
    assert own_files.gives_other_data(other, made)


def test_a_file_that_is_newer_may_hold_the_same_data_or_others(tmp_path: Path) -> None:
    mine = dataset(tmp_path)
    made = write(mine, tmp_path)
    touch(tmp_path / "data.npz", 10)
    assert not own_files.is_made(mine, made)
    assert not own_files.gives_other_data(mine, made)
    changed = dataset(tmp_path, x=X + 1)
    touch(tmp_path / "data.npz", 10)
    assert not own_files.is_made(changed, made)
    assert own_files.gives_other_data(changed, made)


def test_a_data_set_file_that_cannot_be_read_is_not_made(tmp_path: Path) -> None:
    mine, made = dataset(tmp_path), tmp_path / "made.npz"
    made.write_bytes(b"cut short")
    assert not own_files.is_made(mine, made)
    assert own_files.gives_other_data(mine, made)


def test_what_cannot_be_used_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    holed = X.copy()
    holed[6, 1] = np.nan
    own_files.check(dataset(tmp_path), "fixed")
    with pytest.raises(DataError, match=r"data set mine: .*data\.npz: array `x` holds a value .* in example 7"):
        own_files.check(dataset(tmp_path, x=holed), "fixed")
    assert [file.name for file in tmp_path.iterdir()] == ["data.npz"]
