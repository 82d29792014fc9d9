from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.jobs import logs, supervise

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])


def work(_note: supervise.Note) -> None:
    from batchscope.data import making
    from batchscope.identity.digests import fingerprint
    from batchscope.jobs import provenance

    ask = snakemake.params.ask
    provenance.require_unchanged(ask["files"])
    making.make(
        ask["definition"],
        ask["draw"],
        Path(snakemake.output.data),
        Path(snakemake.output.facts),
        asked=fingerprint(ask),
        data_folders=[Path(folder) for folder in snakemake.config["data_folders"]],
        cache=Path("resources/downloads"),
    )


supervise.run(work, None, snakemake.resources, snakemake.log[0])
