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
    from batchscope.tables.cells import folder, pairs

    tables = {Path(file).stem: load(file) for file in snakemake.input.tables}
    places = {(folder(dataset), folder(recipe)): (dataset, recipe) for dataset, recipe in pairs(tables["runs"])}
    for file in map(Path, snakemake.output):
        frames = select(tables, *places[file.parts[-3], file.parts[-2]])
        STUDY_FIGURES[file.stem].render(frames, file)


supervise.run(work, None, snakemake.resources, snakemake.log[0])
