"""From a resolved data set to its file: read, check, split, scale, write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchscope.datasets import ARRAYS, Data, digest
from batchscope.datasets.download import RemoteFile
from batchscope.datasets.prepare import (
    by_class,
    check,
    check_classes_trained,
    encode_labels,
    scale_parts,
    split_indices,
)
from batchscope.datasets.published import REMOTE_FILES
from batchscope.datasets.sources import read_source
from batchscope.asked import Ask
from batchscope.identity import fingerprint
from batchscope.files import atomic_path, write_json
from batchscope.splits import DataError


def make(
    ask: Ask,
    path: Path,
    facts: Path,
    *,
    data_folders: Sequence[Path],
    cache: Path,
    remote_files: Mapping[str, Sequence[RemoteFile]] = REMOTE_FILES,
) -> None:
    """Write the data set file of one draw; the same arguments give the same bytes.

    Args:
        dataset: the resolved data set of a study.
        draw: `fixed`, or `seed7` for the data that the runs with seed 7 see (data and split are drawn with it).
        path: the .npz file to write, atomically.
        data_folders: searched for the files of published data sets before anything is downloaded.
        cache: where downloaded files are kept.
        remote_files: files of the published data sets.

    Raises:
        DataError: the data cannot be used; the message names data set, file and key and says what would be valid.
    """
    dataset, draw = ask["definition"], ask["draw"]
    data = prepared(dataset, draw, data_folders=data_folders, cache=cache, remote_files=remote_files)
    arrays = {name: getattr(data, name) for name in ARRAYS}
    meta = {**data.meta, "digest": digest(arrays)}
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays, meta=_json(meta))
    write_json({"asked": fingerprint(ask), "definition": dataset, "draw": draw, "n_train": len(data.y_train), "n_validation": len(data.y_validation), "n_test": len(data.y_test), "digest": meta["digest"], "files": meta["files"]}, facts)


def prepared(dataset: Mapping[str, Any], draw: str, **where: Any) -> Data:
    """The data of one draw, without their digest; arguments and errors as of `make`."""
    try:
        return _prepare(dataset, draw, _seed(dataset, draw), **where)
    except DataError as error:
        raise DataError(f"data set {dataset['name']}: {error}") from error


def _json(content: Mapping[str, Any]) -> NDArray[Any]:
    return np.array(json.dumps(content, sort_keys=True, ensure_ascii=False))


def _prepare(dataset: Mapping[str, Any], draw: str, seed: int, **where: Any) -> Data:
    split = dataset["split"]
    source = read_source(dataset, seed, **where)
    if (source.test is None) != ("test" in split):
        must = "must not name `test`: the source has a test part of its own" if source.test else "must name `test`"
        raise DataError(f"split {must}")
    given = [source.examples] if source.test is None else [source.examples, source.test]
    for examples in given:
        check(examples)
        if examples.x.shape[1:] != given[0].x.shape[1:]:
            raise DataError(
                f"{examples.x_name} has examples of the shape {examples.x.shape[1:]}, but {given[0].x_name} has "
                f"{given[0].x.shape[1:]}; both must have the same"
            )
    labels, names = encode_labels(given, source.classes, source.class_names)
    indices = split_indices(labels[0], split, seed, names)
    x_train, x_validation, x_test = (source.examples.x[index].astype(np.float32, order="C") for index in indices)
    y_train, y_validation, y_test = (labels[0][index] for index in indices)
    if source.test is not None:
        x_test, y_test = source.test.x.astype(np.float32, order="C"), labels[1]
    check_classes_trained(y_train, {"validation": y_validation, "test": y_test}, names)
    meta = {
        "name": dataset["name"],
        "classes": len(names),
        "class_names": list(names),
        "n_total": len(y_train) + len(y_validation) + len(y_test),
        "scale": scale_parts(dataset["scale"], (x_train, x_validation, x_test)),
        "draw": draw,
        "source": dataset["source"],
        "files": dict(source.files),
    }
    if dataset["order"] == "by-class":  # after scaling, whose sums would else be rounded in another order
        x_train, y_train = by_class(x_train, y_train)
    return Data(x_train, y_train, x_validation, y_validation, x_test, y_test, meta)


def _seed(dataset: Mapping[str, Any], draw: str) -> int:
    if dataset["draw"] == "fixed" and draw == "fixed":
        return int(dataset["split_seed"])
    numbered = re.fullmatch(r"seed([0-9]+)", draw)
    if dataset["draw"] == "per-seed" and numbered:
        return int(numbered[1])
    raise DataError(f"the draw {draw} does not go with `draw: {dataset['draw']}`; fixed or seed and a number would")
