"""A cache of downloaded files that cannot be read or holds half a file; the mirror is a server on 127.0.0.1.

The job of the workflow that makes a data set is called as a process of its own, with a data set of a few images.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench import ROOT, Bench, Case, Cases, Ending, ending

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
JOB = """\
import json, sys
from pathlib import Path
from batchscope import logs
logs.redirect("job.log")
from batchscope.datasets import making
from batchscope.datasets.download import RemoteFile
given = json.loads(Path("given.json").read_text())
files = [RemoteFile(name, sha256, (f"http://127.0.0.1:{given['port']}/{name}",)) for name, sha256 in given["files"]]
making.make(
    given["dataset"], "fixed", Path("made.npz"), Path("made.json"), asked="", data_folders=[], cache=Path("cache"),
    remote_files={"mnist": files},
)
"""
DATASET = {
    "name": "few", "source": "mnist", "draw": "fixed", "split_seed": 0, "order": "shuffled", "scale": "unit",
    "split": {"validation": 0.25}, "classes": None,
}  # fmt: skip
CAPABILITIES = "-dac_override,-dac_read_search"
# Root, too, has to keep to permissions here.
BOUND = ("setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}") if os.geteuid() == 0 else ()


def cache(bench: Bench) -> Cases:
    """Each way in which the cache cannot be used; then it can."""
    mirror = bench.folder / "mirror"
    mirror.mkdir()
    files = _publish(mirror)
    handler = functools.partial(_Quiet, directory=str(mirror))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        whole = _make(_folder(bench, "whole", files, server.server_port))[1]
        for what, spoil, mend in WAYS:
            folder = _folder(bench, what, files, server.server_port)
            spoil(folder, mirror)
            first, _ = _make(folder)
            mend(folder, mirror)
            last, made = _make(folder)
            yield Case("unreadable cache", what, first, last, () if made == whole else ("the data set",))
        server.shutdown()


def _publish(mirror: Path) -> list[tuple[str, str]]:
    """A few images in the format of MNIST, and the SHA-256 of each file."""
    rng = np.random.default_rng(0)
    published = []
    for name in NAMES:
        n = 40 if "train" in name else 10
        shape = (n, 28, 28) if "images" in name else (n,)
        values = rng.integers(0, 255, shape, np.uint8) if "images" in name else np.arange(n, dtype=np.uint8) % 10
        header = bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)
        content = gzip.compress(header + values.tobytes(), mtime=0)
        (mirror / f"{name}.gz").write_bytes(content)
        published.append((f"{name}.gz", hashlib.sha256(content).hexdigest()))
    return published


def _folder(bench: Bench, what: str, files: list[tuple[str, str]], port: int) -> Path:
    folder = bench.folder / f"cache-{what.replace(' ', '-')}"
    (folder / "cache/mnist").mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "given.json").write_text(json.dumps({"files": files, "port": port, "dataset": DATASET}))
    return folder


def _make(folder: Path) -> tuple[Ending, bytes | None]:
    """Run the job; how it ended and what it made."""
    done = subprocess.run(
        [*BOUND, sys.executable, "-c", JOB],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    log = folder / "job.log"
    made = folder / "made.npz"
    output = done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    return ending(done.returncode, output), made.read_bytes() if made.exists() else None


def _file_for_folder(folder: Path, _: Path) -> None:
    (folder / "cache/mnist").rmdir()
    (folder / "cache").rmdir()
    (folder / "cache").write_text("a file")


def _folder_again(folder: Path, _: Path) -> None:
    (folder / "cache").unlink()


def _half_a_file(folder: Path, mirror: Path) -> None:
    whole = (mirror / f"{NAMES[0]}.gz").read_bytes()
    (folder / f"cache/mnist/{NAMES[0]}.gz").write_bytes(whole[: len(whole) // 2])


def _unreadable_file(folder: Path, mirror: Path) -> None:
    _half_a_file(folder, mirror)
    (folder / f"cache/mnist/{NAMES[0]}.gz").chmod(0)


def _readable_file(folder: Path, _: Path) -> None:
    (folder / f"cache/mnist/{NAMES[0]}.gz").chmod(0o666)


def _mode(mode: int) -> Callable[[Path, Path], None]:
    def change(folder: Path, _: Path) -> None:
        for place in ("cache/mnist", "cache"):
            (folder / place).chmod(mode)

    return change


def _broken_mirror(_: Path, mirror: Path) -> None:
    (mirror / f"{NAMES[1]}.gz").rename(mirror / "away")


def _mended_mirror(_: Path, mirror: Path) -> None:
    (mirror / "away").rename(mirror / f"{NAMES[1]}.gz")


def _half_a_mirror(_: Path, mirror: Path) -> None:
    _broken_mirror(_, mirror)
    (mirror / f"{NAMES[1]}.gz").write_bytes((mirror / "away").read_bytes()[:20])


def _nothing(folder: Path, _: Path) -> None:
    """The job has to help itself."""


WAYS = [
    ("a file in place of its folder", _file_for_folder, _folder_again),
    ("a folder that may not be entered", _mode(0), _mode(0o777)),
    ("a folder that may not be written", _mode(0o555), _mode(0o777)),
    ("half a downloaded file", _half_a_file, _nothing),
    ("a file that may not be read", _unreadable_file, _readable_file),
    ("a mirror without the file", _broken_mirror, _mended_mirror),
    ("a mirror with half the file", _half_a_mirror, _mended_mirror),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing of the server's belongs on the screen."""
