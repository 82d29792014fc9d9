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
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchscope.identity.digests import file_sha256, sealed, unsealed
from batchscope.identity.files import write_json

_BY_NAME = ("import_module", "Task")  # what takes the name of a module as its first argument
_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)
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
    """What a file says; a file that is no Python imports nothing and means its bytes."""
    content = file.read_bytes()
    name = hashlib.sha256(content).hexdigest()
    _seen[name] = _recalled.get(name) or _parsed(content, name)
    return _seen[name]


def recall(file: Path) -> None:
    """Take what an earlier process kept in `file`, where it is whole and this code and this Python wrote it."""
    kept = unsealed(file.read_bytes()) if file.is_file() else None
    if kept is not None and kept["reader"] == _reader():
        for name, (meaning, imports) in kept["sources"].items():
            found = (Import(level, module, tuple(names), lazy) for level, module, names, lazy in imports)
            _recalled[name] = Source(tuple(found), meaning)


def keep(file: Path) -> None:
    """Write to `file` what this process has read, unless `recall` knew all of it."""
    if not _seen.keys() <= _recalled.keys():
        written = {
            name: [source.meaning, [dataclasses.astuple(each) for each in source.imports]]
            for name, source in _seen.items()
        }
        write_json(sealed({"reader": _reader(), "sources": written}), file)


def _reader() -> list[Any]:
    return [*sys.version_info[:2], file_sha256(__file__)]


def _parsed(content: bytes, digest: str) -> Source:
    """The tree is written down here and not by `ast.dump`, whose text differs between versions of Python."""
    collecting = gc.isenabled()
    gc.disable()  # so many objects at once make it search all of Snakemake's again and again: half of a dry run
    try:
        tree = ast.parse(content)
        text: list[str] = []
        _write(tree, text)
        calls = any(name.encode() in content for name in _BY_NAME)
        return Source(tuple(_imports(tree, calls)), hashlib.sha256("".join(text).encode()).hexdigest())
    except (SyntaxError, ValueError):
        return Source((), digest)
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
    if isinstance(argument, ast.Constant):
        yield Import(0, str(argument.value), (), lazy)
    elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        parts = [
            f"{{{_name(part.value)}}}" if isinstance(part, ast.FormattedValue) else str(getattr(part, "value", ""))
            for part in argument.values
        ]
        yield Import(0, "".join(parts), (), lazy)


def _name(expression: ast.expr) -> str:
    """The last part of a name: `import_module` of `importlib.import_module`."""
    return str(getattr(expression, "attr", getattr(expression, "id", "")))


def _write(node: object, text: list[str]) -> None:
    if isinstance(node, list):
        text.append("[")
        for each in node:
            _write(each, text)
        text.append("]")
    elif isinstance(node, ast.AST):
        text.append(f"({type(node).__name__}")
        for name in node._fields:
            value: Any = getattr(node, name, None)
            if isinstance(value, list):
                value = [each for each in value if not _is_text(each)]
            if value is not None and value != [] and not isinstance(value, ast.expr_context):
                text.append(f" {name}=")
                _write(value, text)
        text.append(")")
    else:
        text.append(repr(node))


def _is_text(node: object) -> bool:
    """Whether a statement is a text and nothing else: a docstring, of an attribute, too."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
