"""Downloads from a real HTTP server on this machine, and files that are already there."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import logging
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from batchscope.data import making
from batchscope.data.dataset import load
from batchscope.data.download import SYSTEM_FOLDERS, RemoteFile, obtain, read_bytes
from batchscope.data.sources.images.read import IDX_NAMES, REMOTE_FILES, read_cifar, read_idx, read_images
from batchscope.data.splits import DataError

CONTENT = bytes(range(256)) * 400
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Mirror:
    """A server whose answers a test sets by path; it remembers what was asked for."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


def whole(content: bytes = CONTENT) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def cut_off(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])


def cut_off_unnoticed(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)  # no length: the end of the connection is all that tells the end of the file
    handler.end_headers()
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])


def missing(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            answers = state.answers.get(self.path, [missing])
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Mirror(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def remote(mirror: Mirror, *paths: str, content: bytes = CONTENT, name: str = "data.bin") -> RemoteFile:
    return RemoteFile(name, hashlib.sha256(content).hexdigest(), tuple(mirror.url + path for path in paths))


def get(file: RemoteFile, tmp_path: Path, *, folders: tuple[Path, ...] = (), retries: int = 0) -> Path:
    return obtain(file, "set", data_folders=folders, cache=tmp_path / "cache", system_folders=(), retries=retries)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_downloaded_once_and_then_taken_from_the_cache(mirror: Mirror, tmp_path: Path) -> None:
    mirror.answers["/a"] = [whole()]
    path = get(remote(mirror, "/a"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert files_below(tmp_path) == ["cache/set/data.bin"]
    assert get(remote(mirror, "/a"), tmp_path) == path
    assert mirror.asked == ["/a"]


def test_the_second_mirror_is_used_where_the_first_fails(
    mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror.answers["/b"] = [whole()]
    assert get(remote(mirror, "/a", "/b"), tmp_path).read_bytes() == CONTENT
    assert mirror.asked == ["/a", "/b"]
    assert f"{mirror.url}/a" in caplog.text
    assert "404" in caplog.text


def test_a_broken_connection_is_tried_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.answers["/a"] = [cut_off, whole()]
    assert get(remote(mirror, "/a"), tmp_path, retries=1).read_bytes() == CONTENT
    assert mirror.asked == ["/a", "/a"]


@pytest.mark.parametrize("answer", [cut_off, cut_off_unnoticed, missing])
def test_half_a_file_is_never_left_behind(mirror: Mirror, tmp_path: Path, answer: Answer) -> None:
    mirror.answers["/a"] = [answer]
    with pytest.raises(DataError, match=r"data.bin is not on this machine and could not be downloaded"):
        get(remote(mirror, "/a"), tmp_path)
    assert files_below(tmp_path) == []


def test_another_file_is_refused_with_both_hashes_and_the_mirror(mirror: Mirror, tmp_path: Path) -> None:
    other = CONTENT + b"!"
    mirror.answers["/a"] = [whole(other)]
    with pytest.raises(DataError) as caught:
        get(remote(mirror, "/a"), tmp_path, retries=2)
    for part in (f"{mirror.url}/a", hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(other).hexdigest()):
        assert part in str(caught.value)
    assert mirror.asked == ["/a"]  # asking again would give the same file
    assert files_below(tmp_path) == []


def test_a_cache_that_is_no_folder_is_refused_in_a_sentence(mirror: Mirror, tmp_path: Path) -> None:
    mirror.answers["/a"] = [whole()]
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"data\.bin cannot be written to .*cache/set \(Not a directory\)"):
        get(remote(mirror, "/a"), tmp_path)
    assert (tmp_path / "cache").read_text() == "a file"


def test_a_damaged_file_in_the_cache_is_replaced(
    mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "cache" / "set" / "data.bin"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(CONTENT[:-1])
    mirror.answers["/a"] = [whole()]
    assert get(remote(mirror, "/a"), tmp_path).read_bytes() == CONTENT
    assert f"{damaged} is skipped" in caplog.text


@pytest.mark.parametrize("place", ["data.bin", "set/data.bin"])
def test_data_folders_come_before_the_network(mirror: Mirror, tmp_path: Path, place: str) -> None:
    own = tmp_path / "own" / place
    own.parent.mkdir(parents=True)
    own.write_bytes(CONTENT)
    assert get(remote(mirror, "/a"), tmp_path, folders=(tmp_path / "missing", tmp_path / "own")) == own
    assert mirror.asked == []


def test_a_file_of_the_right_name_with_other_content_is_skipped_with_a_warning(
    mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data.bin").write_bytes(b"another data set")
    mirror.answers["/a"] = [whole()]
    with caplog.at_level(logging.WARNING):
        path = get(remote(mirror, "/a"), tmp_path, folders=(tmp_path,))
    assert path == tmp_path / "cache" / "set" / "data.bin"
    assert f"{tmp_path / 'data.bin'} is skipped" in caplog.text


@pytest.mark.parametrize("name", ["data.gz", "data"])
def test_a_copy_packed_differently_counts_by_its_content(tmp_path: Path, name: str) -> None:
    published = gzip.compress(CONTENT, mtime=1)
    file = RemoteFile("data.gz", hashlib.sha256(published).hexdigest(), (), hashlib.sha256(CONTENT).hexdigest())
    (tmp_path / name).write_bytes(gzip.compress(CONTENT, 1, mtime=2) if name == "data.gz" else CONTENT)
    path = get(file, tmp_path, folders=(tmp_path,))
    assert path == tmp_path / name
    assert read_bytes(path) == CONTENT


def test_a_packed_copy_that_is_cut_short_is_skipped(tmp_path: Path) -> None:
    published = gzip.compress(CONTENT, mtime=1)
    file = RemoteFile("data.gz", hashlib.sha256(published).hexdigest(), (), hashlib.sha256(CONTENT).hexdigest())
    (tmp_path / "data.gz").write_bytes(published[:-30])
    with pytest.raises(DataError, match="could not be downloaded"):
        get(file, tmp_path, folders=(tmp_path,))


def test_every_published_file_has_a_whole_hash_and_mirrors() -> None:
    for name, files in REMOTE_FILES.items():
        assert len({file.sha256 for file in files}) == len(files) == (1 if name == "cifar10" else 4)
        for file in files:
            hashes = [file.sha256, *([file.content_sha256] if file.content_sha256 else [])]
            assert all(len(bytes.fromhex(value)) == 32 for value in hashes)
            assert len(file.urls) >= 2
            assert all(url.endswith("/" + file.name) for url in file.urls)


@pytest.mark.skipif(
    not (SYSTEM_FOLDERS[0] / "fashion-mnist").is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
@pytest.mark.parametrize("number", range(4))
def test_debians_copy_of_fashion_mnist_is_the_published_one(tmp_path: Path, number: int) -> None:
    file = REMOTE_FILES["fashion-mnist"][number]
    path = obtain(file, "fashion-mnist", data_folders=[], cache=tmp_path)
    # Debian strips file name and time stamp from the gzip header; with both put back the published hash must come out.
    stamp = 1504176606 if file.name.startswith("train") else 1504176627
    header = (
        b"\x1f\x8b\x08\x08" + struct.pack("<I", stamp) + b"\x00\x03" + file.name.removesuffix(".gz").encode() + b"\0"
    )
    assert hashlib.sha256(header + path.read_bytes()[10:]).hexdigest() == file.sha256


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_idx_files_give_images_with_a_channel_axis(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 256, shape, np.uint8) for shape in ((6, 4, 5), (6,), (3, 4, 5), (3,))]
    paths = [tmp_path / name for name in IDX_NAMES]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(gzip.compress(idx(part)))
    images = read_images("mnist", paths)
    assert images.x.shape == (6, 4, 5, 1)
    np.testing.assert_array_equal(images.x[..., 0], parts[0])
    np.testing.assert_array_equal(images.y_test, parts[3])


def test_a_data_set_is_downloaded_checked_and_made(mirror: Mirror, tmp_path: Path) -> None:
    labels = np.arange(60, dtype=np.uint8) % 10
    pixels = np.broadcast_to(labels[:, None, None], (60, 28, 28))
    contents = [idx(part) for part in (pixels[:40], labels[:40], pixels[40:], labels[40:])]
    files = []
    for name, content in zip(IDX_NAMES, contents, strict=True):
        mirror.answers[f"/{name}.gz"] = [whole(gzip.compress(content, mtime=0))]
        files.append(remote(mirror, f"/{name}.gz", content=gzip.compress(content, mtime=0), name=f"{name}.gz"))
    split = {"validation": 10}
    drawn = {"draw": "fixed", "split_seed": 0, "order": "source"}
    dataset = {"name": "m", "source": "mnist", "split": split, "scale": "unit", **drawn}
    path = tmp_path / "m.npz"
    making.make(
        dataset,
        "fixed",
        path,
        tmp_path / "m.json",
        asked="",
        data_folders=[],
        cache=tmp_path / "cache",
        remote_files={"mnist": files},
    )
    data = load(path)
    assert data.x_train.shape == (30, 28, 28, 1)
    assert sorted(data.y_validation.tolist()) == list(range(10))
    np.testing.assert_allclose(data.x_test[:, 5, 5, 0], data.y_test / 9, rtol=1e-6)
    assert data.meta["files"] == {file.name: file.sha256 for file in files}


def test_broken_idx_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(idx(np.zeros(10, np.uint8))[:-1])
    with pytest.raises(DataError, match="should hold 10 bytes of data but holds 9"):
        read_idx(path, 1)
    with pytest.raises(DataError, match="is not an IDX file of bytes with 3 axes"):
        read_idx(path, 3)


def cifar(path: Path, batches: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in batches.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def cifar_batches() -> dict[str, bytes]:
    # Every pixel of channel c in row r, column k of image i: i + 10 c + r + k.
    channel, row, column = np.indices((3, 32, 32))
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    return {
        f"cifar-10-batches-bin/{name}": bytes([i]) + (i + 10 * channel + row + column).astype(np.uint8).tobytes()
        for i, name in enumerate(names)
    }


def test_cifar_planes_become_channels(tmp_path: Path) -> None:
    images = read_cifar(cifar(tmp_path / "cifar.tar.gz", cifar_batches()))
    assert images.x.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(images.y, range(5))
    np.testing.assert_array_equal(images.y_test, [5])
    assert images.x[4, 2, 7, 1] == 4 + 10 + 2 + 7
    assert files_below(tmp_path) == ["cifar.tar.gz"]  # nothing is unpacked to disk


def test_cifar_archives_that_lack_or_break_a_batch_are_refused(tmp_path: Path) -> None:
    batches = cifar_batches()
    first = next(iter(batches))
    broken = cifar(tmp_path / "broken.tar.gz", {**batches, first: batches[first][:-1]})
    with pytest.raises(DataError, match=r"data_batch_1.bin has 3072 bytes"):
        read_cifar(broken)
    outside = cifar(tmp_path / "outside.tar.gz", {"../" + name: content for name, content in batches.items()})
    with pytest.raises(DataError, match=r"has no file cifar-10-batches-bin/data_batch_1.bin"):
        read_cifar(outside)
