"""A made-up study with all that the report reads. Its figures are placeholders: what they show is tested elsewhere."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from batchscope.identity.files import write_json
from batchscope.jobs import manifest, saved
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import content
from batchscope.study import model
from batchscope.tables.cells import pairs
from unit import fake_results

REPOSITORY = Path(__file__).resolve().parents[2]
REPORT = REPOSITORY / "reports" / "notebook.py"
CONFIG = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
CATALOGUE = yaml.safe_load((REPOSITORY / "config" / "recipes.yaml").read_text(encoding="utf-8"))
HOSTILE = "Does <script>document.title = 'taken'</script> & \"size\" matter?"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="432pt" height="216pt" viewBox="0 0 432 216">'
    '<rect width="432" height="216" fill="#fff"/>'
    '<defs><circle id="dot" r="4"/></defs><use href="#dot" x="20" y="20"/></svg>'
)

VIEWS = {"epochs-log": "0 0 432 216", "epochs-linear": "0 216 432 216", "seconds-log": "0 432 432 216"}
SCALES = {"log": "0 0 432 216", "linear": "0 216 432 216"}


def _viewed(views: dict[str, str]) -> str:
    heights = [216 * i for i in range(len(views))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="432pt" height="648pt" viewBox="0 0 432 {216 * len(views)}">'
        + "".join(f'<view id="f1-{name}" viewBox="{box}"/>' for name, box in views.items())
        + "".join(
            f'<circle class="tip" cx="216" cy="{y + 54}" r="8"><title>at {y + 54}</title></circle>' for y in heights
        )
        + "</svg>"
    )


NARROW = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="252pt" height="180pt" viewBox="0 0 252 180">'
    '<circle class="tip" cx="126" cy="45" r="8"><title>on a phone</title></circle></svg>'
)
DRAWINGS = {"curves_loss": _viewed(VIEWS), "curves_article": _viewed(SCALES), "answer_narrow": NARROW}


def write(
    root: Path,
    *,
    sizes: tuple[int | str, ...] = (1, 32, "full"),
    seeds: tuple[int, ...] = (1, 2, 3),
    timings: bool = True,
    outcomes: dict[tuple[int | str, int], str] | None = None,
    gpu: bool = False,
    recipes: tuple[str, ...] = ("task08-mlp",),
    svg: str = SVG,
    epochs: int = 20,
) -> dict[str, Path]:
    """Write tables, figures and the two files that describe the study; the paths are the report's parameters.

    A recipe that the catalogue lacks is one like `explained-mlp`.
    """
    described = describe(root, list(sizes), list(seeds), timings, recipes)
    found = _tables(sizes, seeds, timings, tuple((outcomes or {}).items()), gpu, recipes, epochs)
    folder = root / "results" / "made-up"
    for name, table in found.items():
        saved.save(name, table, folder / "tables" / f"{name}.parquet", folder / "tables" / f"{name}.csv")
    saved.save_codebook(folder / "tables" / "codebook.csv")
    for dataset, used in pairs(found["runs"]):
        for name in STUDY_FIGURES:
            file = folder / "figures" / dataset / used / f"{name}.svg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(DRAWINGS.get(name, svg), encoding="utf-8")
    write_json(described, folder / "study.json")
    write_json({"hosts": [manifest.host()], "command": "snakemake --cores 2"}, folder / "manifest.json")
    return {
        "tables": folder / "tables",
        "figures": folder / "figures",
        "study": folder / "study.json",
        "manifest": folder / "manifest.json",
    }


@functools.cache
def _tables(
    sizes: tuple[int | str, ...],
    seeds: tuple[int, ...],
    timings: bool,
    outcomes: tuple[tuple[tuple[int | str, int], str], ...],
    gpu: bool,
    recipes: tuple[str, ...],
    epochs: int,
) -> dict[str, pd.DataFrame]:
    """The tables of such a study, made once; no test gets hold of these, since a report reads files."""
    with tempfile.TemporaryDirectory() as folder:
        made = fake_results.FakeStudy(
            Path(folder),
            datasets={"digits": 1168},
            recipes=recipes,
            epochs=epochs,
            batch_sizes=sizes,
            seeds=seeds,
            timings=timings,
            outcomes=dict(outcomes),
            gpu=gpu,
        )
        files = fake_results.write(made)
        return fake_results.tables(files, describe(made.root, list(sizes), list(seeds), timings, recipes))


def load(root: Path, **options: object) -> content.Content:
    """The content of a report on a study made up with `options` (those of `write`)."""
    return content.load(**write(root, **options))  # type: ignore[arg-type]


def describe(
    root: Path, sizes: list[int | str], seeds: list[int], timings: bool, recipes: tuple[str, ...]
) -> dict[str, Any]:
    """What the workflow says about a study with a hostile title."""
    file = root / "made-up.yaml"
    comparison = {"datasets": ["digits"], "recipes": list(recipes), "batch_sizes": sizes}
    text = {"title": HOSTILE, "question": HOSTILE, "comparisons": [comparison], "seeds": seeds, "timing": timings}
    text["recipes"] = {name: {"extends": "explained-mlp"} for name in recipes if name not in CATALOGUE}
    text["targets"] = [{"metric": "validation_loss", "values": [1.0, 0.5, 0.001]}]
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    return model.load({**CONFIG, "study": str(file)}, REPOSITORY).describe()
