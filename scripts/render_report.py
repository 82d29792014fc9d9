from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise, warm
from batchscope.jobs.warm import Task

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

html = str(snakemake.output.html)
inputs = {
    "tables": str(Path(snakemake.input.tables[0]).parent),
    "figures": str(Path(html).parent / "figures"),
    "study": str(snakemake.input.study),
    "manifest": str(snakemake.input.manifest),
}
given = (inputs, list(map(str, snakemake.input.figures)), html, snakemake.params.template, snakemake.params.title)
work = Task("batchscope.report.job", "render_report", given)
supervise.run(work, None, snakemake.resources, snakemake.log[0], warm.ANALYSIS)
