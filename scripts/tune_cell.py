from typing import TYPE_CHECKING

from batchscope import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

inputs = {"facts": snakemake.input.facts[0]}
ask, outputs = snakemake.params.ask, dict(snakemake.output.items())


def work(note: supervise.Note) -> None:
    from batchscope import tune_job

    tune_job.tune_cell({name: list(snakemake.input[name]) for name in ("data", "facts")}, ask, outputs, note)


def lost(death: supervise.Death) -> None:
    from batchscope import lost as written

    written.write_tuning(inputs, ask, outputs, death)


supervise.run(work, lost, snakemake.resources, snakemake.log[0])
