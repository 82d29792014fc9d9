from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])


def work(_note: supervise.Note) -> None:
    from batchscope.identity.asked import Asked
    from batchscope.identity.digests import file_sha256, sealed
    from batchscope.identity.files import write_json
    from batchscope.jobs import manifest, provenance

    asked = Asked(**snakemake.params.asked)
    jobs = {
        kind: [Path(file) for file in snakemake.input[f"{kind}_manifest"]]
        for kind in ("run", "timing", "tuning", "probe")
    }
    provenance.check(asked, jobs, [])
    write_json(asked.study, snakemake.output.study)
    made_by = {kind: [str(file) for file in files] for kind, files in jobs.items() if files}
    content = manifest.summarise(made_by, list(snakemake.input.measurements))
    files = {"study.json": file_sha256(snakemake.output.study)}
    write_json(sealed({**content, "asked": snakemake.params.made_for, "files": files}), snakemake.output.manifest)


supervise.run(work, None, snakemake.resources, snakemake.log[0])
