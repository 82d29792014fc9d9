"""Files of published data sets: found on this machine or downloaded, and never used before their SHA-256 matches."""

from __future__ import annotations

import gzip
import hashlib
import logging
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests

from batchscope.data.splits import DataError
from batchscope.identity.digests import file_sha256

SYSTEM_FOLDERS = (Path("/usr/share/datasets"),)
"""Where packages of the operating system put data sets (Debian's dataset-fashion-mnist), one folder per data set."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, the SHA-256 of its bytes, its mirrors, the SHA-256 of what a .gz file unpacks to."""

    name: str
    sha256: str
    urls: tuple[str, ...]
    content_sha256: str | None = None


class _WrongHashError(Exception):
    """A mirror delivered a whole file, but another one. Trying the same mirror again would not help."""


def obtain(
    file: RemoteFile,
    dataset: str,
    *,
    data_folders: Sequence[Path],
    cache: Path,
    system_folders: Sequence[Path] = SYSTEM_FOLDERS,
    retries: int = 2,
) -> Path:
    """Path of a copy of `file` with the right content, downloaded into `cache` only where this machine has none.

    Searched first: `data_folders`, then `system_folders`, then `cache`; in each the folder itself and its subfolder
    `dataset`, and for `name.gz` also the unpacked file `name`. A copy with another content is skipped with a warning.
    The mirrors are tried in order; a broken connection is tried again `retries` times, a wrong hash is not.

    Raises:
        DataError: no copy was found and every mirror failed, and how each of them did; or there is no place for one.
    """
    folders = [*data_folders, *system_folders, cache]
    for path in _candidates(file, dataset, folders):
        if _matches(file, path):
            _log.info("using %s", path)
            return path
        _log.warning(
            "%s is skipped: its SHA-256 is %s, that of the published file is %s", path, file_sha256(path), file.sha256
        )
    failures = []
    for url in file.urls:
        try:
            return _download(file, url, cache / dataset, retries)
        except (requests.RequestException, _WrongHashError) as error:
            failures.append(f"{url}: {error}")
            _log.warning("download failed: %s", failures[-1])
        except OSError as error:  # of the folder, as those of the network are among the above
            raise DataError(
                f"{file.name} cannot be written to {cache / dataset} ({error.strerror}); mend that, or put the file "
                "into a folder that `data_folders` lists"
            ) from error
    raise DataError(
        f"{file.name} is not on this machine and could not be downloaded ({'; '.join(failures)}); "
        f"put the file with the SHA-256 {file.sha256} into a folder that `data_folders` lists"
    )


def read_bytes(path: Path) -> bytes:
    """Content of a file, unpacked where it is gzip-compressed, whatever its name."""
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _candidates(file: RemoteFile, dataset: str, folders: Sequence[Path]) -> Iterator[Path]:
    names = [file.name, file.name.removesuffix(".gz")] if file.content_sha256 else [file.name]
    for folder in folders:
        paths = [place / name for place in (folder / dataset, folder) for name in names]
        yield from (path for path in paths if path.is_file())


def _matches(file: RemoteFile, path: Path) -> bool:
    if file_sha256(path) == file.sha256:
        return True
    if file.content_sha256 is None:
        return False
    # Distributions pack the same content anew (Debian strips the time stamp), so what counts is the content.
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest() == file.content_sha256
    except (OSError, EOFError, zlib.error):
        return False


def _download(file: RemoteFile, url: str, folder: Path, retries: int) -> Path:
    # Pooch writes beside the final name and renames at the end, so that half a file never has the name of a whole one.
    fetcher = pooch.create(
        path=folder, base_url="", registry={file.name: file.sha256}, urls={file.name: url}, retry_if_failed=retries
    )

    def save(address: str, target: str, caller: Any) -> None:
        http = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 20, timeout=30)
        http(address, target, caller)
        found = file_sha256(Path(target))
        if found != file.sha256:
            raise _WrongHashError(f"the SHA-256 of {file.name} should be {file.sha256} but is {found}")

    return Path(fetcher.fetch(file.name, downloader=save))
