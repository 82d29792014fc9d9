"""The codebook: every column of every table of a study, and whether a table holds what it says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from pandas.api import types

from batchscope.tables import derived_columns as derived
from batchscope.tables import job_columns as columns
from batchscope.tables.job_columns import Column, Columns, Kind, number, string
from batchscope.tables.metrics import CURVES, ELSEWHERE, OTHER_CURVES, QUANTITIES
from batchscope.tables.records import TableError

_OF_JOBS: Mapping[str, Mapping[str, Column]] = {
    "runs": columns.TABLES["run"],
    **{name: columns.TABLES[name] for name in ("evaluations", "steps", "windows", "trials")},
    "timings": {
        **columns.TABLES["timing"],
        "seconds_per_update_error": number(
            "", "standard error of `seconds_per_update`, over it, as the windows of the job show it"
        ),
        "timed_recipe": string("recipe that was trained when the seconds were measured"),
    },
}
# Columns that a table has only where something of them was measured, after all others.
OPTIONAL: Mapping[str, Columns] = {
    "runs": {name: number(metric.unit, metric.words) for name, metric in ELSEWHERE.items()},
    "evaluations": {name: number(CURVES[name].unit, CURVES[name].words) for name in OTHER_CURVES},
}
_NAMED = {"runs": "`selected_` or `last_`, `validation_` or `test_`", "evaluations": "`validation_`"}
_COLUMNS = {**_OF_JOBS, **derived.OF_RUNS, **derived.OF_TARGETS, **derived.OF_CHOICES}
_DTYPES: dict[Kind, tuple[str, str]] = {
    "string": ("str", "str"),
    "integer": ("int64", "Int64"),
    "number": ("float64", "float64"),
    "boolean": ("bool", "boolean"),
}
_HOLDS = {
    "string": lambda column: types.is_string_dtype(column) or types.is_object_dtype(column),
    "integer": types.is_integer_dtype,
    "number": types.is_float_dtype,
    "boolean": types.is_bool_dtype,
}


def columns_of(table: str) -> Columns:
    """The columns of a table of a study (`contents.TABLES`) by name, in their order."""
    return _COLUMNS[table]


def dtypes(table: str) -> dict[str, str]:
    """What pandas calls the types of the columns of the table `table`.

    >>> dtypes("rate_slopes")["n"], dtypes("trials")["chosen"], dtypes("to_target")["evaluations_in_a_row"]
    ('int64', 'bool', 'Int64')
    """
    return _dtypes(columns_of(table))


def frame(table: str, rows: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """`rows` as the table `table`, typed, with all its columns also where there are no rows; what a row lacks is null.

    Raises:
        TableError: a row has a column that the table has not.
    """
    return typed(rows, columns_of(table))


def typed(rows: Sequence[Mapping[Any, Any]], declared: Columns) -> pd.DataFrame:
    """`rows` as a table with exactly the columns `declared`, also where there are none; what a row lacks is null.

    Raises:
        TableError: a row has another column.
    """
    unknown = sorted({name for row in rows for name in row if name not in declared})
    if unknown:
        raise TableError(f"a row has the unknown columns {unknown}; valid are {list(declared)}")
    return pd.DataFrame(list(rows), columns=list(declared)).astype(_dtypes(declared))


def to_pandas(content: pa.Table) -> pd.DataFrame:
    """A table from a file; whole numbers and booleans stay such where some are null."""
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    with_nulls = {column.type for column in content.columns if column.null_count}
    mapped = {kind: dtype for kind, dtype in nullable.items() if kind in with_nulls}  # what has none is copied once
    found: pd.DataFrame = content.to_pandas(types_mapper=mapped.get, ignore_metadata=True)
    plain = {pd.Int64Dtype(): "int64", pd.BooleanDtype(): "bool"}
    return found.astype({name: plain[d] for name, d in found.dtypes.items() if d in plain and not found[name].hasnans})


def check(table: str, content: pd.DataFrame, further: Mapping[str, Columns]) -> None:
    """Whether `content` has the columns of the table `table`, in their order and of their types.

    Args:
        table: its name, here or among the `further` tables, those of probes.
        content: its rows.
        further: columns of other tables, by table.

    Raises:
        TableError: which columns are missing or unknown, stand elsewhere, or hold something else.
    """
    found = [str(name) for name in content.columns]
    declared = _with_optional(table, further.get(table) or columns_of(table), found)
    if found != list(declared):
        missing, unknown = sorted(set(declared) - set(found)), sorted(set(found) - set(declared))
        raise TableError(f"table {table} lacks {missing}, has the unknown columns {unknown}, or their order is another")
    for name, column in declared.items():
        if not (_HOLDS[column.kind](content[name].dtype) or content[name].isna().all()):
            raise TableError(f"table {table}: column {name} holds {content[name].dtype}; valid is {column.kind}")


def codebook(tables: Iterable[str], further: Mapping[str, Columns], measured: Collection[str] = ()) -> pd.DataFrame:
    """One row per column of every table: table, column, type, unit and meaning.

    Of the columns that a table need not have those that were `measured`.
    """
    rows = [
        {"table": table, "column": name, "type": column.kind, "unit": column.unit, "meaning": column.meaning}
        for table in tables
        for name, column in _with_optional(table, further.get(table) or columns_of(table), measured).items()
    ]
    return pd.DataFrame(rows)


def page(tables: Mapping[str, str], further: Mapping[str, Columns]) -> str:
    """docs/tables.md: the same for people, with what a row of each table is."""
    return "\n".join(_lines(tables, further))


def _with_optional(table: str, declared: Columns, found: Collection[str]) -> Columns:
    return {**declared, **{name: column for name, column in OPTIONAL.get(table, {}).items() if name in found}}


def _dtypes(declared: Columns) -> dict[str, str]:
    return {name: _DTYPES[column.kind][column.nullable] for name, column in declared.items()}


def _lines(tables: Mapping[str, str], further: Mapping[str, Columns]) -> Iterator[str]:
    yield "# The tables of a study\n"
    yield (
        "`results/STUDY/tables/` holds each table as CSV and as Parquet, and this list as `codebook.csv`.\n"
        "An empty cell is null: not measured, or not defined there; it is never a zero.\n"
        "This page is made from `scripts/batchscope/tables` and `scripts/batchscope/probes`: `make schemas`.\n"
    )
    for table, row in tables.items():
        yield f"## {table}\n\n{row}\n\n| column | type | unit | meaning |\n| --- | --- | --- | --- |"
        for name, column in (further.get(table) or columns_of(table)).items():
            yield f"| `{name}` | {column.kind} | {column.unit} | {column.meaning.replace('|', '&#124;')} |"
        yield ""
        if table in OPTIONAL:
            others = ", ".join(f"`{each.name}`" for each in QUANTITIES[2:])
            yield (
                "Runs made elsewhere may have further results, whose columns are there where they have a value: named "
                f"{_NAMED[table]}, and one of {others}.\n"
            )
