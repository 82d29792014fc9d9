"""The trackers whose exports are recognised, the most particular first; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Sequence

from batchscope.study.trackers.mlflow import MLFLOW, MLFLOW_PAGE
from batchscope.study.trackers.optuna import OPTUNA
from batchscope.study.trackers.plain import PLAIN
from batchscope.study.trackers.tracker import Tracker
from batchscope.study.trackers.wandb import WANDB

TRACKERS = (MLFLOW, MLFLOW_PAGE, OPTUNA, WANDB, PLAIN)


def tracker_of(columns: Sequence[str]) -> Tracker:
    """The tracker that wrote a table with these columns."""
    return next(tracker for tracker in TRACKERS if tracker.wrote(columns))
