"""From a resolved data set to its file: read, check, split, scale, write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import sklearn
from numpy.typing import NDArray

from batchscope.data.dataset import ARRAYS, Data, digest
from batchscope.data.download import RemoteFile
from batchscope.data.prepare import by_class, check, check_classes_trained, encode_labels, split_indices
from batchscope.data.scaling import check_distinct, scale_parts
from batchscope.data.sources import FOLDERS
from batchscope.data.sources.reading import Place, Source
from batchscope.data.splits import DataError
from batchscope.identity.digests import file_sha256, sealed
from batchscope.identity.files import atomic_path, write_json


def make(
    dataset: Mapping[str, Any],
    draw: str,
    path: Path,
    facts: Path,
    *,
    asked: str,
    data_folders: Sequence[Path],
    cache: Path,
    remote_files: Mapping[str, Sequence[RemoteFile]] | None = None,
) -> None:
    """Write the data set file of one draw, and what it holds beside it; the same arguments give the same bytes.

    The facts are removed first and written last: where they are, the data set file beside it is whole, unless its
    SHA-256 is another one.

    Args:
        dataset: the resolved data set of a study.
        draw: `fixed`, or `seed7` for the data that the runs with seed 7 see (data and split are drawn with it).
        path: the .npz file to write, atomically.
        facts: the .json file to write: asked, definition, draw, n_train, n_validation, n_test, shape (of one example),
            classes, arrays (their digest), files (SHA-256 of what was read, by name), sha256 (of the .npz file),
            versions (of the libraries that draw and split) and digest (of all these).
        asked: fingerprint of what the study asks, see `Asked.dataset`.
        data_folders: searched for the files of published data sets before anything is downloaded.
        cache: where downloaded files are kept.
        remote_files: files of the published data sets, where not theirs.

    Raises:
        DataError: the data cannot be used; the message names data set, file and key and says what would be valid.
    """
    facts.unlink(missing_ok=True)
    data = prepared(dataset, draw, Place(data_folders, cache, remote_files))
    arrays = {name: getattr(data, name) for name in ARRAYS}
    meta = {**data.meta, "digest": digest(arrays)}
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays, meta=_json(meta))
    write_json(sealed({**_facts(dataset, data, meta), "asked": asked, "sha256": file_sha256(path)}), facts)


def prepared(dataset: Mapping[str, Any], draw: str, place: Place) -> Data:
    """The data of one draw, without their digest; errors as of `make`."""
    try:
        return _prepare(dataset, draw, _seed(dataset, draw), place)
    except DataError as error:
        raise DataError(f"data set {dataset['name']}: {error}") from error


def _facts(dataset: Mapping[str, Any], data: Data, meta: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "definition": dict(dataset),
        "n_train": len(data.y_train),
        "n_validation": len(data.y_validation),
        "n_test": len(data.y_test),
        "shape": list(data.x_train.shape[1:]),
        "arrays": meta["digest"],
        **{key: meta[key] for key in ("draw", "classes", "files")},
        "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
    }


def _json(content: Mapping[str, Any]) -> NDArray[Any]:
    return np.array(json.dumps(content, sort_keys=True, ensure_ascii=False))


def _prepare(dataset: Mapping[str, Any], draw: str, seed: int, place: Place) -> Data:
    split = dataset["split"]
    source = _read(FOLDERS[dataset["source"]], dataset, seed, place)
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
    parts = [source.examples.x[index] for index in indices]
    y_train, y_validation, y_test = (labels[0][index] for index in indices)
    if source.test is not None:
        parts[2], y_test = source.test.x, labels[1]
    check_classes_trained(y_train, {"validation": y_validation, "test": y_test}, names)
    (x_train, x_validation, x_test), scale = scale_parts(dataset["scale"], parts, source.examples.origin)
    if dataset["scale"] != "standardise":
        check_distinct(source.examples, indices[0], x_train)
    meta = {
        "name": dataset["name"],
        "classes": len(names),
        "class_names": list(names),
        "n_total": len(y_train) + len(y_validation) + len(y_test),
        "scale": scale,
        "draw": draw,
        "source": dataset["source"],
        "files": dict(source.files),
    }
    if dataset["order"] == "by-class":  # after scaling, whose sums would else be rounded in another order
        x_train, y_train = by_class(x_train, y_train)
    return Data(x_train, y_train, x_validation, y_validation, x_test, y_test, meta)


def _read(folder: str, *given: Any) -> Source:
    return cast(Source, import_module(f"batchscope.data.sources.{folder}.read").read(*given))


def _seed(dataset: Mapping[str, Any], draw: str) -> int:
    if dataset["draw"] == "fixed" and draw == "fixed":
        return int(dataset["split_seed"])
    numbered = re.fullmatch(r"seed([0-9]+)", draw)
    if dataset["draw"] == "per-seed" and numbered:
        return int(numbered[1])
    raise DataError(f"the draw {draw} does not go with `draw: {dataset['draw']}`; fixed or seed and a number would")
