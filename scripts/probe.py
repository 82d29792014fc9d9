from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

inputs = {name: str(files) for name, files in snakemake.input.items()}
ask, outputs = snakemake.params.ask, dict(snakemake.output.items())


def work(note: supervise.Note) -> None:
    from batchscope.jobs import probe

    probe.run_probe(inputs, ask, outputs, note)


def lost(death: supervise.Death) -> None:
    from batchscope.jobs import lost as written
    from batchscope.jobs import probe

    written.write_probe(inputs, ask, outputs, death, probe.columns(ask["probe"]))


supervise.run(work, lost, snakemake.resources, snakemake.log[0])
