"""A user's data before any job: whether they can be used, and whether they are what they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscope.data import facts as facts_of
from batchscope.data import making, own
from batchscope.data.splits import DataError
from batchscope.identity.digests import file_sha256, fingerprint

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


def ask(mine: dict[str, Any], code: str = "the code") -> dict[str, Any]:
    """What a study asks of a data set, see `Asked.dataset`."""
    files = {mine["path"]: file_sha256(mine["path"])}
    return {"definition": mine, "draw": "fixed", "files": files, "code": code}


def write(mine: dict[str, Any], folder: Path) -> Path:
    """The facts of the data set, once it is made."""
    facts = folder / "made.json"
    making.make(mine, "fixed", folder / "made.npz", facts, asked=fingerprint(ask(mine)), data_folders=[], cache=folder)
    return facts


def test_data_that_are_made_are_made_whatever_the_time_stamps_say(tmp_path: Path) -> None:
    mine, facts = dataset(tmp_path), tmp_path / "made.json"
    assert not facts_of.is_made(facts, ask(mine))
    write(mine, tmp_path)
    for when in (0, 4e9):
        os.utime(tmp_path / "data.npz", (when, when))
        assert facts_of.is_made(facts, ask(mine))
        assert not facts_of.gives_other_data(facts, ask(mine))


@pytest.mark.parametrize("changes", [{"scale": "unit"}, {"split": {"validation": 10, "test": 10}}, {"split_seed": 1}])
def test_another_definition_gives_other_data(tmp_path: Path, changes: dict[str, Any]) -> None:
    facts = write(dataset(tmp_path), tmp_path)
    other = dataset(tmp_path, **changes)
    assert not facts_of.is_made(facts, ask(other))
    assert facts_of.gives_other_data(facts, ask(other))


def test_other_content_gives_other_data_also_with_an_older_time_stamp(tmp_path: Path) -> None:
    facts = write(dataset(tmp_path), tmp_path)
    changed = dataset(tmp_path, x=X + 1)
    os.utime(tmp_path / "data.npz", (0, 0))
    assert not facts_of.is_made(facts, ask(changed))
    assert facts_of.gives_other_data(facts, ask(changed))


def test_other_code_makes_the_data_again_and_is_no_other_data(tmp_path: Path) -> None:
    mine = dataset(tmp_path)
    facts = write(mine, tmp_path)
    assert not facts_of.is_made(facts, ask(mine, "other code"))
    assert not facts_of.gives_other_data(facts, ask(mine, "other code"))


@pytest.mark.parametrize("content", ["cut sh", "[]", "null"])
def test_facts_that_cannot_be_read_say_nothing(tmp_path: Path, content: str) -> None:
    mine, facts = dataset(tmp_path), tmp_path / "made.json"
    facts.write_text(content)
    assert not facts_of.is_made(facts, ask(mine))
    assert not facts_of.gives_other_data(facts, ask(mine))


def test_what_cannot_be_used_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    holed = X.copy()
    holed[6, 1] = np.nan
    own.check(ask(dataset(tmp_path)))
    with pytest.raises(DataError, match=r"data set mine: .*data\.npz: array `x` holds a value .* in example 7"):
        own.check(ask(dataset(tmp_path, x=holed)))
    assert [file.name for file in tmp_path.iterdir()] == ["data.npz"]
