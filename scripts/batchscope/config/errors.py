"""What a user is told about a mistake: one sentence that begins with its place."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Key = str | int
Fault = tuple[Sequence[Key], str]  # keys below what was read, and the end of the sentence
Locate = Callable[[Sequence[Key]], str]  # where the user wrote a value: "file, line 12: key.path"


class ConfigError(ValueError):
    """What a user must change: one sentence with the file, the line, the key, what is wrong and what would be valid.

    A file may hold any text: what cannot be printed is escaped, and a word that nobody would write is cut.
    """

    def __init__(self, sentence: str) -> None:
        printed = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in sentence
        )
        super().__init__(re.sub(r"(\S{100})\S{200,}", r"\1…", printed))


class DataError(ValueError):
    """The user's data, or the way the study describes them, cannot be used; the message says what would be valid."""


def shown(path: Path) -> str:
    """A path as messages and jobs name it: relative to the working directory where it lies below it, else absolute."""
    absolute = Path(os.path.normpath(Path.cwd() / path.expanduser()))
    return (absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute).as_posix()


def refuse_braces(path: str | Path, place: str) -> None:
    """Raise `ConfigError` for a path that Snakemake would take for one with wildcards."""
    if set("{}") & set(str(path)):
        raise ConfigError(f"{place}: Snakemake fills in the braces of {path}; valid is a path without braces")


def refuse_unknown(
    names: Mapping[Any, object] | Sequence[object], known: Collection[object], locate: Locate, says: str
) -> None:
    """Raise `ConfigError` for the first of `names`, each at its key or position, that is not `known`.

    Args:
        names: what a user wrote.
        known: the names that are valid.
        locate: where the user wrote each.
        says: what is wrong, with `{}` for the name.
    """
    for key, name in names.items() if isinstance(names, Mapping) else enumerate(names):
        if name not in known:
            raise ConfigError(f"{locate([key])}: {says.format(name)}{choice(name, map(str, known))}")


def larger(size: object, examples: int, part: str, dataset: str, *, lowest: int = 1, or_full: bool = False) -> str:
    """Why a batch is refused that is larger than the part of a data set that it would be drawn from."""
    valid = f"an integer from {lowest} to {examples}{', or full' if or_full else ''}"
    return f"{size} is larger than the {examples:,} {part} examples of {dataset}; valid is {valid}"


def key_path(keys: Sequence[Key]) -> str:
    """Keys as messages write them: `comparisons[0].batch_sizes[2]`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def below(locate: Locate, *prefix: Key) -> Locate:
    """Where values lie that stand below some keys."""
    return lambda keys: locate([*prefix, *keys])


def choice(value: object, valid: Iterable[str]) -> str:
    """The end of a sentence that refuses a name: the nearest valid one, and all of them."""
    names = list(valid)
    near = difflib.get_close_matches(str(value), names, n=1)
    return (f" (did you mean `{near[0]}`?)" if near else "") + f"; valid is {either(names)}"


def either(names: Sequence[object]) -> str:
    """`a`, or `one of a, b`."""
    return str(names[0]) if len(names) == 1 else "one of " + ", ".join(map(str, names))
