"""What is drawn or said stands in a table: no figure, no section and no part of the report computes a statistic."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from batchscope.identity import imports

LIBRARY = Path(imports.__file__).resolve().parents[1]
SHOWN = [*LIBRARY.glob("figures/**/*.py"), *LIBRARY.glob("report/**/*.py")]
OF_PROBES = [file for name in ("figures", "section", "noise_scale") for file in LIBRARY.glob(f"probes/*/{name}.py")]
OF_PROBES += [LIBRARY / "probes" / f"{name}.py" for name in ("marks", "moments", "section", "words")]
STATISTICS = {"quantile", "sem", "std", "var", "percentile", "nanquantile"}
OF_TABLES = STATISTICS | {"mean", "median", "nanmean", "average", "polyfit", "interp"}
"""What figures of probes leave to the `analysis` of the probe, too."""
CONSTANTS = {"ALPHA", "CONFIDENCE", "LEVEL", "times.JOB_SPREAD", "times.LEAST_DIFFERENCE"}  # for sentences


def imported(tree: ast.Module) -> set[str]:
    """What a module imports when it runs, by full name."""
    for_types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
    found = set()
    for node in (node for node in ast.walk(tree) if id(node) not in skipped):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def called(tree: ast.Module) -> set[str]:
    """The names of the functions and methods that a module calls."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {node.attr if isinstance(node, ast.Attribute) else ast.unparse(node) for node in functions}


@pytest.mark.parametrize("file", [*SHOWN, *OF_PROBES], ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_what_is_shown_stands_in_a_table(file: Path) -> None:
    tree = ast.parse(file.read_bytes())
    allowed = {f"batchscope.stats.{name}" for name in CONSTANTS}
    foreign = {name for name in imported(tree) if name.startswith(("batchscope.stats", "scipy", "statsmodels"))}
    assert foreign <= allowed
    assert called(tree) & (OF_TABLES if file in OF_PROBES else STATISTICS) == set()


def test_a_statistic_is_found_however_it_is_called() -> None:
    source = "from scipy import stats\nimport numpy as np\nx = np.std(table.loss.quantile(0.5))\n"
    tree = ast.parse(source)
    assert imported(tree) == {"scipy.stats", "numpy"}
    assert called(tree) >= {"std", "quantile"}
