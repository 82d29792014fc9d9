"""What source code depends on, read from its imports without running it: files, packages, and a fingerprint.

Snakemake sees a script's own file only. What a job computes also follows from every module that the script imports,
directly or not, so a rule has the fingerprint of all of them as a parameter.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def closure(entry: Path, root: Path, *, lazy: bool = True) -> list[Path]:
    """`entry` and every source file below `root` that it imports, directly or not, sorted.

    Imports for type checkers alone do not count. `import_module(f"package.{name}")` counts as all modules of the
    package. A file that imports nothing below `root`, or is no Python, is its own closure.

    Args:
        entry: a Python file.
        root: the folder that is on the path for imports.
        lazy: whether imports inside functions count, too.
    """
    found: set[Path] = set()
    waiting = [entry.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            for module in _imported(file, root.resolve(), lazy):
                waiting += _files(module, root.resolve())
    return sorted(found)


def packages(files: Iterable[Path], root: Path, *, lazy: bool = True) -> set[str]:
    """The top-level modules that `files` import and that are neither below `root` nor in the standard library."""
    names = {module.partition(".")[0] for file in files for module in _imported(file, root.resolve(), lazy)}
    return {name for name in names if name not in sys.stdlib_module_names and not _files(name, root.resolve())}


def fingerprint(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over names, relative to `root`, and meaning of source files; docstrings, comments and layout left out."""
    named = sorted((file.resolve().relative_to(root.resolve()).as_posix(), _meaning(file.resolve())) for file in files)
    return hashlib.sha256("\n".join(f"{name} {meaning}" for name, meaning in named).encode()).hexdigest()


@functools.cache
def _imported(file: Path, root: Path, lazy: bool) -> frozenset[str]:
    """Full names of the modules that a file may import; of `from a import b` both `a` and `a.b`."""
    return frozenset(_names(file, root, lazy))


def _names(file: Path, root: Path, lazy: bool) -> Iterator[str]:
    tree = _tree(file)
    if tree is None:
        return
    package = file.relative_to(root).parent.parts if file.is_relative_to(root) else ()
    for node in _statements(tree, lazy):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_module(node.func) and node.args:
            yield from _named(node.args[0], root)


def _statements(node: ast.AST, lazy: bool) -> Iterator[ast.AST]:
    """All nodes below `node` that run, those inside functions only where `lazy`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield from _statements(other, lazy)
            continue
        yield child
        if lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _statements(child, lazy)


def _is_import_module(function: ast.expr) -> bool:
    return ast.unparse(function) in ("import_module", "importlib.import_module")


def _named(argument: ast.expr, root: Path) -> list[str]:
    """The modules that the argument of `import_module` may name."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        prefix = str(argument.values[0].value)
        start = prefix.rpartition(".")[0]
        return [f"{start}.{file.stem}" for file in root.joinpath(*start.split(".")).glob("*.py")]
    return []


def _files(module: str, root: Path) -> list[Path]:
    """The files below `root` that importing a module runs: those of its packages and its own."""
    parts = module.split(".")
    wanted = [root.joinpath(*parts[:length], "__init__.py") for length in range(1, len(parts) + 1)]
    wanted += [root.joinpath(*parts[:length]).with_suffix(".py") for length in range(1, len(parts) + 1) if parts[0]]
    return [file for file in wanted if file.is_file()]


@functools.cache
def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None


@functools.cache
def _meaning(file: Path) -> str:
    """SHA-256 of the syntax tree without docstrings, or of the bytes where the file is no Python.

    The tree is written down here and not by `ast.dump`, whose text differs between versions of Python.
    """
    tree = _tree(file)
    if tree is None:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    text: list[str] = []
    _write(tree, text)
    return hashlib.sha256("".join(text).encode()).hexdigest()


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
            if name == "body" and _has_docstring(node):
                value = value[1:]
            if value is not None and value != [] and not isinstance(value, ast.expr_context):
                text.append(f" {name}=")
                _write(value, text)
        text.append(")")
    else:
        text.append(repr(node))


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
