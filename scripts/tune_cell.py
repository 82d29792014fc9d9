from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

files = {name: snakemake.input[name] for name in ("data", "facts")}  # of one file Snakemake may make no list
listed = {name: [found] if isinstance(found, str) else list(found) for name, found in files.items()}
inputs = {name: found[0] for name, found in listed.items()}
ask, outputs = snakemake.params.ask, dict(snakemake.output.items())


def work(note: supervise.Note) -> None:
    from batchscope.jobs import tune

    tune.tune_cell(listed, ask, outputs, note)


def lost(death: supervise.Death) -> None:
    from batchscope.jobs import lost as written

    written.write_tuning(inputs, ask, outputs, death)


supervise.run(work, lost, snakemake.resources, snakemake.log[0])
