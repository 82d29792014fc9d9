"""The user's own files that data sets and recipes name: which they are, and whether they hold what is said of them.

Nothing is imported or loaded: Python files are parsed, of arrays and tables only the headers are read.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchscope.config.errors import ConfigError, choice, refuse_braces, shown
from batchscope.data.sources.function.keys import FromFunction
from batchscope.data.sources.keys import Dataset
from batchscope.identity import imports
from batchscope.study.definitions import Definition
from batchscope.study.networks import OwnModel
from batchscope.study.recipes import Recipe


def dataset_files(dataset: Mapping[str, Any]) -> list[str]:
    """The user's files that a resolved data set is made from; the job that makes it has them as inputs."""
    return [dataset["path"]] if "path" in dataset else _function_files(dataset)


def recipe_files(recipe: Mapping[str, Any]) -> list[str]:
    """The user's files that a resolved recipe needs; every job that trains with it has them as inputs."""
    return _function_files(recipe["model"])


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


def _function_files(mapping: Mapping[str, Any]) -> list[str]:
    """The file of a function, if any, and the modules beside it that it imports, directly or not."""
    if "function" not in mapping:
        return []
    file = Path(mapping["function"].rpartition(":")[0])
    real = file.resolve()  # where its imports are looked for, too
    imported = [each for each in imports.closure(real, real.parent) if each != real]
    return [str(file), *map(shown, imported)]


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
    """The signature of a function that was parsed, not imported."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults)) + [*arguments.defaults]
    kinds: list[Any] = [inspect.Parameter.POSITIONAL_ONLY] * len(arguments.posonlyargs)
    kinds += [inspect.Parameter.POSITIONAL_OR_KEYWORD] * len(arguments.args)
    parameters = [_parameter(*each) for each in zip(plain, kinds, defaults, strict=True)]
    if arguments.vararg:
        parameters.append(_parameter(arguments.vararg, inspect.Parameter.VAR_POSITIONAL, None))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(_parameter(argument, inspect.Parameter.KEYWORD_ONLY, default))
    if arguments.kwarg:
        parameters.append(_parameter(arguments.kwarg, inspect.Parameter.VAR_KEYWORD, None))
    return inspect.Signature(parameters)


def _parameter(argument: ast.arg, kind: Any, default: ast.expr | None) -> inspect.Parameter:
    return inspect.Parameter(argument.arg, kind, default=inspect.Parameter.empty if default is None else default)
