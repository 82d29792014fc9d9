"""The tables of a study as files: what figures and report read without the analysis that made them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from batchscope.identity.files import atomic_path
from batchscope.probes.registry import PROBE_COLUMNS, STUDY_TABLES
from batchscope.tables import codebook, records
from batchscope.tables.csv_files import write_csv

_FORMULA = r"\A([=+\-@\t\r\n])"  # how a cell begins that a spreadsheet computes


def save(table: str, frame: pd.DataFrame, parquet_path: str | Path, csv_path: str | Path) -> None:
    """Write the table `table` as Parquet and as CSV, each atomically. NaN becomes null in the one, empty in the other.

    A text that a spreadsheet would take for a formula has an apostrophe before it in the CSV: names may be a user's.

    Raises:
        records.TableError: `frame` has not the columns that the codebook names.
    """
    codebook.check(table, frame, PROBE_COLUMNS)
    with atomic_path(parquet_path) as temporary:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), temporary, compression="zstd")
    with atomic_path(csv_path) as temporary:
        write_csv(_without_formulas(frame), temporary)


def save_codebook(path: str | Path, measured: Collection[str] = ()) -> None:
    """Write what every column of the tables means, those that a table need not have among them if `measured`."""
    with atomic_path(path) as temporary:
        codebook.codebook(STUDY_TABLES, PROBE_COLUMNS, measured).to_csv(temporary, index=False, lineterminator="\n")


def load(parquet_path: str | Path) -> pd.DataFrame:
    """Read what `save` wrote; whole numbers stay whole where some are null.

    Raises:
        records.TableError: the file is damaged and has been set aside.
    """
    return codebook.to_pandas(records.read_parquet(parquet_path).replace_schema_metadata())


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name, kind in frame.dtypes.items() if pd.api.types.is_string_dtype(kind)]
    replaced = {str(name): frame[name].str.replace(_FORMULA, r"'\1", regex=True) for name in texts}
    return frame.assign(**replaced)
