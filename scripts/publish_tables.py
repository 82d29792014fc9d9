import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from batchscope.identity.files import atomic_path
from batchscope.jobs import logs

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logs.redirect(snakemake.log[0])

for file in map(Path, snakemake.output):
    with atomic_path(file) as temporary:
        shutil.copyfile(Path(snakemake.input[0]) / file.name, temporary)
