"""A probe of one's own: a folder and a name in the registry are enough for its jobs, its table and its section."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

FILES = {
    "__init__": '"""How many examples a run has."""',
    "settings": '''
from pydantic import Field

from batchscope.probes import settings


class Settings(settings.Settings):
    """How many examples a run has."""

    recipes: settings.Names = Field(description="Recipes whose runs are counted.")

''',
    "columns": """
from batchscope.probes.columns import Record
from batchscope.tables.columns import RUN, integer

RECORDS = {"counted": Record({**RUN, "counted": integer("examples", "examples of the training part")})}
""",
    "spec": """
from batchscope.probes.counts.columns import RECORDS
from batchscope.probes.probe import Probe

PROBE = Probe(name="counts", title="Counts", looks_at="runs", records=RECORDS, rows={"counted": "One row per run."})
""",
    "measure": """
def measure(subject):
    return {"counted": [{**subject.identity, "counted": len(subject.data.y_train)}]}
""",
    "section": """
from batchscope.figures.sheets import Column, Sheet, counts_of, rows, size
from batchscope.probes.section import Section


def build(evidence, pair):
    found = rows(evidence.of("counted", pair))
    columns = [(Column("Batch size"), [size(row) for row in found]), (Column("Counted"), counts_of(found, "counted"))]
    return [Sheet("table-counted", "Examples of each run.", columns)] if found else []


SECTIONS = (Section("counts", "How many examples", "They are counted.", build),)
""",
}
STUDY = """
title: Counting
question: How many examples are there?
comparisons: [{datasets: [digits], recipes: [task08-mlp], batch_sizes: [8, 32]}]
seeds: [1, 2]
probes: {counts: {recipes: [task08-mlp]}}
"""
# The job, the table and the section, without a framework.
SEE = """
import sys

sys.path.insert(0, "scripts")
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from batchscope.jobs.probe import columns, measure
from batchscope.jobs.tables import concat
from batchscope.probes.registry import PROBES, STUDY_TABLES
from batchscope.report.content import Content
from batchscope.report.probes import sections
from batchscope.probes.subject import Subject
from batchscope.tables import records

cell = {"dataset": "digits", "recipe": "task08-mlp", "batch_size": 8, "full_batch": False}
subject = Subject(None, SimpleNamespace(y_train=[0] * 1168), {}, {}, cell, 1)
for table, rows in measure("counts", subject).items():
    records.write_table(table, rows, "counted.parquet", columns("counts")[table])
made = concat("counted", [Path("counted.parquet")], PROBES["counts"].records["counted"])
empty = dict.fromkeys(STUDY_TABLES, pd.DataFrame(columns=list(cell)))
print(sections(Content({}, {}, {**empty, "runs": made, "counted": made}, Path()), "why"))
assert "tensorflow" not in sys.modules
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the workflow with the new probe."""
    for name in ("config", "envs", "profiles", "reports", "rules", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    probes = tmp_path / "scripts" / "batchscope" / "probes"
    (probes / "counts").mkdir()
    for name, text in FILES.items():
        (probes / "counts" / f"{name}.py").write_text(text, encoding="utf-8")
    registry = probes / "registry.py"
    listed = registry.read_text(encoding="utf-8").replace('    "overheads",\n', '    "overheads",\n    "counts",\n')
    registry.write_text(listed, encoding="utf-8")
    (tmp_path / "counting.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def run(tree: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, *command], check=False, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_its_jobs_are_planned_its_table_is_made_and_its_section_is_shown(tree: Path) -> None:
    plan = run(tree, "-m", "snakemake", "-n", "--cores", "1", "--config", "study=counting.yaml")
    assert "Counts of digits with task08-mlp, batch size 32, seed 2" in plan
    jobs = dict(line.split() for line in plan.splitlines() if line.startswith("probe_"))
    assert jobs == {"probe_counts": "4"}
    page = run(tree, "-c", SEE)
    assert "How many examples" in page
    assert "1,168" in page
