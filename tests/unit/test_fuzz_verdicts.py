"""Whatever numbers a study has, every kind of claim gets a verdict, with p-values that are some."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from fake_claims import LOSS, Tables, claim, of_size, runs, study
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchscope.claims.verdicts import verdicts

SIZES = (1, 8, 32, 128)
# Equal values, zeros, signs, rounding and the ends of what float32 holds: where spreads, logarithms and ranks end.
VALUES = st.sampled_from([0.0, 0.1, 0.2, 0.1 + 1e-17, 0.3, -0.1, 1e-45, 3e38, 681_074_688.0, math.nan])
TESTS: list[tuple[dict[str, Any], float | None]] = [
    *(
        ({"kind": "sizes", "direction": direction, "batch_sizes": ["smallest"], "than": "others"}, 0.01)
        for direction in ("lower", "higher", "similar", "not_lower")
    ),
    *(
        ({"kind": "trend", "direction": direction, "scale": scale}, 1.01 if scale == "factor" else 0.01)
        for direction in ("rises", "falls")
        for scale in ("difference", "factor")
    ),
    ({"kind": "ratio", "pairs": [["largest", "smallest"]], "at_least": 2}, None),
    ({"kind": "slope", "equals": -1}, 0.1),
    ({"kind": "value", "batch_size": "smallest", "between": [-0.05, 0.05]}, None),
    ({"kind": "spread", "batch_size": "smallest", "than": ["largest"]}, 1.25),
]
OF_RUNS = [claim(LOSS, test, margin) for test, margin in TESTS]
OF_SIZES = [claim("memory_bytes", test, margin) for test, margin in TESTS if test["kind"] == "trend"]


@st.composite
def values(draw: st.DrawFn) -> dict[int | str, list[float]]:
    """Values by batch size: as many seeds at each, one value for all of them, or any for each."""
    sizes, seeds = SIZES[: draw(st.integers(1, len(SIZES)))], draw(st.integers(1, 4))
    one = st.builds(lambda value: [value] * seeds, VALUES)
    return {size: draw(one | st.lists(VALUES, min_size=seeds, max_size=seeds)) for size in sizes}


def per_size(found: dict[int | str, list[float]]) -> Tables:
    """One value per size, as memory is measured."""
    rows = [
        {"dataset": "digits", "recipe": "mlp", **of_size(size), "memory_bytes": each[0]} for size, each in found.items()
    ]
    return {"runs": runs(LOSS, {1: [0.1]}), "summary": pd.DataFrame(rows)}


@pytest.mark.parametrize("paired", [True, False])
@settings(max_examples=60)
@given(found=values())
@example(found={1: [0.0, 0.0], 8: [math.nan] * 2, 32: [0.0, 1e-45]})  # apart by less than the rounding of a margin
@example(found={8: [681_074_688.0], 32: [681_074_688.0], 128: [681_074_688.0]})
def test_any_numbers_get_verdicts(found: dict[int | str, list[float]], *, paired: bool) -> None:
    for claims, tables in ((OF_RUNS, {"runs": runs(LOSS, found)}), (OF_SIZES, per_size(found))):
        table = verdicts(tables, *study(*claims), paired=paired)
        assert len(table) == len(claims)
        for name in ("p", "p_adjusted"):
            assert table[name].dropna().between(0, 1).all()
        decided = table["verdict"].isin(["supported", "contradicted"])
        assert table.loc[decided, "p_adjusted"].le(0.05).all()
        assert table.loc[~decided, "reason"].ne("").all()
