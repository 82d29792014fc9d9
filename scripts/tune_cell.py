from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise, warm
from batchscope.jobs.warm import Task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

files = {name: snakemake.input[name] for name in ("data", "facts")}  # of one file Snakemake may make no list
inputs = {name: [found] if isinstance(found, str) else list(found) for name, found in files.items()}
given = (inputs, snakemake.params.ask, dict(snakemake.output.items()))
allowed = supervise.limit(snakemake.resources.mem_mb).bytes
work = Task("batchscope.jobs.tune", "tune_cell", (*given, allowed))
lost = Task("batchscope.jobs.lost", "write_tuning", given)
supervise.run(work, lost, snakemake.resources, snakemake.log[0], warm.training(snakemake.params.ask["settings"]))
