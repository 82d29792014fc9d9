from typing import TYPE_CHECKING

from batchscope import logs, search_path

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

search_path.keep_to_own_packages()
logs.redirect(snakemake.log[0])

from batchscope import probe_jobs

params = snakemake.params
probe_jobs.PROBES[params.probe](
    dict(snakemake.input.items()),
    params.recipe,
    params.run,
    params.settings,
    f"{params.code} {params.software}",
    dict(snakemake.output.items()),
)
