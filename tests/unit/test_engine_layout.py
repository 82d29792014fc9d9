"""Frameworks are named in the packages of the engines alone, and each engine is one folder and one name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchscope.training import engines

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ENGINES = Path(engines.__file__).parent
PACKAGES = sorted(entry.name for entry in ENGINES.iterdir() if (entry / "__init__.py").exists())
FRAMEWORK = re.compile(r"tensorflow|keras|\bjax\b|\btorch\b", re.IGNORECASE)


def names(file: Path) -> Iterator[str]:
    """Every name that code imports, uses or writes as a text; sentences and addresses are none."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.search(r"\s|://", node.value):
            yield node.value


def named(file: Path) -> set[str]:
    return {name for name in names(file) if FRAMEWORK.search(name)}


def test_no_module_but_those_of_the_engines_names_a_framework() -> None:
    """Their registry does."""
    inside = [ENGINES / package for package in PACKAGES]
    others = [file for file in SCRIPTS.rglob("*.py") if not any(file.is_relative_to(folder) for folder in inside)]
    found = [file.relative_to(SCRIPTS).as_posix() for file in others if named(file)]
    assert found == ["batchscope/training/engines/__init__.py"]


def test_every_registered_engine_has_its_folder_and_every_other_folder_is_shared_by_some() -> None:
    assert set(engines.names()) <= set(PACKAGES)
    assert set(PACKAGES) - set(engines.names()) == {"keras"}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_engine_stands_on_another_one(package: str) -> None:
    within = "batchscope.training.engines."
    found = {name for file in (ENGINES / package).rglob("*.py") for name in names(file) if name.startswith(within)}
    others = {name.removeprefix(within).partition(".")[0] for name in found} & set(PACKAGES)
    assert others <= ({package, "keras"} if package in engines.names() else {package})
