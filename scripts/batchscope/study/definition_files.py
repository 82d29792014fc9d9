"""The user's own files that data sets and recipes name: which they are, and whether they hold what is said of them.

Nothing is imported or loaded: Python files are parsed, of arrays and tables only the headers are read.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from pathlib import Path

from batchscope.config.errors import ConfigError, Key, Locate, choice, refuse_braces, shown
from batchscope.data import splits
from batchscope.identity import imports
from batchscope.study.datasets import Arrays, FromFunction, Table
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
    if isinstance(value, (Arrays, Table)):
        refuse_braces(value.path, locate(["path"]))
        if not Path(value.path).is_file():
            raise ConfigError(f"{locate(['path'])}: there is no file {value.path}; valid is the path of a file")
        if isinstance(value, Table):
            _check_columns(value, locate)
        else:
            _check_arrays(value, locate)


def _check_columns(table: Table, locate: Locate) -> None:
    path = Path(table.path)
    try:
        columns = splits.table_columns(path)
    except splits.DataError as error:
        raise ConfigError(f"{locate(['path'])}: {error}") from error
    wanted: list[tuple[list[Key], str]] = [(["target"], table.target)]
    wanted += [(["features", index], name) for index, name in enumerate(table.features or ())]
    for keys, name in wanted:
        if name not in columns:
            raise ConfigError(f"{locate(keys)}: {table.path} has no column `{name}`{choice(name, columns)}")
    try:
        splits.feature_columns(path, table.target, table.features)
    except splits.DataError as error:
        raise ConfigError(f"{locate(['path'])}: {error}") from error


def _check_arrays(arrays: Arrays, locate: Locate) -> None:
    """Examples and classes must be arrays of one length; only the headers are read."""
    for x, y in (("x", "y"), ("x_test", "y_test")):
        lengths = []
        for key in (x, y):
            name = getattr(arrays, key)
            if name is not None:
                try:
                    shape = splits.npz_shape(Path(arrays.path), name)
                except splits.DataError as error:
                    raise ConfigError(f"{locate([key])}: {error}") from error
                lengths.append(shape[0] if shape else 1)
        if len(set(lengths)) > 1:
            raise ConfigError(
                f"{locate([y])}: {arrays.path} has {lengths[1]:,} labels in {getattr(arrays, y)} for the "
                f"{lengths[0]:,} examples in {getattr(arrays, x)}; valid is one label per example"
            )


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
