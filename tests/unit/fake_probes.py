"""Made-up tables of the probes of weights, with the real columns and types, from simple laws. Nothing was measured."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batchscope.figures.frames import Frames, select
from batchscope.probes.gradients.analysis import gradient_slopes
from batchscope.probes.registry import PROBES, STUDY_TABLES
from batchscope.probes.sharpness.analysis import sharpness_trends, with_gap
from batchscope.tables import records
from batchscope.tables.cells import CHECKPOINT
from batchscope.training.checkpoints import END, START, Checkpoint
from unit import fake_evidence

Row = dict[str, Any]
PAIR: Row = {"dataset": "digits", "recipe": "mlp"}
CHECKPOINTS: Mapping[Checkpoint, tuple[float, float]] = {
    START: (0.0, 2.3),
    Checkpoint(fraction=0.5): (20.0, 0.4),
    END: (40.0, 0.1),
}
N_TRAIN = 1168
COLUMNS = {table: record.columns for probe in PROBES.values() for table, record in probe.records.items()}


@dataclass(frozen=True)
class FakeProbes:
    """What to make up.

    `gradient_sizes` are the runs whose gradients are looked at, `drawn` the sizes of batches, from `examples`. `met`
    are training losses at which every run kept its weights. `lost` are (batch size, seed) without any weights; the
    estimates at (batch size, checkpoint) of `open_ended` have no upper end, those of `not_estimable` no value.
    """

    batch_sizes: Sequence[int | str] = (4, 16, 64, 256, "full")
    seeds: Sequence[int] = (1, 2, 3)
    gradient_sizes: Sequence[int] = (16, 256)
    checkpoints: Mapping[Checkpoint, tuple[float, float]] = field(default_factory=lambda: CHECKPOINTS)
    drawn: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    examples: int = 1024
    met: Sequence[float] = (0.5, 0.2)
    lost: Sequence[tuple[int, int]] = ()
    open_ended: Sequence[tuple[int, Checkpoint]] = ()
    not_estimable: Sequence[tuple[int, Checkpoint]] = ()
    targets: bool = True
    momentum: bool = True

    @property
    def runs(self) -> list[Row]:
        sizes = [(N_TRAIN if size == "full" else int(size), size == "full") for size in self.batch_sizes]
        return [
            {**PAIR, "batch_size": size, "full_batch": full, "seed": seed}
            for size, full in sizes
            for seed in self.seeds
        ]


def make(study: FakeProbes) -> Frames:
    """The tables of `study` as figures take them; those of other kinds have no rows."""
    return select(tables(study), **PAIR)


def tables(study: FakeProbes) -> dict[str, pd.DataFrame]:
    """The tables of `study` by name."""
    gradients = typed("gradients", [row for run in study.runs for row in _gradients(study, run)])
    sharpness = with_gap(
        typed("sharpness", [row for run in study.runs for row in _sharpness(study, run)]).assign(interpolated=False)
    )
    found = {
        "runs": pd.DataFrame([{**run, "outcome": "ok", "n_train": N_TRAIN} for run in study.runs]),
        "gradients": gradients,
        "gradient_slopes": gradient_slopes(gradients),
        "noise_scale": typed("noise_scale", [row for run in study.runs for row in _noise_scale(study, run)]),
        "sharpness": sharpness,
        "sharpness_trends": sharpness_trends(sharpness),
        "slices": typed("slices", [row for run in study.runs for row in _slices(study, run)]),
    }
    if study.targets:
        evidence = fake_evidence.FakeEvidence(batch_sizes=study.batch_sizes, seeds=study.seeds)
        found["critical_batch_size"] = fake_evidence.make(evidence).critical_batch_size
    others = {name: pd.DataFrame(columns=list(PAIR)) for name in STUDY_TABLES if name not in found}
    return {**others, **found}


def typed(table: str, rows: Sequence[Row]) -> pd.DataFrame:
    """`rows` written and read as the table `table`; columns that they lack are null, unknown ones are refused."""
    columns = COLUMNS[table]
    known = dict.fromkeys(columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{table}.parquet"
        records.write_table(table, [{**known, **row} for row in rows], path, columns)
        found: pd.DataFrame = records.read_table(table, path, columns).to_pandas()
        return found


def one_example(run: Row, checkpoint: Checkpoint) -> tuple[float, float]:
    """Trace of the covariance of single gradients and squared length of the full one: noisier the later."""
    rng = np.random.default_rng([run["batch_size"], run["seed"], _number(checkpoint)])
    factor = {START: 1.0, Checkpoint(fraction=0.5): 0.5, END: 0.2}.get(checkpoint, 0.3) * math.exp(rng.normal(0, 0.2))
    return 40.0 * factor, factor**2.2


def _number(checkpoint: Checkpoint) -> int:
    """A number of its own for the random numbers of a checkpoint."""
    return round(100 * sum(end or 0.0 for end in checkpoint.columns.values()))


def _at(study: FakeProbes, run: Row, checkpoint: Checkpoint, epoch: float, loss: float) -> Row:
    updates = round(epoch * math.ceil(N_TRAIN / run["batch_size"]))
    here = {**checkpoint.columns, "epoch": epoch, "updates": updates, "train_loss": loss}
    return {**run, **here, "examples": study.examples}


def _looked_at(study: FakeProbes, run: Row) -> bool:
    if (run["batch_size"], run["seed"]) in study.lost or run["full_batch"]:
        return False
    return run["batch_size"] in study.gradient_sizes


def _gradients(study: FakeProbes, run: Row) -> list[Row]:
    rows, n = [], study.examples
    for checkpoint, (epoch, loss) in study.checkpoints.items() if _looked_at(study, run) else ():
        trace, norm = one_example(run, checkpoint)
        for size in study.drawn:
            rng = np.random.default_rng([run["batch_size"], run["seed"], size, _number(checkpoint)])
            expected = trace / size * (n - size) / (n - 1)
            ratio = 0.05 * math.sqrt(norm / expected)
            cosine = 1 / math.sqrt(1 + expected / norm)
            followed = {"coordinate": 17, "coordinate_mean": 0.01, "coordinate_std": 0.2 / math.sqrt(size)}
            rows.append(
                {
                    **_at(study, run, checkpoint, epoch, loss),
                    "drawn_batch_size": size,
                    "batches": max(200, 4 * n // size),
                    "bias_batches": 10**6 // size,
                    "zero_gradients": 0,
                    "gradient_bias": 0.004 * rng.normal(),
                    "gradient_bias_se": 0.004,
                    "gradient_variance": expected * math.exp(rng.normal(0, 0.03)),
                    "gradient_variance_expected": expected,
                    "gradient_signal_to_noise": ratio,
                    "gradient_signal_to_noise_q25": ratio / 2.5,
                    "gradient_signal_to_noise_q75": ratio * 2,
                    "dead_coordinates": 12,
                    "cosine_mean": cosine,
                    "cosine_q25": cosine**1.3,
                    "cosine_q75": cosine**0.8,
                    **followed,
                    "coordinate_min": 0.01 - 0.6 / math.sqrt(size),
                    "coordinate_max": 0.01 + 0.6 / math.sqrt(size),
                }
            )
    return rows


def _noise_scale(study: FakeProbes, run: Row) -> list[Row]:
    rows = []
    for checkpoint, (epoch, loss) in study.checkpoints.items() if _looked_at(study, run) else ():
        trace, norm = one_example(run, checkpoint)
        at, here = _at(study, run, checkpoint, epoch, loss), (run["batch_size"], checkpoint)
        row: Row = {**at, "covariance_trace": trace, "gradient_norm_squared": norm, "noise_scale": trace / norm}
        row |= {"noise_scale_ci_low": 0.7 * trace / norm, "noise_scale_ci_high": 1.6 * trace / norm, "reason": None}
        if here in study.open_ended:
            row |= {"noise_scale_ci_high": None, "reason": "|G|² cannot be told apart from zero"}
        if here in study.not_estimable:
            numbers = dict.fromkeys(("noise_scale", "noise_scale_ci_low", "noise_scale_ci_high"))
            row |= {**numbers, "gradient_norm_squared": -0.1, "reason": "the estimate of |G|² is not above zero"}
        rows.append(row)
    return rows


def _kept(study: FakeProbes, run: Row) -> list[Row]:
    """Where the run fell to the losses of `met`, and its end, later and at a higher loss the larger the batch."""
    if (run["batch_size"], run["seed"]) in study.lost:
        return []
    slow = math.log2(run["batch_size"])
    rows = [_at(study, run, Checkpoint(train_loss=loss), slow / loss, 0.99 * loss) for loss in study.met]
    return [*rows, _at(study, run, END, 100.0, 0.01 * slow)]


def _sharpness(study: FakeProbes, run: Row) -> list[Row]:
    rows, size = [], run["batch_size"]
    for at in _kept(study, run):
        rng = np.random.default_rng([size, run["seed"], _number(Checkpoint(*(at[name] for name in CHECKPOINT)))])
        curvature = 8 * size**0.4 * (1.5 - at["train_loss"]) * math.exp(rng.normal(0, 0.15))
        gap = 0.02 + 0.01 * math.log2(size) + rng.normal(0, 0.004)
        rows.append(
            {
                **at,
                "subset_loss": at["train_loss"],
                "lambda_max": curvature,
                "lambda_residual": 1e-5,
                "lambda_products": 40,
                "trace": 6 * curvature,
                "trace_ci_low": 5 * curvature,
                "trace_ci_high": 7 * curvature,
                "keskar_0_001": 0.4 * curvature * math.exp(rng.normal(0, 0.3)),
                "keskar_0_0005": 0.15 * curvature,
                "adaptive_sharpness": 3 * math.exp(rng.normal(0, 0.1)),
                "stability_threshold": 400 / math.sqrt(size) if study.momentum else None,
                "train_accuracy": 0.99,
                "test_accuracy": 0.99 - gap,
                "reason": None,
            }
        )
    return rows


def _slices(study: FakeProbes, run: Row) -> list[Row]:
    rows = []
    for at in _kept(study, run):
        width = 4 / run["batch_size"] ** 0.2 * (1 + 0.05 * run["seed"])
        for position in np.linspace(-1, 1, 21):
            loss = at["train_loss"] + 3 * (1 - math.exp(-((float(position) / width) ** 2)))
            rows.append({**at, "position": float(position), "loss": loss})
    return rows
