"""Optuna.

`study.trials_dataframe()` has `number`, `value` (`values_0`, `values_1`, … with several objectives; `value_NAME` or
`values_NAME` where the study names its metrics), `datetime_start`, `datetime_complete`, `duration`, `params_x`,
`user_attrs_y`, `system_attrs_z` and `state`, in this order (optuna/study/_dataframe.py). In CSV a duration is `0 days
00:04:22.368701`. A parameter that a trial did not draw is empty. The states are COMPLETE, PRUNED, FAIL, RUNNING and
WAITING; a trial that failed has no value, one that was pruned the last value that it reported. to_csv puts an index
without a name in front. The table does not say what a value measures, nor whether more of it is better.
"""

from __future__ import annotations

from batchscope.study.trackers.tracker import Kind, Tracker, prefixed

_PREFIXES: dict[str, Kind] = {
    **dict.fromkeys(("params_",), "setting"),
    **dict.fromkeys(("user_attrs_",), ""),
    **dict.fromkeys(("values_", "value_"), "result"),
}


def _kind(column: str) -> tuple[Kind, str]:
    return ("result", column) if _is_objective(column) else prefixed(_PREFIXES, column)


def _is_objective(column: str) -> bool:
    return column == "value" or (column.startswith("values_") and column.removeprefix("values_").isdigit())


OPTUNA = Tracker(
    "Optuna",
    lambda columns: {"number", "state"} <= set(columns) and any(name.startswith("params_") for name in columns),
    _kind,
    roles={"number": "name", "state": "state"},
    objective=_is_objective,
)
