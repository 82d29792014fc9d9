"""Made-up tables of evidence with the real columns, from simple laws. No number here was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from batchscope.analysis import rates, scaling, targets
from batchscope.figures.frames import Frames
from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import Size, labels
from unit import fakes
from unit.fakes import PAIR, Row

COSTS = ("epochs", "updates", "examples", "seconds", "joules")
# Epochs of the smallest batch and critical batch size, by metric and target.
LAWS: Mapping[str, Mapping[float, tuple[float, float]]] = {
    "validation_loss": {0.5: (2.0, 60.0), 0.3: (5.0, 150.0), 0.2: (9.0, 400.0)}
}


@dataclass(frozen=True)
class FakeEvidence:
    """What to make up. `refused` maps targets to the reason for which their fit was not accepted.

    `n_train` None is an import that knows epochs alone. `edge` are sizes whose best rate stayed at the edge of the
    grid, `failed` (size, rate) of trials that diverged.
    """

    batch_sizes: Sequence[int | str] = (1, 4, 16, 64, 256, "full")
    seeds: Sequence[int] = (1, 2, 3, 4, 5)
    n_train: int | None = 1168
    laws: Mapping[str, Mapping[float, tuple[float, float]]] = field(default_factory=lambda: LAWS)
    budget_epochs: float = 40.0
    noise: float = 0.08
    refused: Mapping[float, str] = field(default_factory=dict)
    timings: bool = True
    energy: bool = False
    edge: Sequence[int] = ()
    failed: Sequence[tuple[int, float]] = ((1, 0.32), (1, 1.0), (4, 1.0))

    @property
    def cells(self) -> list[Row]:
        return [fakes.cell(size, self.n_train or 1024) for size in self.batch_sizes]

    def seconds_per_update(self, batch_size: int) -> float:
        return 2e-4 + 2e-6 * batch_size


USUAL = FakeEvidence()
TWO_METRICS = {"validation_loss": LAWS["validation_loss"], "train_error": {0.4: (3.0, 80.0), 0.1: (12.0, 900.0)}}
IMPORT = FakeEvidence(
    n_train=None, timings=False, laws={"WER": {50.0: (4.0, 165.0), 45.0: (5.0, 264.0), 40.0: (6.4, 308.0)}}
)


def make(study: FakeEvidence) -> Frames:
    """The tables of `study` as figures take them; those without evidence have no rows but those of the runs."""
    runs = [
        {
            **cell,
            "seed": seed,
            "outcome": "ok",
            "n_train": study.n_train,
            "updates_per_epoch": study.n_train and math.ceil(study.n_train / cell["batch_size"]),
        }
        for cell in study.cells
        for seed in study.seeds
    ]
    timed = [{**cell, "seconds_per_epoch": _seconds_per_epoch(study, cell)} for cell in study.cells if study.timings]
    timings = pd.DataFrame(timed, columns=[*study.cells[0], "seconds_per_epoch"])
    to_target, fits, trials = _to_target(study), _critical(study), _trials(study)
    tables = {
        "runs": pd.DataFrame(runs),
        "timings": timings,
        "to_target": to_target,
        "targets": scaling.with_residuals(targets.summarise(to_target, pd.DataFrame(runs), timings), fits),
        "critical_batch_size": fits,
        "equal_budget": _equal_budget(study),
        "trials": trials,
        "tuning_curves": rates.curves(trials),
        "rates": _rates(study),
        "rate_slopes": pd.DataFrame(
            [
                {
                    **PAIR,
                    "n": 3,
                    "fitted": labels(Size.of(cell) for cell in study.cells),
                    "bounded": "",
                    "left_out": "",
                    "slope": 0.52,
                    "slope_lowest": 0.52,
                    "slope_highest": 0.52,
                    "ci_low": 0.4,
                    "ci_high": 0.64,
                }
            ]
        ),
        "pareto": _pareto(study),
    }
    return fakes.frames(tables)


def _seconds_per_epoch(study: FakeEvidence, cell: Row) -> float | None:
    if study.n_train is None or not study.timings:
        return None
    return study.seconds_per_update(cell["batch_size"]) * math.ceil(study.n_train / cell["batch_size"])


def _to_target(study: FakeEvidence) -> pd.DataFrame:
    rows = []
    for metric, laws in study.laws.items():
        for target, (e_min, b_crit) in laws.items():
            for cell in study.cells:
                for seed in study.seeds:
                    drawn = [cell["batch_size"], seed, round(1000 * target)]
                    noise = np.random.default_rng(drawn).normal(0, study.noise)
                    epochs = e_min * (1 + cell["batch_size"] / b_crit) * math.exp(noise)
                    reached = epochs <= study.budget_epochs
                    seconds = _seconds_per_epoch(study, cell)
                    n = study.n_train
                    costs = {
                        "epochs": epochs,
                        "updates": n and epochs * math.ceil(n / cell["batch_size"]),
                        "examples": n and epochs * n,
                        "seconds": seconds and seconds * epochs,
                        "joules": (80 + 0.2 * cell["batch_size"]) * seconds * epochs
                        if seconds and study.energy
                        else None,
                    }
                    rows.append(
                        {
                            **cell,
                            "seed": seed,
                            "metric": metric,
                            "target": target,
                            "reached": reached,
                            **{name: value if reached else None for name, value in costs.items()},
                            "budget_epochs": study.budget_epochs,
                            "resolution_epochs": 0.5 if reached and n else None,
                            "evaluations_in_a_row": 2 if n else None,
                        }
                    )
    return pd.DataFrame(rows).astype(dict.fromkeys((*COSTS, "resolution_epochs"), "float64"))


def _critical(study: FakeEvidence) -> pd.DataFrame:
    rows = []
    for metric, laws in study.laws.items():
        for target, (e_min, b_crit) in laws.items():
            sizes = [cell["batch_size"] for cell in study.cells]
            fitted = [size for size in sizes if e_min * (1 + size / b_crit) < 0.8 * study.budget_epochs]
            rows.append(
                {
                    **PAIR,
                    "metric": metric,
                    "target": target,
                    "e_min": e_min,
                    "e_min_examples": study.n_train and e_min * study.n_train,
                    "b_crit": b_crit,
                    **{"at_least": None, "at_most": None},
                    "ci_low": 0.8 * b_crit,
                    "ci_high": 1.3 * b_crit,
                    "rmse_log": study.noise,
                    "n_sizes": len(fitted),
                    "accepted": target not in study.refused and len(fitted) > 0,
                    "reason": study.refused.get(target, "" if fitted else "no size reached the target"),
                    "min_batch_size": min(fitted, default=None),
                    "max_batch_size": max(fitted, default=None),
                    "s_min": study.n_train and e_min * study.n_train / b_crit,
                    "n_runs": len(fitted) * len(study.seeds),
                }
            )
    return pd.DataFrame(rows).astype({"s_min": "float64"})


def _equal_budget(study: FakeEvidence) -> pd.DataFrame:
    rows = []
    n = study.n_train or 1024
    smallest, largest = study.cells[0]["batch_size"], study.cells[-1]["batch_size"]
    amounts = {
        "epochs": study.budget_epochs,
        "updates": study.budget_epochs * n / largest,
        "seconds": study.budget_epochs * n / largest * study.seconds_per_update(largest),
    }
    for cell in study.cells:
        size = cell["batch_size"]
        updates = {
            "epochs": study.budget_epochs * n / size,
            "updates": amounts["updates"],
            "seconds": amounts["seconds"] / study.seconds_per_update(size),
        }
        for budget, amount in amounts.items():
            late = budget == "updates" and size == smallest
            losses = [
                (0.1 + 2.2 / (1 + updates[budget] / 40) + 0.3 / math.sqrt(size))
                * math.exp(np.random.default_rng([size, seed]).normal(0, 0.05))
                for seed in study.seeds
            ]
            loss, error = t_interval([] if late else losses), t_interval([] if late else np.array(losses) / 6)
            row: Row = {**cell, "budget": budget, "amount": amount, "n": loss.n, "n_runs": len(study.seeds)}
            for name, interval in (("validation_loss", loss), ("validation_error", error)):
                row |= {f"{name}_mean": interval.mean, f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
            rows.append(row)
    return pd.DataFrame(rows)


def _best_rate(size: int) -> float:
    return 0.02 * math.sqrt(size)


def _trials(study: FakeEvidence) -> pd.DataFrame:
    rows = []
    for cell in study.cells:
        size = cell["batch_size"]
        grid = [(rate, "grid") for rate in (0.01, 0.032, 0.1, 0.32, 1.0)]
        grid += [(3.2, "widened")] if size > 500 else []
        chosen = min((rate for rate, _ in grid), key=lambda rate: abs(math.log(rate / _best_rate(size))))
        for seed in (101, 102, 103):
            for rate, stage in grid:
                bad = (size, rate) in study.failed
                off = math.log(rate / _best_rate(size))
                noise = np.random.default_rng([size, seed, round(1000 * rate)]).normal(0, 0.04)
                rows.append(
                    {
                        **cell,
                        "seed": seed,
                        "learning_rate": rate,
                        "stage": stage,
                        "outcome": "diverged" if bad else "ok",
                        "selected_validation_loss": None if bad else (0.2 + 0.05 * off**2) * math.exp(noise),
                        "selected_epoch": None if bad else 10.0,
                        "chosen": rate == chosen,
                    }
                )
    return pd.DataFrame(rows)


def _rates(study: FakeEvidence) -> pd.DataFrame:
    trials, rows = _trials(study), []
    for cell in study.cells:
        found = trials[(trials["batch_size"] == cell["batch_size"]) & (trials["full_batch"] == cell["full_batch"])]
        best = _best_rate(cell["batch_size"])
        rows.append(
            {
                **cell,
                "learning_rate": found.loc[found["chosen"], "learning_rate"].iloc[0],
                "tuned": True,
                "at_edge": cell["batch_size"] in study.edge,
                "n_trials": len(found),
                "n_seeds": 3,
                "optimum": best,
                "optimum_ci_low": best / 1.6,
                "optimum_ci_high": best * 1.6,
            }
        )
    return pd.DataFrame(rows)


def _pareto(study: FakeEvidence) -> pd.DataFrame:
    rows = []
    for cell in study.cells:
        size, n = cell["batch_size"], study.n_train or 1024
        seconds = 12 * math.ceil(n / size) * (1 + size / 300) * study.seconds_per_update(size)
        error = 0.03 + 0.01 * math.log2(size) ** 1.5 / 5
        rows.append(
            {
                **cell,
                "seconds_mean": seconds,
                "test_error_mean": error,
                "test_error_ci_low": error - 0.006,
                "test_error_ci_high": error + 0.006,
            }
        )
    for row in rows:
        row["on_front"] = not any(
            other["seconds_mean"] < row["seconds_mean"] and other["test_error_mean"] < row["test_error_mean"]
            for other in rows
        )
    return pd.DataFrame(rows)
