from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])


def work(_note: supervise.Note) -> None:
    from batchscope.jobs import provenance
    from batchscope.report.render import render

    parameters = {
        "tables": Path(snakemake.input.tables[0]).parent,
        "figures": Path(snakemake.output.html).parent / "figures",
        "study": Path(snakemake.input.study),
        "manifest": Path(snakemake.input.manifest),
    }
    provenance.require_whole(parameters["study"], parameters["manifest"])
    provenance.require_drawn(Path(figure) for figure in snakemake.input.figures)
    render(
        Path(snakemake.params.template),
        parameters,
        Path(snakemake.output.html),
        Path(snakemake.output.html).with_suffix(".ipynb"),
        snakemake.params.title,
    )


supervise.run(work, None, snakemake.resources, snakemake.log[0])
