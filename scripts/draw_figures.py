from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise, warm
from batchscope.jobs.warm import Task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

given = (list(map(str, snakemake.input.tables)), list(map(str, snakemake.output)))
work = Task("batchscope.jobs.draw", "draw", given)
supervise.run(work, None, snakemake.resources, snakemake.log[0], warm.ANALYSIS)
