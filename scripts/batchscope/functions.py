"""The user's own Python functions, named as `file.py:function` in a study."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class FunctionError(ValueError):
    """A function that the study names cannot be loaded or does not return what it must."""


def load_function(name: str) -> Callable[..., Any]:
    """Import `file.py` by its path and return its function; modules beside the file can be imported by it.

    Raises:
        FunctionError: there is no such file or function, or the file fails when it is imported.
    """
    path, _, attribute = name.rpartition(":")
    file = Path(path).resolve()
    spec = importlib.util.spec_from_file_location(f"batchscope_user_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise FunctionError(f"{name}: there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    if str(file.parent) not in sys.path:  # for good, so that the function may still import what lies beside it
        sys.path.append(str(file.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises; the traceback stays attached
        raise FunctionError(f"{name}: importing {path} failed with {type(error).__name__}: {error}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise FunctionError(f"{name}: {path} defines no function {attribute}")
    return function  # type: ignore[no-any-return]
