"""Paths that Snakemake or a shell would take apart are refused before anything is read; see tests/workflow, too."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "rules" / "place.smk"


def read(root: Path) -> dict[str, Any]:
    """What `place.smk`, which is plain Python, finds out for a workflow in `root`."""
    modifier = SimpleNamespace(modify_path=lambda path: path)
    names: dict[str, Any] = {"workflow": SimpleNamespace(current_basedir=root / "rules", modifier=modifier)}
    exec(compile(FILE.read_text(encoding="utf-8"), FILE, "exec"), names)
    return names


def test_the_workflow_lies_above_its_rules(tmp_path: Path) -> None:
    assert read(tmp_path)["ROOT"] == tmp_path


@pytest.mark.parametrize("name", ["my environment", "my{x}environment", "it's", "a;b", "a$b", "a(b)"])
def test_an_interpreter_that_a_shell_takes_apart_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", f"/opt/{name}/bin/python")
    with pytest.raises(SystemExit, match="valid is an environment whose path has no blanks") as refused:
        read(tmp_path)
    assert name in str(refused.value)


@pytest.mark.parametrize("of", ["workflow", "study"])
def test_a_folder_with_braces_is_refused(tmp_path: Path, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    braces = tmp_path / "my {32} folder"
    braces.mkdir()
    monkeypatch.chdir(braces if of == "study" else tmp_path)
    with pytest.raises(SystemExit, match=r"my \{32\} folder: .*valid is a folder whose path has none"):
        read(braces if of == "workflow" else tmp_path)
