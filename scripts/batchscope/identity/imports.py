"""What source code depends on, read from its imports without running it: files, packages, and a fingerprint.

Snakemake sees a script's own file only. What a job computes also follows from every module that the script imports,
directly or not, so a rule has the fingerprint of all of them as a parameter.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from batchscope.identity import source_code


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
    resolved = [file.resolve() for file in files]
    named = sorted((file.relative_to(root).as_posix(), source_code.read(file).meaning) for file in resolved)
    return hashlib.sha256("\n".join(f"{name} {meaning}" for name, meaning in named).encode()).hexdigest()


@functools.cache
def _modules(file: Path, root: Path, lazy: bool, chosen: frozenset[tuple[str, str]]) -> frozenset[str]:
    """Full names of the modules that a file may import; of `from a import b` both `a` and `a.b`."""
    package = file.relative_to(root).parent.parts if file.is_relative_to(root) else ()
    found: set[str] = set()
    for each in source_code.read(file).imports:
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
