from pathlib import Path
from typing import TYPE_CHECKING

from batchscope import logs, search_path

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

search_path.keep_to_own_packages()
logs.redirect(snakemake.log[0])

from batchscope.datasets import making

making.make(
    snakemake.params.dataset,
    snakemake.wildcards.draw,
    Path(snakemake.output[0]),
    data_folders=[Path(folder) for folder in snakemake.config["data_folders"]],
    cache=Path("resources/downloads"),
)
