"""Files of the future: results take the time of now, a user's file is named with what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from batchscope.jobs import stamps


def test_results_of_the_future_are_of_now_and_others_keep_their_time(tmp_path: Path) -> None:
    ahead, behind = tmp_path / "runs/a/run.parquet", tmp_path / "runs/b/run.parquet"
    for file, seconds in ((ahead, 1e8), (behind, -1e8)):
        file.parent.mkdir(parents=True)
        file.write_text("rows")
        os.utime(file, (0, time.time() + seconds))
    kept = behind.stat().st_mtime_ns
    stamps.settle([ahead, behind, tmp_path / "runs/none"], tmp_path / "runs")
    assert abs(ahead.stat().st_mtime - time.time()) < 60
    assert ahead.read_text() == "rows"
    assert behind.stat().st_mtime_ns == kept


def test_a_users_file_of_the_future_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "my flowers.npz"
    file.write_text("rows")
    stamps.settle([file], tmp_path / "results")
    os.utime(file, (0, time.time() + 3600))
    stamp = file.stat().st_mtime_ns
    with pytest.raises(stamps.StampError, match=r"my flowers\.npz: its time stamp, .*: touch '.*my flowers\.npz'"):
        stamps.settle([file], tmp_path / "results")
    assert file.stat().st_mtime_ns == stamp
