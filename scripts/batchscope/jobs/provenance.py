"""Whether what jobs left on disk is whole, and what the study asks for: looked at whenever tables are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchscope.data import facts
from batchscope.identity.asked import Ask, Asked
from batchscope.identity.asked import draw as asked_draw
from batchscope.identity.digests import file_sha256, fingerprint, is_sealed_markup, unsealed
from batchscope.identity.files import set_aside
from batchscope.training import recipes

Manifest = Mapping[str, Any]  # as it lies on disk, by whatever version


MAKERS = ("make_dataset", "tune_cell", "train", "time_cell", "tabulate", "describe")
"""The rules whose results the others are made from, but for the probes."""


class RecordError(ValueError):
    """A record is damaged, or is not what the study asks for; the message says which, and what to do."""


def read(path: Path) -> Manifest:
    """A manifest, or what is known of a data set.

    Raises:
        RecordError: it is not as it was written, and has been set aside, or it is not there.
    """
    content = unsealed(_there(path).read_bytes())
    if content is None:
        raise RecordError(_damaged([path]))
    return content


def require_whole(file: Path, manifest: Path) -> Path:
    """`file`, once it is what the job that wrote it and `manifest` says.

    Raises:
        RecordError: it is not, and has been set aside, or it is not there.
    """
    if read(manifest)["files"].get(file.name) != file_sha256(_there(file)):
        raise RecordError(_damaged([file]))
    return file


def set_damaged_aside(files: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Rename the manifests, facts and pages among `files` that are not as they were written; with their new names."""
    there = [path for path in files if path.is_file()]
    return [(path, set_aside(path)) for path in there if not _is_whole(path)]


def require_unchanged(files: Mapping[str, str]) -> None:
    """Raise `RecordError` where one of the user's files is no longer what it was when the study was started.

    Args:
        files: SHA-256 by path.
    """
    for path, digest in files.items():
        if not Path(path).is_file() or file_sha256(path) != digest:
            raise RecordError(f"{path} was changed after the study was started; run again")


def require_drawn(figures: Iterable[Path]) -> None:
    """Refuse figures that are not as they were drawn.

    Raises:
        RecordError: some are not; they have been set aside.
    """
    damaged = [path for path in figures if not is_sealed_markup(path.read_bytes())]
    if damaged:
        raise RecordError(_damaged(damaged))


def check(asked: Asked, manifests: Mapping[str, Sequence[Path]], tables: Iterable[Path]) -> None:
    """Refuse records that are damaged or were made for something else than the study asks.

    Args:
        asked: what the study asks of its jobs.
        manifests: of each kind of job: run, timing, tuning, probe.
        tables: the files of the jobs that are about to be read.

    Raises:
        RecordError: one sentence. Damaged files have been set aside, so that the next run makes them again; what fits
            another study, code or machine setting stays where it is.
    """
    digests: dict[Path, str] = {}
    damaged: list[Path] = []
    for path in (path for paths in manifests.values() for path in paths):
        manifest = unsealed(path.read_bytes())
        if manifest is None:  # the job writes all its files again
            damaged.append(path)
        else:
            digests |= {path.parent / name: digest for name, digest in manifest["files"].items()}
    remade = {path.parent for path in damaged}
    damaged += [path for path in tables if path.parent not in remade and digests.get(path) != file_sha256(path)]
    if damaged:
        raise RecordError(_damaged(damaged))
    other = others(asked, manifests)
    if other:
        raise RecordError(refusal(other))


def others(asked: Asked, manifests: Mapping[str, Iterable[Path]]) -> list[Path]:
    """Those of the manifests on disk, by kind of job, that are not of the jobs that the study asks for."""
    found: list[Path] = []
    for kind, paths in manifests.items():
        for path in (path for path in paths if path.is_file()):
            manifest = unsealed(path.read_bytes())
            if manifest is not None and not _fits(asked, kind, manifest, path):
                found.append(path)
    return found


def refusal(other: Sequence[Path]) -> str:
    """The sentence that refuses records of something else."""
    return (
        f"{other[0]}{_more(other)} was made from another definition, code, data or setting than the study has now, and "
        "is not made again; run without --touch and --rerun-triggers, and where that does not help, with `--forcerun "
        f"{' '.join(MAKERS)}`"
    )


