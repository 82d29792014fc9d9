"""Made-up tables of range tests, evaluation modes, accumulation and timed loops. No number here was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from batchscope.figures.frames import Frames, select
from batchscope.probes.overheads.analysis import analyse
from batchscope.probes.registry import STUDY_TABLES
from batchscope.training.checkpoints import END
from unit.fake_probes import COLUMNS

Row = dict[str, Any]
PAIR = ("digits", "mlp")
SIZES: tuple[int | str, ...] = (1, 8, 32, 128, "full")
SEEDS = (1, 2, 3, 4, 5)
SCATTER = "the step losses scatter too much to tell where they fall fastest; make more updates"
UPDATES = 100


def cell(size: int | str) -> Row:
    return {"dataset": PAIR[0], "recipe": PAIR[1], "batch_size": _number(size), "full_batch": size == "full"}


def _number(size: int | str) -> int:
    return 1168 if size == "full" else int(size)


def table(name: str, rows: Sequence[Row]) -> pd.DataFrame:
    """`rows` as the table `name`, every column of which each of them must have."""
    columns = COLUMNS[name]
    for row in rows:
        assert set(row) == set(columns), name
    numbers = [column for column, about in columns.items() if about.kind == "number"]
    return pd.DataFrame(rows, columns=list(columns)).astype(dict.fromkeys(numbers, "float64"))


def noise(*key: int) -> float:
    return math.exp(np.random.default_rng(key).normal(0, 0.2))


def suggested(size: int | str, seed: int) -> float:
    return 0.01 * math.sqrt(_number(size)) * noise(_number(size), seed)


def rate_tables(sizes: Sequence[int | str] = SIZES, seeds: Sequence[int] = SEEDS) -> dict[str, pd.DataFrame]:
    """Losses that fall round the suggested rate and blow up at twenty times it."""
    rates = np.geomspace(1e-5, 10.0, UPDATES)
    ranges, curves = [], []
    for size in sizes:
        for seed in seeds:
            best = suggested(size, seed)
            found = {"suggested_rate": best, "lowest_loss_rate": 6 * best, "diverged_rate": None, "reason": None}
            steep = 2 + 0.3 * math.log2(_number(size)) / 10
            losses = 2.3 - steep / (1 + (best / rates) ** 1.2) + (rates / (15 * best)) ** 3
            if 20 * best < rates[-1]:
                found["diverged_rate"] = float(rates[rates > 20 * best][0])
            ranges.append({**cell(size), "seed": seed, **found})
            for i in range(int((rates <= 25 * best).sum())):
                inner = 5 <= i < UPDATES - 5
                at = {"update": i + 1, "learning_rate": rates[i], "loss": losses[i] * noise(seed, i)}
                curves.append({**cell(size), "seed": seed, **at, "smoothed_loss": losses[i] if inner else None})
    return {"rate_ranges": table("rate_ranges", ranges), "rate_curves": table("rate_curves", curves)}


def tuned_rates(sizes: Sequence[int | str] = SIZES, *, tuned: bool = True) -> pd.DataFrame:
    rows = []
    for size in sizes:
        best = 0.03 * math.sqrt(_number(size)) if tuned else math.nan
        ends = {"optimum_ci_low": best / 1.5, "optimum_ci_high": best * 1.5}
        rows.append({**cell(size), "learning_rate": 0.1, "tuned": tuned, "optimum": best, **ends})
    return pd.DataFrame(rows)


def mode_table(
    trained: Sequence[int | str] = (32,), evaluated: Sequence[int] = (1, 2, 8, 32, 128), seeds: Sequence[int] = SEEDS
) -> pd.DataFrame:
    rows = []
    for size in trained:
        for seed in seeds:
            for drawn in evaluated:
                inference = 0.2 * noise(seed) + 0.01 * math.log2(_number(size))
                training = inference + 2.2 * noise(seed, drawn) / drawn
                losses = {"inference_loss": inference, "training_loss": training}
                at = {**END.columns, "epoch": 20.0, "updates": 740, "train_loss": 0.1, "examples": 256}
                shift = {"training_mode_shift": abs(training - inference), "reason": None}
                rows.append({**cell(size), "seed": seed, **at, "evaluated_batch_size": drawn, **losses, **shift})
    return table("modes", rows)


def accumulated(seeds: Sequence[int] = SEEDS) -> pd.DataFrame:
    rows = []
    for seed in seeds:
        found = {"largest_difference": 2e-7 * seed, "relative_difference": 3e-6 * seed, "rounding": 2e-6 * seed}
        rows.append({**cell(128), "seed": seed, "micro_batch_size": 32, "updates": 20, **found, "reason": None})
    return table("accumulation", rows)


def loop_windows(
    sizes: Sequence[int | str] = SIZES,
    loops: Sequence[str] = ("fused", "fit", "data"),
    cost: Callable[[str, int], float] | None = None,
) -> pd.DataFrame:
    """Seven windows of every loop, whose times are a fixed cost and one per example, give or take two per cent."""
    costs = {"fused": (2e-4, 2e-6), "fit": (9e-4, 2.4e-6), "data": (1e-6, 2e-7)}
    rows = []
    for size in sizes:
        for window in range(1, 8):
            for loop in loops:
                fixed, marginal = costs[loop]
                seconds = fixed + marginal * _number(size) if cost is None else cost(loop, _number(size))
                seconds *= noise(_number(size), window, len(loop)) ** 0.1
                at = {"loop": loop, "window": window, "updates": 50, "seconds": 50 * seconds}
                rows.append({**cell(size), **at, "seconds_per_update": seconds})
    return table("loop_windows", rows)


def cost_tables(windows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return analyse({"loop_windows": windows})


def tables(sizes: Sequence[int | str] = SIZES, seeds: Sequence[int] = SEEDS, **probed: pd.DataFrame) -> dict[str, Any]:
    """The tables of a study with the probes `probed`; those of other evidence have no rows."""
    runs = [
        {**cell(size), "seed": seed, "outcome": "ok", "updates_per_epoch": math.ceil(1168 / _number(size))}
        for size in sizes
        for seed in seeds
    ]
    empty = pd.DataFrame(columns=list(cell(1)))
    rates = tuned_rates(sizes, tuned=False)  # every study has this table, and the next
    used = [{"utilisation_percent": 40.0 + 10 * i, "utilisation_kind": "CPU time"} for i in range(len(sizes))]
    summary = pd.DataFrame([{**cell(size), **row} for size, row in zip(sizes, used, strict=True)])
    own = {"runs": pd.DataFrame(runs), "rates": rates, "summary": summary}
    return {**dict.fromkeys(STUDY_TABLES, empty), **own, **probed}


def frames_of(sizes: Sequence[int | str] = SIZES, seeds: Sequence[int] = SEEDS, **probed: pd.DataFrame) -> Frames:
    return select(tables(sizes, seeds, **probed), *PAIR)


def without(frame: pd.DataFrame, rows: pd.Series[bool], reason: str, *columns: str) -> pd.DataFrame:
    """`frame` with null in `columns` of `rows`, and the reason."""
    blank = frame.assign(**{column: frame[column].mask(rows) for column in columns})
    return blank.assign(reason=frame["reason"].astype("object").mask(rows, reason))


def geometric_means(column: str, frame: pd.DataFrame) -> list[float]:
    logs = np.log(frame[column]).groupby(frame["batch_size"]).mean()
    return [float(value) for value in np.exp(logs)]
