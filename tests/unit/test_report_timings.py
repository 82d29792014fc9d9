"""What the report says of how timings were made, and of those that are less precise than the study asks."""

from pathlib import Path
from typing import Any

import pytest
from reading import numbers

from batchscope.probes.section import Note
from batchscope.report import describe
from batchscope.report.sections import speed
from unit import fake_report

PAIR = ("digits", "task08-mlp")


def test_timings_less_precise_than_asked_for_are_named_with_what_their_median_is_known_to(tmp_path: Path) -> None:
    made = fake_report.load(tmp_path)
    assert speed.imprecise(made, PAIR) == []  # their number of windows was given
    timings = made.tables["timings"]
    timings["ended_by"] = ["max_seconds", "precision", "max_seconds"]
    timings["seconds_per_update"] = 2.0
    timings["seconds_per_update_ci_low"], timings["seconds_per_update_ci_high"] = [1.9, 1.99, None], [2.08, 2.01, None]
    (note,) = speed.imprecise(made, PAIR)
    assert isinstance(note, Note)
    first, _, last = timings["batch_size"]
    assert numbers(note.words) == [7, 95, 2, first, 5, last]


@pytest.mark.parametrize(
    ("timing", "told"),
    [
        ({"warmup_seconds": 0.5, "windows": None, "window_seconds": 0.2}, [0.5, 0.2, 95, 3, 8, 95, 2, 5.7]),
        ({"warmup_seconds": 1.0, "windows": 7, "window_seconds": 1.0}, [1, 7, 1, 95, 2, 5.7]),
    ],
)
def test_the_method_says_what_ended_the_windows(tmp_path: Path, timing: dict[str, Any], told: list[float]) -> None:
    study = fake_report.describe(tmp_path, [1, 32], [1, 2], timings=True, recipes=("task08-mlp",))
    study["settings"] = {**study["settings"], "timing": {**timing, "precision": 0.03, "max_seconds": 8.0}}
    assert numbers(describe.timing(study)) == told
