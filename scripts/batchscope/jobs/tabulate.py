"""The job that makes the tables of a study, once it has compared every record with what the study asks for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from batchscope.identity.asked import Asked
from batchscope.identity.files import write_json
from batchscope.jobs import provenance, saved, tables
from batchscope.probes.registry import STUDY_TABLES


def tabulate(inputs: Mapping[str, Sequence[str]], params: Mapping[str, Any], output: str, _note: object = None) -> None:
    """Write the tables of a study, with their codebook and `made_from.json`, into the folder `output`.

    Args:
        inputs: the files of the study's jobs, by table; of their manifests as `run_manifest`.
        params: what the study asks (`asked`), the fingerprint of that (`made_for`), and the `token` of the tables.
        output: a folder that is made; what it held is removed, since a job whose host died makes it once more.

    Raises:
        provenance.RecordError: a record is damaged, or is not what the study asks for.
        ValueError: as `tables.study_tables`.
    """
    files = {name: [Path(file) for file in found] for name, found in inputs.items() if name != "measurements"}
    manifests = {kind: files[f"{kind}_manifest"] for kind in ("run", "timing", "tuning", "probe")}
    recorded = [file for found in files.values() for file in found if file.suffix == ".parquet"]
    asked = Asked(**params["asked"])
    provenance.check(asked, manifests, recorded)
    del files["tuning_manifest"]
    made = tables.study_tables(cast(tables.Study, asked.study), **files)
    folder = Path(output)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in STUDY_TABLES:
        saved.save(name, made[name], folder / f"{name}.parquet", folder / f"{name}.csv")
    saved.save_codebook(folder / "codebook.csv", [*made["runs"].columns, *made["evaluations"].columns])
    every = [file for found in manifests.values() for file in found]
    stamp = provenance.stamp(params["token"], params["made_for"], every, sorted(folder.iterdir()))
    write_json(stamp, folder / "made_from.json")
