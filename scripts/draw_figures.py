import gc
from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])


def work(_note: supervise.Note) -> None:
    gc.disable()  # a figure is one large cycle, and what looks for such takes a tenth of the time of drawing
    from batchscope.figures.frames import select
    from batchscope.jobs.saved import load
    from batchscope.probes.registry import STUDY_FIGURES

    tables = {Path(file).stem: load(file) for file in snakemake.input.tables}
    frames = select(tables, snakemake.wildcards.dataset, snakemake.wildcards.recipe)
    wanted = [figure for figure in STUDY_FIGURES.values() if figure.group == snakemake.params.group]
    for figure, file in zip(wanted, snakemake.output, strict=True):
        figure.render(frames, file)


supervise.run(work, None, snakemake.resources, snakemake.log[0])
