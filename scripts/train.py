from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise, warm
from batchscope.jobs.warm import Task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

inputs = {name: str(files) for name, files in snakemake.input.items()}
given = (inputs, snakemake.params.ask, dict(snakemake.output.items()))
work = Task("batchscope.jobs.train", "train_run", given)
lost = Task("batchscope.jobs.lost", "write_run", given)
supervise.run(work, lost, snakemake.resources, snakemake.log[0], warm.training(snakemake.params.ask["settings"]))
