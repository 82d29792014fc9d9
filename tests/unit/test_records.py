"""Tables are written without pandas, which takes long to import, and their bytes are those written with it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WRITE = """
import sys
{first}
from batchscope.tables import records
from batchscope.tables.job_columns import boolean, integer, number, string
columns = {{"s": string("a", nullable=True), "i": integer("", "b"), "n": number("s", "c"), "b": boolean("d")}}
rows = [{{"s": "x", "i": 1, "n": 0.1, "b": True}}, {{"s": None, "i": -2, "n": float("nan"), "b": False}}]
records.write_table("t", rows + [{{"s": "z", "i": 3, "n": None, "b": True}}], "{name}", columns)
{then}
"""
LATER = """
assert "pandas" not in sys.modules
import pandas
frame = records.read_table("t", "without.parquet", records.schema(columns)).to_pandas()
assert frame["n"].isna().tolist() == [False, True, True]
records.pa.Table.from_pandas(frame).to_pandas().equals(frame) or sys.exit("not the same frame")
"""


def write(folder: Path, name: str, first: str = "", then: str = "") -> bytes:
    code = WRITE.format(first=first, name=name, then=then)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, env=environment, check=True)
    return (folder / name).read_bytes()


def test_a_table_is_written_without_pandas_and_has_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path, "without.parquet", then=LATER) == write(tmp_path, "with.parquet", first="import pandas")
