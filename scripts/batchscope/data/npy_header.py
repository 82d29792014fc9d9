"""The header of a .npy file, or of such a member of an .npz file, read without NumPy.

Format: numpy.lib.format, versions 1.0, 2.0 and 3.0.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import IO, Any

_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
_LONGEST = 10_000  # as in NumPy, since a longer text might keep the parser busy for ever
_TYPE = re.compile(r"[<>|=]?([?biufcmMOSTUV])(\d*)(\[\w+\])?")


@dataclass(frozen=True)
class Header:
    """What an array is: its shape, its kind (a letter as of `numpy.dtype.kind`), and how many bytes it takes.

    `bytes` counts the header, too. `kind` is `V` for a structured array, whose bytes are not known (None), and `O` for
    objects, which are pickled.
    """

    shape: tuple[int, ...]
    kind: str
    bytes: int | None


def read(stream: IO[bytes]) -> Header:
    """The header that starts at the beginning of `stream`.

    Raises:
        ValueError: this is no such header.
    """
    magic = stream.read(8)
    version = (*magic[6:],)
    if magic[:6] != b"\x93NUMPY" or version not in _LENGTH_BYTES:
        raise ValueError("an array does not start with a header of the .npy format 1.0, 2.0 or 3.0")
    width = _LENGTH_BYTES[version]
    length = int.from_bytes(_exactly(stream, width), "little")
    if length > _LONGEST:
        raise ValueError(f"the header of an array has {length} bytes, where at most {_LONGEST} are read")
    content = _content(_exactly(stream, length).decode("utf-8" if version == (3, 0) else "latin-1"))
    shape = content["shape"]
    if not isinstance(shape, tuple) or any(type(axis) is not int or axis < 0 for axis in shape):
        raise ValueError(f"the header of an array has the shape {shape!r}")
    kind, size = _type(content["descr"])
    if size is None:
        return Header(shape, kind, None)
    for axis in shape:
        size *= axis
    return Header(shape, kind, len(magic) + width + length + size)


def _exactly(stream: IO[bytes], n: int) -> bytes:
    content = stream.read(n)
    if len(content) != n:
        raise ValueError("the header of an array is cut short")
    return content


def _content(text: str) -> dict[str, Any]:
    try:
        # Python 2 wrote whole numbers with an L.
        content = ast.literal_eval(re.sub(r"(?<=\d)L\b", "", text).strip())
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError("the header of an array is not readable") from error
    if not isinstance(content, dict) or set(content) != {"descr", "fortran_order", "shape"}:
        raise ValueError("the header of an array lacks its type or its shape")
    return content


def _type(descr: object) -> tuple[str, int | None]:
    """Kind and bytes of one element."""
    if isinstance(descr, list):
        return "V", None
    found = _TYPE.fullmatch(descr) if isinstance(descr, str) else None
    if found is None:
        raise ValueError(f"the header of an array has the type {descr!r}")
    kind, digits, _ = found.groups()
    if kind in "OT":  # texts of any length are pickled like objects
        return "O", None
    size = int(digits or 1)
    return ("b", size) if kind in "?b" and size == 1 else (kind, 4 * size if kind == "U" else size)
