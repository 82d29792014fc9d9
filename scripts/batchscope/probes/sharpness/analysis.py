"""What sharpness says over sizes and seeds: at equal training losses, and its ranks against size and gap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike

from batchscope.probes.moments import known, ordered
from batchscope.probes.sharpness.spec import AVERAGED, GAP, MEANS, SLICE_MEANS, TRENDS
from batchscope.stats.intervals import t_interval
from batchscope.tables.cells import CELL, CHECKPOINT, PAIR, RUN, SIZE
from batchscope.tables.codebook import typed
from batchscope.training.checkpoints import Checkpoint, at, by_checkpoint

MEASURES = ("lambda_max", "trace", "keskar_0_001", "keskar_0_0005", "adaptive_sharpness")
MIN_SIZES = 3  # below which ranks say nothing


def analyse(records: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of the study from the records of the jobs."""
    sharpness = with_gap(at_equal_loss(records["sharpness"]))
    return {
        "sharpness": sharpness,
        "sharpness_means": sharpness_means(sharpness),
        "sharpness_trends": sharpness_trends(sharpness),
        "slice_means": slice_means(records["slices"]),
    }


def sharpness_means(sharpness: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of a batch size at a checkpoint, with 95 % t-intervals, and what has no value there.

    The runs of a size have one learning rate, and so one threshold of stability.

    Args:
        sharpness: what `with_gap` gives.
    """
    keys, rows = [*CELL, *CHECKPOINT, "interpolated"], []
    for key, group in ordered(sharpness).groupby(keys, sort=False, dropna=False):
        row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "n": group["seed"].nunique()}
        for name in AVERAGED:
            row |= t_interval(known(group[name])).columns(name)
        row["stability_threshold"] = next(iter(known(group["stability_threshold"])), None)
        reasons = group["reason"].dropna()
        if len(reasons):
            row["reason"] = f"{len(reasons)} of {len(group)}: {'; '.join(dict.fromkeys(map(str, reasons)))}"
        rows.append(row)
    return typed(rows, MEANS)


def slice_means(slices: pd.DataFrame) -> pd.DataFrame:
    """Mean loss over the seeds of a batch size at a checkpoint, at every position that all of them have."""
    keys, rows = [*CELL, *CHECKPOINT], []
    for key, group in ordered(slices).groupby(keys, sort=False, dropna=False):
        table = group.pivot_table(index="position", columns="seed", values="loss").dropna()
        at = {**dict(zip(keys, key, strict=True)), "n": table.shape[1]}
        rows += [{**at, "position": position, "loss": loss} for position, loss in table.mean(axis=1).items()]
    return typed(rows, SLICE_MEANS)


def with_gap(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The table of sharpness with the generalisation gap of its checkpoints: training minus test accuracy."""
    return sharpness.assign(**{GAP: sharpness["train_accuracy"] - sharpness["test_accuracy"]})


def at_equal_loss(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The table of sharpness and, below it, rows at exactly the training losses that runs fell to.

    Weights are kept at the first evaluation at or below a training loss, and a small batch falls far below it between
    two evaluations. So each measure is interpolated, in its logarithm over that of the training loss, between those
    weights and the ones of the same run next above that loss; accuracies, epoch and updates on the same scale. A run
    without weights above it (the highest of `train_losses`) has no such row.

    Args:
        sharpness: the table that the jobs write.

    Returns:
        the table with a column `interpolated`, true in the rows below it.
    """
    sharpness = sharpness.assign(interpolated=False)
    found = []
    for _, of_run in sharpness.groupby(RUN, sort=False):
        for below in of_run[of_run["checkpoint_train_loss"].notna()].to_dict("records"):
            wanted = float(below["checkpoint_train_loss"])
            above = of_run[of_run["train_loss"] > wanted].sort_values("train_loss").head(1).to_dict("records")
            if above and below["train_loss"] > 0:
                found.append(_between(above[0], below, wanted))
    return pd.concat([sharpness, pd.DataFrame(found, columns=sharpness.columns).astype(sharpness.dtypes)])


def _between(above: Mapping[Any, Any], below: Mapping[Any, Any], loss: float) -> dict[Any, Any]:
    """The row of a run at a training loss between those of two of its weights."""
    way = math.log(above["train_loss"] / loss) / math.log(above["train_loss"] / below["train_loss"])
    row = {**below, "interpolated": True, "train_loss": loss}
    for name in (*MEASURES, "subset_loss"):
        ends = np.array([above[name], below[name]], dtype=np.float64)
        row[name] = float(np.exp((1 - way, way) @ np.log(ends))) if (ends > 0).all() else None
    for name in ("epoch", "updates", "train_accuracy", "test_accuracy"):
        row[name] = (1 - way) * above[name] + way * below[name]
    products = above["lambda_products"] + below["lambda_products"]
    whole = {"updates": round(row["updates"]), "lambda_products": products}
    return row | whole | dict.fromkeys(("lambda_residual", "trace_ci_low", "trace_ci_high"))


def sharpness_trends(sharpness: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of sharpness with the batch size and with the generalisation gap over the sizes of a seed.

    Spearman's, one number per seed, and their mean with a 95 % t-interval over the `n` seeds that have at least
    `MIN_SIZES` sizes. The ends of the interval are null where every seed has the same correlation, and are cut off at
    ±1. One row per data set, recipe, checkpoint, measure of `MEASURES` and what it is compared with.

    Args:
        sharpness: what `with_gap` gives.
    """
    rows = []
    keys = [*PAIR, *CHECKPOINT, "interpolated"]
    for key, group in sharpness.groupby(keys, sort=False, dropna=False):
        for measure in MEASURES:
            for against in ("batch_size", GAP):
                found = [
                    value
                    for _, of_seed in group.groupby("seed", sort=True)
                    if (value := _correlation(of_seed[measure], of_seed[against])) is not None
                ]
                mean = t_interval(found)
                ends = (mean.low, mean.high) if mean.sd else (None, None)
                low, high = (None if end is None else max(-1.0, min(1.0, end)) for end in ends)
                sizes = group.loc[group[measure].notna(), "batch_size"].nunique()
                row = {**dict(zip(keys, key, strict=True)), "measure": measure, "against": against}
                rows.append(
                    row | {"n": mean.n, "n_sizes": sizes, "correlation": mean.mean, "ci_low": low, "ci_high": high}
                )
    return typed(rows, TRENDS)


def lowest_common_loss(sharpness: pd.DataFrame, runs: pd.DataFrame) -> Checkpoint | None:
    """Where the runs of a data set and recipe are compared; None where they have no training loss in common.

    Sharpness falls and rises along a run, so sizes are compared where they fit the training part equally well: at
    exactly the same loss where `at_equal_loss` has it, else at or below the same loss. Of the losses, that which most
    sizes (at least `MIN_SIZES`, or both of two) reached in all their runs, and of those the lowest.
    """
    needed = max(2, min(MIN_SIZES, len(runs[SIZE].drop_duplicates())))
    reached = {each: len(complete_sizes(sharpness, runs, each)) for each in by_checkpoint(sharpness)}
    for interpolated in (True, False):
        found = [each for each in reached if each.train_loss is not None and each.interpolated == interpolated]
        most = max((reached[each] for each in found), default=0)
        if most >= needed:
            return [each for each in found if reached[each] == most][-1]  # losses fall
    return None


def complete_sizes(sharpness: pd.DataFrame, runs: pd.DataFrame, checkpoint: Checkpoint) -> list[tuple[int, bool]]:
    """The batch sizes, each with whether it is the full batch, all of whose runs have weights at a checkpoint."""
    seeds = at(sharpness, checkpoint).groupby(SIZE)["seed"].nunique().reset_index()
    both = runs.groupby(SIZE)["seed"].nunique().reset_index().merge(seeds, on=SIZE, suffixes=("", "_there"))
    kept = both.loc[both["seed"] == both["seed_there"], SIZE].sort_values(SIZE)
    return [(int(size), bool(full)) for size, full in kept.itertuples(index=False, name=None)]


def _correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation; None for fewer than `MIN_SIZES` pairs or where one of the two does not vary."""
    pairs = np.array([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < MIN_SIZES or (np.ptp(pairs, axis=1) == 0).any():
        return None
    found = round(float(scipy.stats.spearmanr(*pairs).statistic), 12)  # ±1 comes out with an error of rounding
    return found if math.isfinite(found) else None
