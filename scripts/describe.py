from typing import TYPE_CHECKING

from batchscope.jobs import logs

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

from batchscope.identity.digests import file_sha256, sealed
from batchscope.identity.files import write_json
from batchscope.jobs import manifest

write_json(snakemake.params.study, snakemake.output.study)
jobs = {kind: list(snakemake.input[f"{kind}_manifest"]) for kind in ("run", "timing", "tuning", "probe")}
content = manifest.summarise({kind: files for kind, files in jobs.items() if files}, list(snakemake.input.measurements))
files = {"study.json": file_sha256(snakemake.output.study)}
write_json(sealed({**content, "files": files}), snakemake.output.manifest)
