# Where this workflow lies and what runs it, checked before anything is read: Snakemake hands some paths on unquoted.
import os
import re
import sys
from pathlib import Path

if not isinstance(workflow.current_basedir, os.PathLike):
    sys.exit(
        f"{workflow.current_basedir}: Batchscope needs its library beside its Snakefile, and Snakemake fetches single "
        "files; valid is a module whose `snakefile` is a path in a clone on this machine."
    )

# workflow.basedir is another workflow's where that one uses this as a module; its `prefix` is where results then go.
ROOT = Path(workflow.current_basedir).parent
PREFIX = Path(workflow.modifier.modify_path("."))

for place in (ROOT, Path.cwd()):
    if re.search(r"[{}]", str(place)):
        sys.exit(
            f"{place}: Snakemake fills in braces in paths; valid is a folder whose path has none."
        )
if re.search(r"""[\s{}()<>[\]$&|;*?!#~`'"\\]""", sys.executable):
    sys.exit(
        f"{sys.executable}: Snakemake hands the path of its Python to a shell as it is; valid is an environment whose "
        "path has no blanks, braces, quotes or other characters that a shell takes apart."
    )
