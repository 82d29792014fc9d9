"""Small data sets of every source, as a study resolves them, and how tests make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from batchscope.data import making
from batchscope.data.dataset import Data, load

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