def made_for(file: Path) -> str | None:
    """What the tables of a study, or its description, were made for: the fingerprint in `file`; None if unknown."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["asked"])
    except (ValueError, KeyError, TypeError):
        return None


def _fits(asked: Asked, kind: str, manifest: Manifest, path: Path) -> bool:
    try:
        fitting = bool(manifest["asked"] == fingerprint(_ask(asked, kind, manifest["identity"])))
        return fitting and _at_home(manifest, path)
    except (KeyError, TypeError):  # another version of the project wrote it
        return False


def replaced(folder: Path, asked: Asked) -> str | None:
    """What to say where the runs of a recipe, in their folder, are of something else than the study asks; None if not.

    Looks at one of them. What changes how a run is made, but not what it is (code, software), is not told of.
    """
    manifest = next(folder.glob("*/*/manifest.json"), None)
    differing = [] if manifest is None else changed(manifest, asked)
    if not differing:
        return None
    both = "run one of the engines in another folder (snakemake --directory FOLDER)"
    keep = both if differing[0].startswith("engine") else "give the new one a name of its own"
    return (
        f"the runs in {folder} were made with another {' and another '.join(differing)}: they are made again and "
        f"replaced, and no table takes the old ones. To keep these, {keep}."
    )


def changed(manifest: Path, asked: Asked) -> list[str]:
    """In which of engine, recipe, model and data the run of a manifest differs from what the study asks; none if
    unreadable.
    """
    try:
        identity = read(manifest)["identity"]
        cell, known, model = identity["cell"], identity["recipe"], identity["sources"]["model"]
        place = (cell["dataset"], cell["recipe"], str(cell["batch_size"]), int(cell["seed"]))
        ask, engine = asked.run(*place), identity["settings"]["engine"]
    except (RecordError, KeyError, TypeError):
        return []
    wanted = ask["recipe"]
    if wanted["tuning"] is not None and "optimizer" in known:  # its rate differs from size to size
        wanted = recipes.with_learning_rate(wanted, known["optimizer"]["learning_rate"])
    draw = asked_draw(asked.study["datasets"][cell["dataset"]], cell["seed"])
    made = manifest.parents[5] / "datasets" / cell["dataset"] / f"{draw}.json"
    differs = {
        f"engine than {ask['settings']['engine']}": engine != ask["settings"]["engine"],
        "recipe": known != wanted,
        "model": model != ask["sources"]["model"],
        "data set": facts.gives_other_data(made, asked.dataset(cell["dataset"], draw)),
    }
    return [name for name, differing in differs.items() if differing]


def on_disk(manifests: Iterable[Path]) -> str | None:
    """A fingerprint of what jobs left on disk, whenever it was written; None where a job has left nothing yet."""
    try:
        return fingerprint([file_sha256(path) for path in manifests])
    except FileNotFoundError:
        return None


def token(made_from: Path, manifests: Iterable[Path]) -> str:
    """What changes when the records on disk are no longer those that the tables were made from, or the tables others.

    Time stamps cannot tell: a clock may be set back between a job and the tables. `made_from` is the file that
    `stamp` wrote. While all agree with it, this is the token that it holds, so that nothing is made again.
    """
    if not made_from.is_file():
        return ""
    try:
        known = json.loads(made_from.read_text(encoding="utf-8"))
        before, records, digests = str(known["token"]), known["records"], dict(known["tables"])
    except (ValueError, KeyError, TypeError):
        before, records, digests = "", "", {}
    now = on_disk(manifests)
    tables = {name: file_sha256(file) for name in digests if (file := made_from.parent / name).is_file()}
    if now is None or (now == records and tables.items() <= digests.items()):
        return before
    return fingerprint([before, now, tables])


def stamp(of_token: str, asked: str, manifests: Iterable[Path], tables: Iterable[Path]) -> dict[str, Any]:
    """What tables are made for and from, and what they are, for `made_for` and `token`."""
    return {
        "asked": asked,
        "records": on_disk(manifests),
        "token": of_token,
        "tables": {path.name: file_sha256(path) for path in tables},
    }


def _ask(asked: Asked, kind: str, identity: Manifest) -> Ask | None:
    """What the study asks of the job that wrote a manifest; None where it has no such job."""
    cell = identity["cell"]
    place = (cell["dataset"], cell["recipe"], str(cell["batch_size"]))
    asks: dict[str, Callable[[], Ask]] = {
        "run": lambda: asked.run(*place, cell["seed"]),
        "timing": lambda: asked.timing(*place),
        "tuning": lambda: asked.tuning(*place),
        "probe": lambda: asked.probe(
            identity["probe"], *place, None if asked.probes[identity["probe"]] == "cells" else cell["seed"]
        ),
    }
    try:
        return asks[kind]()
    except (KeyError, TypeError):
        return None


def _at_home(manifest: Manifest, path: Path) -> bool:
    """Whether a manifest lies in the folder of the job that it describes, and not in that of another one."""
    cell = manifest["identity"]["cell"]
    place = (cell["dataset"], cell["recipe"], f"bs{cell['batch_size']}")
    folders = path.parent.parts
    return folders[-3:] == place or folders[-4:] == (*place, f"seed{cell.get('seed')}")


def _there(path: Path) -> Path:
    """`path`, where there is such a file: another job may just have set it aside."""
    if not path.is_file():
        raise RecordError(f"{path} is not there any more; the next run makes it again")
    return path


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    return is_sealed_markup(content) if path.suffix == ".html" else unsealed(content) is not None


def _damaged(paths: Sequence[Path]) -> str:
    aside = [set_aside(path) for path in paths]
    return f"{paths[0]}{_more(paths)} is not as its job wrote it; it is now {aside[0]}, and the next run makes it again"


def _more(paths: Sequence[Path]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
