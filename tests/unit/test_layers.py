"""The packages of the library stand on each other: none imports one that stands above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from batchscope.identity import imports

SCRIPTS = Path(imports.__file__).resolve().parents[2]
# From below to above.
LAYERS = [
    *("text", "stats", "identity", "config", "tables", "telemetry", "data", "training", "analysis", "figures"),
    *("probes", "claims", "study", "jobs", "report"),
]


def packages(file: Path) -> set[str]:
    """The packages of the library that a file imports from, for type checkers alone, too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("batchscope.")} & set(LAYERS)


def test_every_package_has_its_layer() -> None:
    library = SCRIPTS / "batchscope"
    here = {entry.stem for entry in library.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()}
    assert here == {*LAYERS, "__init__"}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_module_imports_from_above(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    place = SCRIPTS / "batchscope" / layer
    files = sorted(place.rglob("*.py")) or [place.with_suffix(".py")]
    assert {file.name: sorted(packages(file) & above) for file in files if packages(file) & above} == {}
