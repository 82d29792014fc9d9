"""MLflow.

`mlflow.search_runs().to_csv()` and `mlflow experiments csv` write `run_id, experiment_id, status, artifact_uri,
start_time, end_time`, then `metrics.x`, `params.y` and `tags.z`
(https://mlflow.org/docs/latest/ml/search/search-runs). Parameters are texts whatever they were, a parameter that a
run lacks is empty (`None` in Parquet), a metric that it lacks is empty, and a metric is the last value that was
logged. The states are RUNNING, SCHEDULED, FINISHED, FAILED and KILLED. to_csv puts an index without a name in front.

The page of an experiment downloads `runs.csv` with `Start Time, Duration, Run ID, Name, Source Type, Source Name,
User, Status` and then parameters, metrics and tags without prefixes; older versions leave cells unquoted, newer ones
quote all and put an apostrophe before a cell that a spreadsheet might take for a formula, negative numbers included
(mlflow/server/js/src/experiment-tracking/utils/CsvUtils.ts). A chart downloads `Run, Run ID, metric, step, timestamp,
value`, one row per value; with `Group` in front it holds means of groups.
"""

from __future__ import annotations

from collections.abc import Sequence

from batchscope.study.trackers.tracker import Kind, Tracker, prefixed

_PREFIXES: dict[str, Kind] = {"params.": "setting", "metrics.": "result", "tags.": "about"}
_PAGE = ("Start Time", "Duration", "Run ID", "Name", "Source Type", "Source Name", "User", "Status")
_TAGS = ("mlflow.", "estimator_")


def _of_search(columns: Sequence[str]) -> bool:
    return {"run_id", "status"} <= set(columns) and any(name.startswith(tuple(_PREFIXES)) for name in columns)


def _of_page(columns: Sequence[str]) -> bool:
    return {"Run ID", "Status", "Start Time"} <= set(columns)


MLFLOW = Tracker(
    "MLflow",
    _of_search,
    lambda column: prefixed(_PREFIXES, column),
    roles={"tags.mlflow.runName": "name", "status": "state"},
    keeps_last=True,
)
MLFLOW_PAGE = Tracker(
    "MLflow's page of an experiment",
    _of_page,
    lambda column: ("about" if column in _PAGE or column.startswith(_TAGS) else "", column),
    roles={"Name": "name", "Status": "state"},
    keeps_last=True,
)
