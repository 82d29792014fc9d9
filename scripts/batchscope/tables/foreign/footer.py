"""What the footer of a Parquet file says of its table, read without a library for Parquet.

The footer is a `FileMetaData` of parquet-format's parquet.thrift in Thrift's compact protocol
(thrift-compact-protocol.md), both projects of the Apache Software Foundation.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MAGIC = b"PAR1"
_DEEPEST = 32  # structs and lists within one another; the format needs a dozen
_TRUE, _FALSE = 1, 2


class FooterError(ValueError):
    """These bytes are no footer of a Parquet file."""


@dataclass(frozen=True)
class Footer:
    """Names of the top-level columns, the number of rows, and the names of those columns that pandas wrote as index.

    `ranges` are indexes of evenly spaced whole numbers, which pandas only describes here; without a name they are none.
    """

    columns: tuple[str, ...]
    rows: int
    index: tuple[str, ...]
    ranges: Mapping[str, range] = field(default_factory=dict)


def read(path: Path) -> Footer:
    """The footer of a Parquet file.

    Raises:
        FooterError: the file is cut short, encrypted, or no Parquet file.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size < 12:
            raise FooterError("it is too short")
        stream.seek(0)
        start = stream.read(4)
        stream.seek(-8, os.SEEK_END)
        length, end = struct.unpack("<I4s", stream.read(8))
        if (start, end) != (_MAGIC, _MAGIC):
            raise FooterError("it does not start and end with the mark of an unencrypted one")
        if length > size - 12:
            raise FooterError("its footer is longer than the file")
        stream.seek(-8 - length, os.SEEK_END)
        return _footer(stream.read(length))


def _footer(content: bytes) -> Footer:
    try:
        metadata, _ = _struct(content, 0, 0)
        columns, rows = tuple(_columns(metadata[2])), metadata[3]
        texts = {entry[1]: entry.get(2, b"") for entry in metadata.get(5, [])}
        described = json.loads(texts[b"pandas"]).get("index_columns", ()) if b"pandas" in texts else ()
        ranges = {
            each["name"]: range(each["start"], each["stop"], each["step"])
            for each in described
            if isinstance(each, dict) and isinstance(each["name"], str) and each["name"] not in columns
        }
        index = [each for each in described if isinstance(each, str)]
        whole = all(len(numbers) == rows for numbers in ranges.values())
    except (
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        OverflowError,
        struct.error,
    ) as error:
        raise FooterError("its footer is damaged") from error
    if not whole or not isinstance(rows, int) or rows < 0:
        raise FooterError("its footer is damaged")
    return Footer(columns, rows, tuple(name for name in columns if name in index), ranges)


def _columns(schema: list[Any]) -> Iterator[str]:
    """Names of the children of the first element; each is followed by its own children."""
    position = 1
    for _ in range(schema[0].get(5, 0)):
        yield schema[position][4].decode()
        below = 1
        while below:
            below += schema[position].get(5, 0) - 1
            position += 1
    if position != len(schema):
        raise FooterError("its footer is damaged")


def _struct(content: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while (head := content[at]) != 0:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(content, at)
        fields[number], at = _value(content, at, head & 15, depth + 1)
    return fields, at + 1


def _value(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A value of a field, and where it ends."""
    if depth > _DEEPEST or kind not in _READERS:  # a map among others, which no part of this footer is
        raise FooterError("its footer is damaged")
    return _READERS[kind](content, at, depth)


def _double(content: bytes, at: int, _depth: int) -> tuple[float, int]:
    return struct.unpack_from("<d", content, at)[0], at + 8


def _binary(content: bytes, at: int, _depth: int) -> tuple[bytes, int]:
    length, at = _varint(content, at)
    _require(content, at, length)
    return content[at : at + length], at + length


def _list(content: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head, at = content[at], at + 1
    length, kind = head >> 4, head & 15
    if length == 15:
        length, at = _varint(content, at)
    _require(content, at, length)  # every element takes a byte at least
    values = []
    for _ in range(length):
        if kind in (_TRUE, _FALSE):
            value, at = content[at] == _TRUE, at + 1
        else:
            value, at = _value(content, at, kind, depth + 1)
        values.append(value)
    return values, at


def _integer(content: bytes, at: int, _depth: int = 0) -> tuple[int, int]:
    value, at = _varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte, at = content[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise FooterError("its footer is damaged")


def _require(content: bytes, at: int, length: int) -> None:
    if length > len(content) - at:
        raise FooterError("its footer is damaged")


_READERS: dict[int, Callable[[bytes, int, int], tuple[Any, int]]] = {
    _TRUE: lambda _content, at, _depth: (True, at),
    _FALSE: lambda _content, at, _depth: (False, at),
    3: lambda content, at, _depth: (content[at], at + 1),
    **dict.fromkeys((4, 5, 6), _integer),
    7: _double,
    8: _binary,
    **dict.fromkeys((9, 10), _list),
    12: _struct,
}
