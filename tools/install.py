"""Install a lock file into the project's environment .venv, once: `python tools/install.py requirements/run.txt`.

uv does it in seconds. Where it is not installed, pip fetches the pinned one, checked by its hash, into the folder
.tools; where it cannot be had, pip does the same, slower. uv gets the package index that pip is configured with. The
script needs the standard library only and any Python from 3.8 on; the environment gets one that TensorFlow supports.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # a system without locks on files
    fcntl = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent
ENV = ROOT / ".venv"
PYTHON = ENV / "bin" / "python"
RECORD = ENV / "batchscope.json"  # the folder it was made in, digests of the locks it holds, whether it is unfinished
OWN = ROOT / ".tools"
UV_LOCK = ROOT / "requirements" / "uv.txt"
ONE_AT_A_TIME = OWN / "set-up.lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some file systems of clusters

OLDEST, BELOW = (3, 11), (3, 14)
SUPPORTED = (
    f"import sys, sysconfig; sys.exit(not ({OLDEST} <= sys.version_info < {BELOW}"
    " and sys.implementation.name == 'cpython' and not sysconfig.get_config_var('Py_GIL_DISABLED')))"
)
VALID = "Python 3.11, 3.12 or 3.13"
BASE = getattr(sys, "_base_executable", None) or sys.executable  # outside of .venv, which may be removed
WITHOUT_USER = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}  # both contradict what is installed, and where
HAS_HOME = os.access(os.environ.get("HOME", ""), os.W_OK)
OWN_CACHES = {
    "PIP_CACHE_DIR": f"{OWN}/pip-cache",
    "UV_CACHE_DIR": f"{OWN}/uv-cache",
    "UV_PYTHON_INSTALL_DIR": f"{OWN}/python",
}

# What of pip's configuration uv is told, and the variable that tells it; of index addresses both or none.
INDEXES = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
CONNECTION = {"trusted-host": "UV_INSECURE_HOST", "cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY"}
SEPARATORS = {"UV_FIND_LINKS": ","}
UV_INDEXES = {*INDEXES.values(), "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"}


def main(lock: Path) -> None:
    """Bring the environment to hold the lock; nothing is done where it does. Ends with a sentence where it cannot."""
    refuse_unbearable(ROOT)
    if holds(lock):
        return
    with alone():
        if not holds(lock):  # another set-up may have ended meanwhile
            bring(lock)


def holds(lock: Path) -> bool:
    """Whether the environment can be used and holds the lock."""
    return digest(lock) in read_record().get("locks", []) and is_usable()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other set-up of this folder is at work, and keep others waiting; the end of a process ends it."""
    OWN.mkdir(exist_ok=True)
    with ONE_AT_A_TIME.open("w") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Another set-up of this folder is at work; this one waits for it.", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
        yield


def bring(lock: Path) -> None:
    """Install the lock into the environment, made anew where it cannot be used."""
    if not is_usable():
        remove_environment()
    held = read_record().get("locks", [])
    started = time.monotonic()
    print(f"Installing {lock} into .venv (the first time downloads 1 GB or more)", flush=True)
    uv, settings = find_uv(), pip_settings()
    if uv is None:
        print("uv cannot be had here; pip does the same, slower.", flush=True)
    make_environment(uv, settings)
    write_record([], unfinished=True)
    by = install(uv, settings, lock)
    of_today = {digest(file) for file in lock.parent.glob("*.txt")}  # locks of one day have the same versions
    write_record([*(each for each in held if each in of_today), digest(lock)], unfinished=False)
    print(f"Installed by {by} in {time.monotonic() - started:.0f} s", flush=True)


