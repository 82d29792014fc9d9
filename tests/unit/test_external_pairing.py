"""Runs made elsewhere are independent unless the study says otherwise: their numbers decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from batchscope.jobs.tables import study_tables
from unit.fake_external import RUNS, measured, sweep


def permuted(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same runs, their numbers exchanged within each size and rate."""
    rng = np.random.default_rng(seed)
    parts = []
    for _, rows in table.groupby(["B", "rate"], sort=False):
        parts.append(rows.assign(run=rows["run"].map(dict(enumerate(rng.permutation(RUNS))))))
    return pd.concat(parts)


def without_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """A table as it is without the numbers of its runs and the digest of its file, in an order of its own."""
    bare = table.drop(columns=[name for name in ("seed", "fingerprint") if name in table])
    return bare.sort_values(list(bare.columns), kind="stable", key=lambda column: column.astype(str), ignore_index=True)


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows in another order."""
    return table.sample(frac=1, random_state=seed)


@pytest.mark.parametrize("change", [permuted, shuffled])
def test_run_numbers_and_the_order_of_rows_change_no_table(
    change: Callable[[pd.DataFrame, int], pd.DataFrame], tmp_path: Path
) -> None:
    content = sweep(seed=2, rates=(0.05, 0.1, 0.2))
    content = content[(content["rate"] != 0.2) | (content["run"] > 0)]  # not every rate was tried as often
    before = study_tables(measured(tmp_path, content))
    after = study_tables(measured(tmp_path, change(content, 5)))
    assert before.keys() == after.keys()
    assert {"ranks", "advice", "verdicts", "critical_batch_size", "best"} <= {n for n, t in before.items() if len(t)}
    assert (before["verdicts"]["verdict"] != "not measured").any()
    for name in before:
        pd.testing.assert_frame_equal(without_seeds(before[name]), without_seeds(after[name]), rtol=1e-9, obj=name)


def test_seeds_that_are_said_to_be_shared_pair_the_runs(tmp_path: Path) -> None:
    content = sweep(seed=3, rates=(0.1,))
    alone, shared = (study_tables(measured(tmp_path, content, shared=pairs)) for pairs in (False, True))
    for name in ("best", "ranks", "critical_batch_size", "verdicts"):
        assert not alone[name].equals(shared[name]), name
    widths = [found["best"].eval("difference_ci_high - difference_ci_low").dropna() for found in (alone, shared)]
    assert (widths[1] < widths[0]).all()
