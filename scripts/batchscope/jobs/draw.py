"""The job that draws figures of a study from its tables."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

from batchscope.figures.frames import select
from batchscope.jobs.saved import load
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.tables.cells import folder, pairs


def draw(tables: Sequence[str], figures: Sequence[str], _note: object = None) -> None:
    """Draw `figures`, whose paths end in the folders of data set and recipe and the name, from the files of `tables`.

    Raises:
        records.TableError: a table is damaged and has been set aside.
    """
    gc.disable()  # a figure is one large cycle, and what looks for such takes a tenth of the time of drawing
    found = {Path(file).stem: load(file) for file in tables}
    places = {(folder(dataset), folder(recipe)): (dataset, recipe) for dataset, recipe in pairs(found["runs"])}
    for file in map(Path, figures):
        frames = select(found, *places[file.parts[-3], file.parts[-2]])
        STUDY_FIGURES[file.stem].render(frames, file)
