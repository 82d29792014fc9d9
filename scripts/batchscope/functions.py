"""The user's own Python functions, named as `file.py:function` in a study."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_SCRIPTS = Path(__file__).resolve().parents[1]


class FunctionError(ValueError):
    """A function that the study names cannot be loaded or does not return what it must."""


def load_function(name: str) -> Callable[..., Any]:
    """Import `file.py` by its path and return its function.

    The file's folder becomes the first place where imports are looked for, as where Python runs the file itself, and
    the folder of the workflow's own scripts leaves the path: `import utils` or `import train` finds what lies beside
    the file. What this process has imported already, such as NumPy, stays what it is.

    Raises:
        FunctionError: there is no such file or function, the file fails when it is imported, or it imports a name that
            a file beside it and a library share.
    """
    path, _, attribute = name.rpartition(":")
    file = Path(path).resolve()
    spec = importlib.util.spec_from_file_location(f"batchscope_user_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise FunctionError(f"{name}: there is no Python file {path}")
    _first_on_path(file.parent)
    hidden = next(_hidden_beside(file), None)
    if hidden is not None:
        raise FunctionError(
            f"{name}: {path} imports {hidden.parts[0].removesuffix('.py')}, which is a library, and beside it lies "
            f"{hidden}; valid is another name for what lies beside it"
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


def _hidden_beside(file: Path) -> Iterator[Path]:
    """The files beside `file` that it imports by the name of a module that was imported from elsewhere already."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # importing it says what is wrong
        return
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for top in (name.partition(".")[0] for name in names):
            for beside in (file.with_name(f"{top}.py"), file.with_name(top) / "__init__.py"):
                if top in sys.modules and beside.is_file() and beside.resolve() != _origin(sys.modules[top]):
                    yield beside.relative_to(file.parent)


def _origin(module: Any) -> Path | None:
    place = getattr(module, "__file__", None)
    return Path(place).resolve() if place else None
