"""Tables whose cells hold mappings: the data frame of W&B's guide to exports, with `summary`, `config` and `name`.

The guide (https://docs.wandb.ai/models/track/public-api-guide) puts `run.summary` and `run.config` whole into a column
each and calls `to_csv("project.csv")`: a cell is what Python prints of a dictionary, `{'lr': 0.001, 'loss': nan}`.
"""

from __future__ import annotations

import ast
import csv
import io
import math
from collections.abc import Iterator, Sequence

from batchscope.tables.foreign import Table, short

NESTED = ("config", "summary")


def is_nested(columns: Sequence[str]) -> bool:
    """Whether a table has a column of settings and one of results."""
    return {*NESTED, "name"} <= set(columns)


def flat(table: Table) -> str:
    """The table as CSV with a column for each key, `config.lr`; those of mappings within are joined by dots.

    Raises:
        DataError: a cell is no dictionary.
    """
    rows: list[dict[str, str]] = []
    for number in range(table.rows):
        row = {name: cells[number] for name, cells in table.cells.items() if name not in NESTED}
        for name in NESTED:
            cell = table.cells[name][number]
            try:
                content = _value(ast.parse(cell.strip(), mode="eval").body)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                content = None
            if not isinstance(content, dict):
                what = f"`{short(cell)}` is no dictionary as Python prints it"
                raise table.column(name).refusal(number, what, "one such as {'lr': 0.001}")
            row |= dict(_leaves(content, name))
        rows.append(row)
    header = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _leaves(content: dict[object, object], above: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        name = f"{above}.{key}"
        if isinstance(value, dict):
            yield from _leaves(value, name)
        else:
            yield name, "" if value is None else str(value)


def _value(node: ast.expr) -> object:
    """The value of a literal, of which `nan` and `inf` are two; of anything else its text."""
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in ("nan", "inf"):
        return math.nan if node.id == "nan" else math.inf
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        return -value if isinstance(value, (int, float)) else ast.unparse(node)
    return ast.unparse(node)
