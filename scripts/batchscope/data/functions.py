"""The user's own Python functions, named as `file.py:function` in a study."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from batchscope.identity.imports import closure

_SCRIPTS = Path(__file__).resolve().parents[2]
_LIBRARIES = {_SCRIPTS, *(Path(path).resolve() for path in sysconfig.get_paths().values())}


class FunctionError(ValueError):
    """A function that the study names cannot be loaded or does not return what it must."""


def load_function(name: str) -> Callable[..., Any]:
    """Import `file.py` by its path and return its function.

    The file's folder becomes the first place where imports are looked for, as where Python runs the file itself, and
    the folder of the workflow's own scripts leaves the path: `import utils` or `import train` finds what lies beside
    the file. It is imported anew, and so is all that it imports from its folder: nothing there, such as a generator of
    random numbers, remembers an earlier call. What this process has imported from elsewhere, such as NumPy, stays.

    Raises:
        FunctionError: there is no such file or function, the file fails when it is imported, or a name that it imports,
            directly or not, is that of a file beside it and of a library.
    """
    path, _, attribute = name.rpartition(":")
    file = Path(path).resolve()
    spec = importlib.util.spec_from_file_location(f"batchscope_user_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise FunctionError(f"{name}: there is no Python file {path}")
    _first_on_path(file.parent)
    _forget(file.parent)
    for source in closure(file, file.parent):
        hidden = next(_hidden_beside(source, file.parent), None)
        if hidden is not None:
            raise FunctionError(
                f"{name}: {Path(path).parent / source.relative_to(file.parent)} imports "
                f"{hidden.parts[0].removesuffix('.py')}, which is a library, and beside {path} lies {hidden}; valid is "
                "another name for that file"
            )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's code raises; the traceback stays attached
        raise FunctionError(f"{name}: importing {path} failed with {type(error).__name__}: {error}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise FunctionError(f"{name}: {path} defines no function {attribute}")
    return function  # type: ignore[no-any-return]


def _first_on_path(folder: Path) -> None:
    """Look for imports in `folder` first and never among the workflow's scripts; for good, since they may come late.

    The library's own modules are found all the same: they are looked for in the folder of their package.
    """
    kept = [entry for entry in sys.path if Path(entry).resolve() not in (folder, _SCRIPTS)]
    sys.path[:] = [str(folder), *kept]


def _forget(folder: Path) -> None:
    """Drop all modules that were imported from below `folder`, those of libraries apart."""
    libraries = _LIBRARIES | _installed()
    for name, module in list(sys.modules.items()):
        origin = _origin(module)
        if origin is None or not _is_below(origin, folder) or name == "__main__":
            continue
        # An environment may lie in the folder, or be linked there, as Snakemake's of conda are.
        if libraries.isdisjoint({*Path(origin).parents, *Path(origin).resolve().parents}):
            del sys.modules[name]


@functools.cache  # the answer of thousands of modules, which a job needs for each of the three builds of its model
def _is_below(file: str, folder: Path) -> bool:
    return Path(file).is_relative_to(folder)


def _installed() -> set[Path]:
    """The folders on the path for imports into which packages were installed, by `pip --target`, for instance."""
    return {Path(entry).resolve() for entry in sys.path if entry and next(Path(entry).glob("*.dist-info"), None)}


def _hidden_beside(source: Path, folder: Path) -> Iterator[Path]:
    """The files in `folder` that `source` imports by the name of a module that was imported from elsewhere already."""
    try:
        tree = ast.parse(source.read_bytes())
    except (SyntaxError, ValueError):  # importing it says what is wrong
        return
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for top in (name.partition(".")[0] for name in names):
            for beside in (folder / f"{top}.py", folder / top / "__init__.py"):
                origin = _origin(sys.modules.get(top))
                if top not in sys.modules or not beside.is_file():
                    continue
                if origin is None or Path(origin).resolve() != beside.resolve():
                    yield beside.relative_to(folder)


def _origin(module: Any) -> str | None:
    """The file of a module; the first folder of a package without `__init__.py`; None of what is built in."""
    known = getattr(module, "__dict__", {})  # as it is: an attribute makes a lazy module load
    file = known.get("__file__")
    if isinstance(file, str):
        return file
    try:
        places = list(known.get("__path__") or ())
    except KeyError:  # of a namespace package whose parent is not loaded, as TensorFlow leaves google's
        return None
    return next((place for place in places if isinstance(place, str)), None)
