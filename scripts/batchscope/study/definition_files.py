"""The user's own files that data sets and recipes name: which they are, and whether they hold what is said of them.

Nothing is imported or loaded: Python files are parsed, of arrays and tables only the headers are read.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from pathlib import Path

from batchscope.config.errors import ConfigError, choice, refuse_braces, shown
from batchscope.data.sources.function.keys import FromFunction
from batchscope.data.sources.keys import Dataset
from batchscope.identity import imports
from batchscope.study.definitions import Definition
from batchscope.study.networks import OwnModel
from batchscope.study.recipes import Recipe


def files(definition: Definition) -> list[str]:
    """The user's files that a data set or recipe is made from; the jobs that use it have them as inputs.

    Beside the file of a function these are the modules beside it that it imports, directly or not.
    """
    keys = {**definition.content, **definition.content.get("model", {})}
    if "function" not in keys:
        return [keys["path"]] if "path" in keys else []
    file = Path(keys["function"].rpartition(":")[0])
    real = file.resolve()  # where its imports are looked for, too
    imported = [each for each in imports.closure(real, real.parent) if each != real]
    return [str(file), *map(shown, imported)]


def check(definition: Definition) -> None:
    """Check that the files a definition names exist and hold what it says they hold, without importing or loading."""
    value, locate = definition.value, definition.locate
    if isinstance(value, Recipe) and isinstance(value.model, OwnModel):
        _check_function(
            value.model,
            locate(["model", "function"]),
            "(input_shape, classes, **arguments)",
            positional=("input_shape", "classes"),
        )
    if isinstance(value, FromFunction):
        _check_function(value, locate(["function"]), "(seed=..., **arguments)", keyword=("seed",))
    if isinstance(value, Dataset) and value.own_file:
        path = value.plain()["path"]
        refuse_braces(path, locate(["path"]))
        if not Path(path).is_file():
            raise ConfigError(f"{locate(['path'])}: there is no file {path}; valid is the path of a file")
        value.check_file(locate)


def _check_function(
    own: FromFunction | OwnModel,
    place: str,
    call: str,
    *,
    positional: Sequence[str] = (),
    keyword: Sequence[str] = (),
) -> None:
    """Find the function in its file, and check that it can be called the way it will be called."""
    file, _, name = own.function.rpartition(":")
    refuse_braces(file, place)
    try:
        tree = ast.parse(Path(file).read_bytes())
    except PermissionError as error:
        raise ConfigError(f"{place}: {file} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise ConfigError(f"{place}: there is no file {file}; valid is `file.py:name`") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(
            f"{place}: {file}{line} is not Python ({getattr(error, 'msg', error)}); valid is code that Python can read"
        ) from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name not in functions:
        names = choice(name, functions) if functions else "; valid is a file that defines it with `def`"
        raise ConfigError(f"{place}: {file} defines no function `{name}`{names}")
    if functions[name].decorator_list:  # a decorator may change what the function takes
        return
    try:
        _signature(functions[name].args).bind(*positional, **dict.fromkeys((*keyword, *own.arguments)))
    except TypeError as error:
        raise ConfigError(f"{place}: {error}; valid is a function that can be called {name}{call}") from error


def _signature(arguments: ast.arguments) -> inspect.Signature:
    """The signature of a function that was parsed, not imported: that of a lambda with the same parameters."""
    none = ast.Constant(None)
    arguments.defaults = [none for _ in arguments.defaults]
    arguments.kw_defaults = [default and none for default in arguments.kw_defaults]
    for each in ast.walk(arguments):
        if isinstance(each, ast.arg):
            each.annotation = None
    stand_in = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, none)))
    return inspect.signature(eval(compile(stand_in, "<parameters>", "eval")))
