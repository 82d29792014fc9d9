from typing import TYPE_CHECKING

from batchscope import logs, search_path

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

search_path.keep_to_own_packages()
logs.redirect(snakemake.log[0])

from batchscope import analysis
from batchscope.analysis import tables

files = {name: list(files) for name, files in snakemake.input.items() if name != "measurements"}
made = tables.study_tables(snakemake.params.study, **files)
for name, parquet, csv in zip(analysis.TABLES, snakemake.output.parquet, snakemake.output.csv, strict=True):
    tables.save(made[name], parquet, csv)
