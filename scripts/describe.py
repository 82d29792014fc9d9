from typing import TYPE_CHECKING

from batchscope import logs

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

from batchscope import manifest
from batchscope.files import write_json

write_json(snakemake.params.study, snakemake.output.study)
jobs = {kind: list(snakemake.input[f"{kind}_manifest"]) for kind in ("run", "timing", "tuning", "probe")}
write_json(
    manifest.summarise({kind: files for kind, files in jobs.items() if files}, list(snakemake.input.measurements)),
    snakemake.output.manifest,
)
