"""Where the imports of a job may come from."""

from __future__ import annotations

import site
import sys
import sysconfig
from pathlib import Path


def keep_to_own_packages() -> None:
    """Take Snakemake's own environment from `sys.path` where the job has another one; this library stays on it.

    The lines that Snakemake puts before every script append the whole search path of its own process, which begins with
    the folder that holds Snakemake. With it, a package that the job's environment lacks is found there, in a version
    that nobody chose, and only where that environment happens to hold it.
    """
    if "snakemake" not in sys.modules:
        return
    home = str(Path(str(sys.modules["snakemake"].__file__)).parents[1])
    own = (sysconfig.get_path("stdlib"), site.getusersitepackages(), *site.getsitepackages())
    end = 1 + max((sys.path.index(folder) for folder in own if folder in sys.path), default=-1)
    if home in sys.path[end:] and home not in sys.path[:end]:
        del sys.path[sys.path.index(home) :]
        sys.path.append(str(Path(__file__).parents[2]))
