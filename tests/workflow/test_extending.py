"""The examples of docs/extending.md, a new piece of every kind, in a copy of the workflow: a study with all of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = [found.groups() for found in re.finditer(r"```(\w+)\n# (\S+)\n(.*?)```\n", PAGE, flags=re.DOTALL)]


def registered(text: str, diff: str) -> str:
    """A registry with new lines, which follow those that the page shows as there already."""
    lines = diff.splitlines()
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    assert f"\n{text}".count(f"\n{before}") == 1, before
    return f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workflow with all pieces of the page, and the study that they are in, run to its report."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("config", "envs", "profiles", "reports", "rules", "scripts"):
        shutil.copytree(ROOT / name, tree / name)
    shutil.copy(ROOT / "Snakefile", tree)
    for kind, path, text in BLOCKS:
        file = tree / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(registered(file.read_text("utf-8"), text) if kind == "diff" else text, encoding="utf-8")
    command = [*("-m", "snakemake", "--cores", "2", "--configfile", "config.yaml"), "--config", "study=every.yaml"]
    done = subprocess.run([sys.executable, *command], check=False, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / "results" / "every"


def table(tree: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(tree / "tables" / f"{name}.csv")


@pytest.mark.long
def test_the_engine_trains_with_the_optimizer_on_the_data(tree: Path) -> None:
    runs = table(tree, "runs")
    assert runs["updates"].tolist() == [10, 10, 4, 4]
    assert runs["last_train_loss"].tolist() == [0.5**10, 0.5**10, 0.5**4, 0.5**4]


@pytest.mark.long
def test_the_probe_has_a_job_for_each_run_and_its_column_is_in_the_codebook(tree: Path) -> None:
    assert table(tree, "counted")["counted"].tolist() == [40] * 4
    known = table(tree, "codebook").set_index(["table", "column"])
    assert known.loc[("counted", "counted"), "unit"] == "examples"


@pytest.mark.long
def test_the_claim_of_the_new_kind_about_the_new_metric_has_its_verdict(tree: Path) -> None:
    verdicts = table(tree, "verdicts")
    assert verdicts[["claim", "dataset", "verdict"]].to_numpy().tolist() == [["one-weight", "stripes", "supported"]]


@pytest.mark.long
def test_source_probe_figure_and_claim_stand_in_the_report(tree: Path) -> None:
    assert (tree / "figures/stripes/halving/weights_vs_batch.svg").is_file()
    page = (tree / "report.html").read_text(encoding="utf-8")
    said = [
        "Stripes of 2 classes",
        "Halving with",
        "How many examples",
        "What is left of the weight",
        "All runs have 1",
    ]
    assert [words for words in said if words not in page] == []


def test_the_page_has_a_piece_of_every_kind_and_names_tests_that_are_there() -> None:
    titles = re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    pieces = ["Optimizer", "Data source", "Probe", "Figure", "Claim metric", "Claim kind", "Engine", "Tracker"]
    assert titles[:-1] == pieces
    tests = set(re.findall(r"`(test_\w+\.py)`", PAGE))
    assert {name for name in tests if not (ROOT / "tests/unit" / name).is_file()} == set()
