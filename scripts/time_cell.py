from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

inputs = {name: str(files) for name, files in snakemake.input.items()}
ask, outputs = snakemake.params.ask, dict(snakemake.output.items())


def work(note: supervise.Note) -> None:
    from batchscope.jobs import time

    time.time_cell(inputs, ask, outputs, note)


def lost(death: supervise.Death) -> None:
    from batchscope.jobs import lost as written

    written.write_timing(inputs, ask, outputs, death)


supervise.run(work, lost, snakemake.resources, snakemake.log[0])
