from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])


def work(_note: supervise.Note) -> None:
    from batchscope import figures
    from batchscope.figures.frames import select
    from batchscope.jobs.tables import load

    tables = {Path(file).stem: load(file) for file in snakemake.input.tables}
    frames = select(tables, snakemake.wildcards.dataset, snakemake.wildcards.recipe)
    names = [name for name, figure in figures.FIGURES.items() if figure.group == snakemake.params.group]
    for name, file in zip(names, snakemake.output, strict=True):
        figures.render(name, frames, file)


supervise.run(work, None, snakemake.resources, snakemake.log[0])
