from typing import TYPE_CHECKING

from batchscope import logs

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

from batchscope import manifest, records

records.write_json(snakemake.params.study, snakemake.output.study)
jobs = {"run": list(snakemake.input.run_manifest), "timing": list(snakemake.input.timing_manifest)}
records.write_json(manifest.summarise(jobs), snakemake.output.manifest)
