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


def test_of_a_link_its_own_stamp_counts_as_for_snakemake(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    file, link = tmp_path / "kept.npz", tmp_path / "runs/fixed.npz"
    file.write_text("rows")
    link.symlink_to(file)
    os.utime(file, (0, time.time() + 3600))
    stamp = file.stat().st_mtime_ns
    stamps.settle([link], tmp_path)
    os.utime(link, (0, time.time() + 3600), follow_symlinks=False)
    with pytest.raises(stamps.StampError, match="touch -h "):
        stamps.settle([link], tmp_path / "results")
    stamps.settle([link], tmp_path / "runs")
    assert abs(link.lstat().st_mtime - time.time()) < 60
    assert file.stat().st_mtime_ns == stamp


def test_a_result_of_somebody_else_of_the_future_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fixed.json"
    file.write_text("rows")
    os.utime(file, (0, time.time() + 3600))

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", forbidden)
    with pytest.raises(stamps.StampError, match=r"fixed\.json: its time stamp"):
        stamps.settle([file], tmp_path)


def test_a_users_file_of_the_future_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "my flowers.npz"
    file.write_text("rows")
    stamps.settle([file], tmp_path / "results")
    os.utime(file, (0, time.time() + 3600))
    stamp = file.stat().st_mtime_ns
    with pytest.raises(stamps.StampError, match=r"my flowers\.npz: its time stamp, .*: touch '.*my flowers\.npz'"):
        stamps.settle([file], tmp_path / "results")
    assert file.stat().st_mtime_ns == stamp
