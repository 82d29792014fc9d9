"""What one source file says: its imports, and a digest of its meaning. What was read is kept for the next start.

A file is known again by its bytes. Parsing all sources anew takes a sixth of a start of Snakemake that has little to
do, and a job of a cluster starts it twice.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import gc
import hashlib
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchscope.identity.digests import file_sha256, sealed, unsealed
from batchscope.identity.files import write_json

_BY_NAME = ("import_module", "Task")  # what takes the name of a module as its first argument
_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)
_MODULE = re.compile(r"[\w.{}]{1,255}")  # what may be its name
_READER = [sys.version, file_sha256(__file__)]  # taken now: the file may be another one when its readings are kept
_recalled: dict[str, Source] = {}  # by SHA-256 of their bytes
_seen: dict[str, Source] = {}  # those of this process


@dataclass(frozen=True)
class Import:
    """An import as written: `level` dots, `module`, and the names that are taken from it.

    A module that is imported by a computed name has its variables in braces: `package.{name}.part`.
    """

    level: int
    module: str
    names: tuple[str, ...]
    lazy: bool


@dataclass(frozen=True)
class Source:
    """What a file imports, and a digest of its meaning: of its syntax tree without docstrings, or of all its bytes."""

    imports: tuple[Import, ...]
    meaning: str


@functools.cache
def read(file: Path) -> Source:
    """What a file says; a file that cannot be parsed imports nothing and means its bytes."""
    content = file.read_bytes()
    name = hashlib.sha256(content).hexdigest()
    found = _recalled.get(name) or _parsed(content)
    if found is None:
        return Source((), name)
    _seen[name] = found
    return found


def recall(file: Path) -> None:
    """Take what an earlier process kept in `file`, where it can be read, is whole, and is of this code and Python."""
    try:
        kept = unsealed(file.read_bytes())
    except OSError:  # none was kept, or `keep` will say what is in the way
        return
    if kept is not None and kept.get("reader") == _READER:
        for name, (meaning, imports) in kept["sources"].items():
            found = (Import(level, module, tuple(names), lazy) for level, module, names, lazy in imports)
            _recalled[name] = Source(tuple(found), meaning)


def keep(file: Path) -> None:
    """Write to `file` what this process has read, unless `recall` knew all of it; not what it could not parse.

    Raises:
        OSError: the file cannot be written, so that the next start parses everything, too.
    """
    if not _seen.keys() <= _recalled.keys():
        written = {
            name: [source.meaning, [dataclasses.astuple(each) for each in source.imports]]
            for name, source in _seen.items()
        }
        write_json(sealed({"reader": _READER, "sources": written}), file)


def _parsed(content: bytes) -> Source | None:
    """The tree is written down here and not by `ast.dump`, whose text differs between versions of Python."""
    collecting = gc.isenabled()
    gc.disable()  # so many objects at once make it search all of Snakemake's again and again: half of a dry run
    try:
        with warnings.catch_warnings(action="ignore"):  # which a filter may make an error: of an escape, for instance
            tree = ast.parse(content)
        calls = any(name.encode() in content for name in _BY_NAME)
        return Source(tuple(_imports(tree, calls)), hashlib.sha256(_written(tree).encode()).hexdigest())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    finally:
        if collecting:
            gc.enable()


def _imports(tree: ast.AST, calls: bool) -> Iterator[Import]:
    """All imports that may run; those inside functions are lazy. Expressions may hold some if it `calls` importers."""
    waiting = [(tree, False)]
    while waiting:
        node, lazy = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (Import(0, alias.name, (), lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(node.level, node.module or "", tuple(alias.name for alias in node.names), lazy)
        elif isinstance(node, ast.Call) and _name(node.func) in _BY_NAME and node.args:
            yield from _by_name(node.args[0], lazy)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checked = isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"
        below = node.orelse if isinstance(node, ast.If) and checked else ast.iter_child_nodes(node)
        waiting += [(child, lazy) for child in below if calls or isinstance(child, _BLOCKS)]


def _by_name(argument: ast.expr, lazy: bool) -> Iterator[Import]:
    """The modules that the argument of `import_module` may name."""
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    text = "".join(
        f"{{{_name(part.value)}}}" if isinstance(part, ast.FormattedValue) else str(getattr(part, "value", ""))
        for part in parts
    )
    if parts and isinstance(parts[0], ast.Constant) and _MODULE.fullmatch(text):
        yield Import(0, text, (), lazy)


def _name(expression: ast.expr) -> str:
    """The last part of a name: `import_module` of `importlib.import_module`."""
    return str(getattr(expression, "attr", getattr(expression, "id", "")))


def _written(tree: ast.AST) -> str:
    """The types and values of a tree, without docstrings; trees may be deeper than functions may call themselves."""
    text: list[str] = []
    waiting: list[Any] = [tree]  # a tuple is a piece of the text; no value of a tree is one
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            text += node
        elif isinstance(node, list):
            waiting += [("]",), *reversed(node), ("[",)]
        elif isinstance(node, ast.AST):
            waiting.append((")",))
            for name in reversed(node._fields):
                value: Any = getattr(node, name, None)
                if isinstance(value, list):
                    value = [each for each in value if not _is_text(each)]
                if value is not None and value != [] and not isinstance(value, ast.expr_context):
                    waiting += [value, (" ", name, "=")]
            waiting.append(("(", type(node).__name__))
        else:
            # Python writes down no integer of more than 4,300 decimal digits.
            text.append(hex(node) if type(node) is int and abs(node) > sys.maxsize else repr(node))
    return "".join(text)


def _is_text(node: object) -> bool:
    """Whether a statement is a text and nothing else: a docstring, of an attribute, too."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
