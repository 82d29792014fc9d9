from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise, warm
from batchscope.jobs.warm import Task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

inputs = {name: list(map(str, files)) for name, files in snakemake.input.items()}
params = {name: snakemake.params[name] for name in ("asked", "made_for", "token")}
work = Task("batchscope.jobs.tabulate", "tabulate", (inputs, params, snakemake.output[0]))
supervise.run(work, None, snakemake.resources, snakemake.log[0], warm.ANALYSIS)
