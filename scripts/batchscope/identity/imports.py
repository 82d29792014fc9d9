"""What source code depends on, read from its imports without running it: files, packages, and a fingerprint.

Snakemake sees a script's own file only. What a job computes also follows from every module that the script imports,
directly or not, so a rule has the fingerprint of all of them as a parameter.
"""

from __future__ import annotations

import ast
import functools
import gc
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BY_NAME = ("import_module", "Task")  # what takes the name of a module as its first argument
_BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)


def closure(entry: Path, root: Path, *, lazy: bool = True, **chosen: str) -> list[Path]:
    """`entry` and every source file below `root` that it imports, directly or not, sorted.

    Imports for type checkers alone do not count. `import_module(f"package.{name}.part")` counts as every module that
    the text may name, and so does the first argument of a `Task`. A file that imports nothing below `root`, or is no
    Python, is its own closure.

    Args:
        entry: a Python file.
        root: the folder that is on the path for imports.
        lazy: whether imports inside functions count, too.
        chosen: what stands for a variable of that name (`name`, or `self.name`) in the text of `import_module`.
    """
    found: set[Path] = set()
    waiting, root = [entry.resolve()], root.resolve()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            for module in _modules(file, root, lazy, frozenset(chosen.items())):
                waiting += _files(module, root)
    return sorted(found)


def packages(files: Iterable[Path], root: Path, *, lazy: bool = True) -> set[str]:
    """The top-level modules that `files` import and that are neither below `root` nor in the standard library."""
    root = root.resolve()
    names = {module.partition(".")[0] for file in files for module in _modules(file.resolve(), root, lazy, frozenset())}
    return {name for name in names if name not in sys.stdlib_module_names and not _files(name, root)}


def fingerprint(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over names, relative to `root`, and meaning of source files; docstrings, comments and layout left out."""
    root = root.resolve()
    named = sorted((file.relative_to(root).as_posix(), _read(file).meaning) for file in map(Path.resolve, files))
    return hashlib.sha256("\n".join(f"{name} {meaning}" for name, meaning in named).encode()).hexdigest()


@dataclass(frozen=True)
class _Import:
    """An import as written: `level` dots, `module`, and the names that are taken from it.

    A module that is imported by a computed name has its variables in braces: `package.{name}.part`.
    """

    level: int
    module: str
    names: tuple[str, ...]
    lazy: bool


@dataclass(frozen=True)
class _Source:
    imports: tuple[_Import, ...]
    meaning: str


@functools.cache
def _modules(file: Path, root: Path, lazy: bool, chosen: frozenset[tuple[str, str]]) -> frozenset[str]:
    """Full names of the modules that a file may import; of `from a import b` both `a` and `a.b`."""
    package = file.relative_to(root).parent.parts if file.is_relative_to(root) else ()
    found: set[str] = set()
    for each in _read(file).imports:
        if lazy or not each.lazy:
            above = package[: len(package) - each.level + 1] if each.level else ()
            module = ".".join([*above, *filter(None, [each.module])])
            found |= _named(module, root, dict(chosen)) if "{" in module else {module}
            found |= {f"{module}.{name}" for name in each.names}
    return frozenset(found)


def _named(computed: str, root: Path, chosen: Mapping[str, str]) -> set[str]:
    """The modules below `root` that a computed name may stand for."""
    pattern = re.sub(r"{(\w+)}", lambda variable: chosen.get(variable[1], "*"), computed).replace(".", "/")
    files = [*root.glob(f"{pattern}.py"), *(file.parent for file in root.glob(f"{pattern}/__init__.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts) for file in files}


@functools.cache
def _files(module: str, root: Path) -> list[Path]:
    """The files below `root` that importing a module runs: those of its packages and its own."""
    parts = module.split(".")
    wanted = [root.joinpath(*parts[:length], "__init__.py") for length in range(1, len(parts) + 1)]
    wanted += [root.joinpath(*parts[:length]).with_suffix(".py") for length in range(1, len(parts) + 1) if parts[0]]
    return [file for file in wanted if file.is_file()]


@functools.cache
def _read(file: Path) -> _Source:
    """What a file imports, and a digest of its syntax tree without docstrings, or of its bytes if it is no Python.

    The tree is written down here and not by `ast.dump`, whose text differs between versions of Python.
    """
    content = file.read_bytes()
    collecting = gc.isenabled()
    gc.disable()  # so many objects at once make it search all of Snakemake's again and again: half of a dry run
    try:
        tree = ast.parse(content)
        text: list[str] = []
        _write(tree, text)
        calls = any(name.encode() in content for name in _BY_NAME)
        return _Source(tuple(_imports(tree, calls)), hashlib.sha256("".join(text).encode()).hexdigest())
    except (SyntaxError, ValueError):
        return _Source((), hashlib.sha256(content).hexdigest())
    finally:
        if collecting:
            gc.enable()


def _imports(tree: ast.AST, calls: bool) -> Iterator[_Import]:
    """All imports that may run; those inside functions are lazy. Expressions may hold some if it `calls` importers."""
    waiting = [(tree, False)]
    while waiting:
        node, lazy = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (_Import(0, alias.name, (), lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield _Import(node.level, node.module or "", tuple(alias.name for alias in node.names), lazy)
        elif isinstance(node, ast.Call) and _name(node.func) in _BY_NAME and node.args:
            yield from _by_name(node.args[0], lazy)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checked = isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"
        below = node.orelse if isinstance(node, ast.If) and checked else ast.iter_child_nodes(node)
        waiting += [(child, lazy) for child in below if calls or isinstance(child, _BLOCKS)]


def _by_name(argument: ast.expr, lazy: bool) -> Iterator[_Import]:
    """The modules that the argument of `import_module` may name."""
    if isinstance(argument, ast.Constant):
        yield _Import(0, str(argument.value), (), lazy)
    elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        parts = [
            f"{{{_name(part.value)}}}" if isinstance(part, ast.FormattedValue) else str(getattr(part, "value", ""))
            for part in argument.values
        ]
        yield _Import(0, "".join(parts), (), lazy)


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
