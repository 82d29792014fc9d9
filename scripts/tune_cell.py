from typing import TYPE_CHECKING

from batchscope import logs, search_path

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

search_path.keep_to_own_packages()
logs.redirect(snakemake.log[0])

from batchscope import jobs

params = snakemake.params
jobs.tune_cell(
    list(snakemake.input.data),
    params.recipe,
    params.cell,
    params.settings,
    f"{params.code} {params.software}",
    dict(snakemake.output.items()),
)
