"""Rows that an analysis found as a table with the columns that its spec promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from batchscope.tables.columns import Columns

_TYPES = {"string": "str", "integer": "int64", "number": "float64", "boolean": "bool"}


def typed(rows: Sequence[Mapping[str, Any]], columns: Columns) -> pd.DataFrame:
    """A table with exactly `columns`, also without rows; what a row lacks is null."""
    types = {name: _TYPES[column.kind] for name, column in columns.items()}
    return pd.DataFrame(rows, columns=list(types)).astype(types)
