"""Published images: where their files are, what they must hash to, and how they are laid out.

Where the numbers come from (none was computed from a download made for this file):

- SHA-256 of the files as published: TensorFlow Datasets, `tensorflow_datasets/url_checksums/mnist.txt`,
  `fashion_mnist.txt` and `cifar10.txt` (URL, size, SHA-256); the same eight values for MNIST and Fashion-MNIST are in
  torchvision, `torchvision/prototype/datasets/_builtin/mnist.py`.
- SHA-256 of the unpacked Fashion-MNIST files: computed from Debian's package dataset-fashion-mnist. Its .gz files are
  the published ones without name and time stamp in the gzip header: put back (1504176606 and 1504176627, 31 August
  2017), they give the published SHA-256 of all four files.
- SHA-256 of the unpacked MNIST files: not published by the authors; taken from several public repositories that agree
  with one another and list them beside the SHA-256 of the .gz files. They decide only whether an unpacked or repacked
  local copy is accepted, never whether a download is.
- Mirrors: those that torchvision (ossci-datasets), TensorFlow Datasets (cvdf-datasets, zalando's bucket, toronto),
  Keras (tf-keras-datasets), the authors of Fashion-MNIST (their repository) and Swift for TensorFlow (s4tf) use.
"""

from __future__ import annotations

import io
import math
import struct
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchscope.data.download import RemoteFile, obtain, read_bytes
from batchscope.data.sources.reading import Examples, Place, Source, Values
from batchscope.data.splits import DataError

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_files(bases: Sequence[str], hashes: Sequence[tuple[str, str]]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(f"{name}.gz", packed, tuple(f"{base}/{name}.gz" for base in bases), unpacked)
        for name, (packed, unpacked) in zip(IDX_NAMES, hashes, strict=True)
    )


REMOTE_FILES: Mapping[str, tuple[RemoteFile, ...]] = {
    "mnist": _idx_files(
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        [
            (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            (
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            (
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            (
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ],
    ),
    "fashion-mnist": _idx_files(
        (
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ),
        [
            (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ],
    ),
    "cifar10": (
        RemoteFile(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
            ),
        ),
    ),
}


CLASS_NAMES: Mapping[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip


@dataclass(frozen=True)
class Images:
    """Training and test images, uint8 (n, height, width, channels), and their labels, uint8 (n,)."""

    x: NDArray[np.uint8]
    y: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]


def read(dataset: Values, seed: int, place: Place) -> Source:
    """Training and test images, in the order of the files."""
    name = dataset["source"]
    remote, class_names = (place.remote_files or REMOTE_FILES)[name], CLASS_NAMES[name]
    paths = [obtain(file, name, data_folders=place.data_folders, cache=place.cache) for file in remote]
    images = read_images(name, paths)
    return Source(
        Examples(images.x, images.y, f"{name} training images", f"{name} training labels"),
        Examples(images.x_test, images.y_test, f"{name} test images", f"{name} test labels"),
        len(class_names),
        class_names,
        # The published hash, also of a copy packed differently: the data set file must not depend on which it was.
        {file.name: file.sha256 for file in remote},
    )


def read_images(dataset: str, paths: Sequence[Path]) -> Images:
    """The images of `dataset` from its files, in the order of `REMOTE_FILES`."""
    if dataset == "cifar10":
        return read_cifar(paths[0])
    x, y, x_test, y_test = (read_idx(path, axes) for path, axes in zip(paths, (3, 1, 3, 1), strict=True))
    return Images(x[..., None], y, x_test[..., None], y_test)


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes with `axes` axes, packed or not (format: the page of the MNIST database).

    Raises:
        DataError: the header or the length is not that of such a file.
    """
    content = read_bytes(path)
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes((0, 0, 8, axes)):
        raise DataError(f"{path} is not an IDX file of bytes with {axes} axes")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise DataError(f"{path} should hold {math.prod(shape)} bytes of data but holds {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path) -> Images:
    """CIFAR-10 in its binary version: per image a label and 3 planes (red, green, blue) of 32 rows of 32 bytes.

    The archive is read in memory, member by member; nothing is unpacked to disk and nothing is unpickled.

    Raises:
        DataError: a file is missing from the archive or is not made of such records.
    """
    train = [f"data_batch_{number}.bin" for number in range(1, 6)]
    with tarfile.open(fileobj=io.BytesIO(read_bytes(path)), mode="r:") as archive:
        records = {name: _cifar_records(path, archive, name) for name in [*train, "test_batch.bin"]}
    x, y = _cifar_images(np.concatenate([records[name] for name in train]))
    x_test, y_test = _cifar_images(records["test_batch.bin"])
    return Images(x, y, x_test, y_test)


def _cifar_records(path: Path, archive: tarfile.TarFile, name: str) -> NDArray[np.uint8]:
    member = f"cifar-10-batches-bin/{name}"
    stream = archive.extractfile(member) if member in archive.getnames() else None
    if stream is None:
        raise DataError(f"{path} has no file {member}")
    content = stream.read()
    if not content or len(content) % 3073:
        raise DataError(f"{path}: {member} has {len(content)} bytes, which is no whole number of records of 3,073")
    return np.frombuffer(content, np.uint8).reshape(-1, 3073)


def _cifar_images(records: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]