def refuse_unbearable(folder: Path) -> None:
    """Snakemake gives the path of the environment's Python to a shell as it is, and reads braces as wildcards."""
    found = re.search(r"""[\s{}()<>[\]$&|;*?!#~`'"\\:]""", str(folder))
    if found:
        sys.exit(
            f'Batchscope lies in the folder "{folder}", and Snakemake cannot start jobs from a path with "{found[0]}": '
            "valid is a path without blanks, colons, braces, quotes or other characters that a shell takes apart."
        )


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read_record() -> dict[str, Any]:
    """What the set-up noted of the environment: `folder`, `locks`, `unfinished`; nothing where it noted nothing."""
    try:
        return dict(json.loads(RECORD.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError:  # it was being written when the set-up ended
        return {"unfinished": True}


def write_record(locks: list[str], unfinished: bool) -> None:
    """Note what the environment holds."""
    RECORD.write_text(json.dumps({"folder": str(ROOT), "locks": locks, "unfinished": unfinished}), encoding="utf-8")


def is_usable() -> bool:
    """Whether the environment starts, was made in this folder (its programs hold the path), and is not half made."""
    record = read_record()
    return record.get("folder", str(ROOT)) == str(ROOT) and not record.get("unfinished") and starts(PYTHON, "-c", "")


def remove_environment() -> None:
    """Remove .venv, if there is one."""
    if ENV.is_symlink():
        ENV.unlink()
    elif ENV.exists():
        shutil.rmtree(ENV)


def find_uv() -> str | None:
    """The uv of this machine, or the pinned one in the project's folder; none where it can be fetched neither way."""
    installed = shutil.which("uv", path=os.pathsep.join(search_path()))
    if installed and starts(installed, "--version"):
        return installed
    version = re.match(r"uv==(\S+)", UV_LOCK.read_text(encoding="utf-8"))
    folder = OWN / f"uv-{version[1] if version else None}"
    uv = folder / "bin" / "uv"
    if not starts(uv, "--version"):
        shutil.rmtree(folder, ignore_errors=True)
        pip = find_pip()
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
        if not pip or not run([*pip, "install", *options, "--target", str(folder), "-r", str(UV_LOCK)], quiet=True):
            return None
    return str(uv) if starts(uv, "--version") else None


def find_pip() -> list[str]:
    """The command of a pip outside of the environment; empty where there is none."""
    if starts(BASE, "-m", "pip", "--version"):
        return [BASE, "-m", "pip"]
    own = OWN / "pip" / "bin" / "python"
    if starts(own, "-m", "pip", "--version") or run([BASE, "-m", "venv", "--clear", str(OWN / "pip")], quiet=True):
        return [str(own), "-m", "pip"]
    return []


def make_environment(uv: str | None, settings: Mapping[str, str]) -> None:
    """Make .venv where there is none, with a Python of this machine, or with one that uv fetches."""
    if ENV.exists():
        if not starts(PYTHON, "-c", SUPPORTED):
            sys.exit(f"The folder .venv holds another Python, valid is {VALID}: remove it with `make clean`.")
        return
    python = next((each for each in pythons() if starts(each, "-c", SUPPORTED)), None)
    wanted = python or ">={}.{},<{}.{}".format(*OLDEST, *BELOW)
    if uv and run([uv, "venv", "--quiet", "--python", wanted, str(ENV)], uv_environment(settings), quiet=True):
        return
    if python is None:
        sys.exit(
            f"No {VALID} was found, and uv could not fetch one: install one, or name it with PYTHON=/path/to/python3."
        )
    if not run([python, "-m", "venv", str(ENV)]):
        sys.exit("Python cannot make an environment: install its modules venv and pip (Debian: python3-venv), or uv.")


def pythons() -> Iterator[str]:
    """Programs that may be a Python for the environment, the one that runs this first."""
    yield BASE
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        yield from (str(Path(folder) / name) for folder in search_path())


def install(uv: str | None, settings: Mapping[str, str], lock: Path) -> str:
    """Install the lock and return what did it."""
    if uv:
        options = ["--quiet", "--compile-bytecode", "--require-hashes", "--python", str(PYTHON), "-r", str(lock)]
        options += ["--no-index"] if settings["no-index"].lower() in ("1", "true", "yes", "on") else []
        if run([uv, "pip", "install", *options], uv_environment(settings)):
            return "uv"
        print("uv could not install the packages; pip tries the same, slower.", flush=True)
    if not starts(PYTHON, "-m", "pip", "--version") and not run([str(PYTHON), "-m", "ensurepip"], quiet=True):
        sys.exit("The environment has no pip: install Python's module ensurepip (Debian: python3-venv), or uv.")
    options = ["-qq", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    if not run([str(PYTHON), "-m", "pip", "install", *options]):
        sys.exit(f"pip could not install {lock}; its reason stands above. The same command tries again.")
    return "pip"


def pip_settings() -> dict[str, str]:
    """How pip is configured, for every command or for `install`; variables of the environment win, as in pip."""
    command = [BASE, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout
    found = {}
    for section in ("global", "install"):
        for key, value in re.findall(rf"^{section}\.([\w-]+)=(.+)$", listed, re.MULTILINE):
            found[key] = str(ast.literal_eval(value))
    for key in ("no-index", *INDEXES, *CONNECTION):
        found[key] = os.environ.get("PIP_" + key.upper().replace("-", "_")) or found.get(key, "")
    return found


def uv_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Variables that tell uv pip's settings, where uv has none of its own."""
    told = CONNECTION if UV_INDEXES & os.environ.keys() else {**INDEXES, **CONNECTION}
    found = {
        variable: SEPARATORS.get(variable, " ").join(settings[key].split())
        for key, variable in told.items()
        if settings.get(key) and variable not in os.environ
    }
    if "UV_INDEX" in found:  # hashes are checked, so any index may give the pinned version, as with pip
        found["UV_INDEX_STRATEGY"] = os.environ.get("UV_INDEX_STRATEGY", "unsafe-best-match")
    return found


def search_path() -> list[str]:
    """The folders that programs are looked for in, without the environment's own."""
    return [folder for folder in os.get_exec_path() if Path(folder) != ENV / "bin"]


def starts(program: str | Path, *arguments: str) -> bool:
    """Whether a program is there and ends well, which the shims of version managers do not always."""
    try:
        return run([str(program), *arguments], quiet=True)
    except OSError:
        return False


def run(command: list[str], variables: Mapping[str, str] | None = None, quiet: bool = False) -> bool:
    """Whether a command ends well; `quiet` hides what it says."""
    output = subprocess.DEVNULL if quiet else None
    environment = {**({} if HAS_HOME else OWN_CACHES), **os.environ, **WITHOUT_USER, **(variables or {})}
    return subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode == 0


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        main(Path(sys.argv[1]))
    except OSError as error:
        sys.exit(f"The set-up cannot go on: {error}")
    except KeyboardInterrupt:
        sys.exit("The set-up was stopped; the same command starts it again.")
