from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])


def work(_note: supervise.Note) -> None:
    from batchscope.identity.asked import Asked
    from batchscope.identity.files import write_json
    from batchscope.jobs import provenance, saved, tables
    from batchscope.probes.registry import STUDY_TABLES

    files = {name: [Path(file) for file in found] for name, found in snakemake.input.items() if name != "measurements"}
    manifests = {kind: files[f"{kind}_manifest"] for kind in ("run", "timing", "tuning", "probe")}
    recorded = [file for found in files.values() for file in found if file.suffix == ".parquet"]
    asked = Asked(**snakemake.params.asked)
    provenance.check(asked, manifests, recorded)
    del files["tuning_manifest"]
    made = tables.study_tables(asked.study, **files)
    folder = Path(snakemake.output[0])
    folder.mkdir()
    for name in STUDY_TABLES:
        saved.save(name, made[name], folder / f"{name}.parquet", folder / f"{name}.csv")
    saved.save_codebook(folder / "codebook.csv", made["runs"].columns)
    every = [file for found in manifests.values() for file in found]
    stamp = provenance.stamp(snakemake.params.token, snakemake.params.made_for, every, sorted(folder.iterdir()))
    write_json(stamp, folder / "made_from.json")


supervise.run(work, None, snakemake.resources, snakemake.log[0])
