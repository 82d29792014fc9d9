"""What the probes say over sizes and seeds: of gradients against the batch drawn, of sharpness against that trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from batchscope.stats.intervals import fieller, t_interval, t_quantile
from batchscope.stats.trends import slopes
from batchscope.tables import records

GRADIENT_SLOPES = {
    "dataset": "str",
    "recipe": "str",
    "batch_size": "int64",
    "full_batch": "bool",
    "moment": "str",
    "metric": "str",
    "n": "int64",
    "n_sizes": "int64",
    "slope": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
}
SHARPNESS_TRENDS = {
    "dataset": "str",
    "recipe": "str",
    "moment": "str",
    "measure": "str",
    "against": "str",
    "n": "int64",
    "n_sizes": "int64",
    "correlation": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
}
SLOPED = ("gradient_variance", "gradient_signal_to_noise")
MEASURES = ("lambda_max", "trace", "keskar_0_001", "keskar_0_0005", "adaptive_sharpness")
GAP = "matched_generalisation_gap"
CROSSED, EQUAL = "train loss ", "equal loss "  # how the names of moments begin; a number follows
MIN_SIZES = 3  # below which ranks say nothing


def gradient_slopes(gradients: pd.DataFrame) -> pd.DataFrame:
    """Slope of log(metric) on log(size of the batches drawn), per weights looked at: −1 and 1/2 are expected.

    One row per data set, recipe, batch size of the runs, moment and metric of `SLOPED`; a slope per seed, and their
    mean with a 95 % t-interval over the `n` seeds. Seeds that lack a size are left out.
    """
    keys = ["dataset", "recipe", "batch_size", "full_batch", "moment"]
    rows = []
    for key, group in gradients.groupby(keys, sort=False):
        for metric in SLOPED:
            table = group.pivot_table(index="drawn_batch_size", columns="seed", values=metric, dropna=False)
            usable = table.loc[:, (table > 0).all()]
            row: dict[str, Any] = {**dict(zip(keys, key, strict=True)), "metric": metric}
            row |= {"n": usable.shape[1], "n_sizes": len(usable)}
            if usable.shape[1] and len(usable) > 1:
                found = t_interval(slopes(np.log(usable), np.log(usable.index.to_numpy(np.float64))))
                row |= {"slope": found.mean, "ci_low": found.low, "ci_high": found.high}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(GRADIENT_SLOPES)).astype(GRADIENT_SLOPES)


def noise_scale_over_seeds(rows: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    """The noise scale at one moment over seeds, and its 95 % interval: mean trace over mean squared length.

    Fieller's interval from the spread between seeds, with one end or none where the length cannot be told apart from
    zero. All None where a seed lacks one of the two, or the mean length is not above zero.

    Args:
        rows: those of the table `noise_scale` of one data set, recipe, batch size and moment, one per seed.
    """
    found = rows[["covariance_trace", "gradient_norm_squared"]].to_numpy(np.float64, na_value=np.nan)
    if not len(found) or not np.isfinite(found).all() or found[:, 1].mean() <= 0:
        return None, None, None
    pair = found.mean(axis=0)
    value = float(pair[0] / pair[1])
    if len(found) < 2:
        return value, None, None
    return value, *fieller(pair, np.cov(found.T) / len(found), t_quantile(len(found)))


def with_gap(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The table of sharpness with the generalisation gap of its moments: training minus test accuracy."""
    return sharpness.assign(**{GAP: sharpness["train_accuracy"] - sharpness["test_accuracy"]})


def at_equal_loss(sharpness: pd.DataFrame) -> pd.DataFrame:
    """The table of sharpness and, below it, rows at exactly the training losses that runs fell to.

    Weights are kept at the first evaluation at or below a training loss, and a small batch falls far below it between
    two evaluations. So each measure is interpolated, in its logarithm over that of the training loss, between those
    weights and the ones of the same run next above that loss; accuracies, epoch and updates on the same scale. A run
    without weights above it (the highest of `train_losses`) has no such row.

    Args:
        sharpness: the table of `records`.

    Returns:
        rows with the moment `EQUAL` and the loss instead of `CROSSED` and the loss.
    """
    found = []
    for _, of_run in sharpness.groupby([*records.RUN], sort=False):
        for below in of_run[of_run["moment"].str.startswith(CROSSED)].to_dict("records"):
            wanted = float(str(below["moment"]).removeprefix(CROSSED))
            above = of_run[of_run["train_loss"] > wanted].sort_values("train_loss").head(1).to_dict("records")
            if above:
                found.append(_between(above[0], below, wanted))
    return pd.concat([sharpness, pd.DataFrame(found, columns=sharpness.columns).astype(sharpness.dtypes)])


def _between(above: Mapping[Any, Any], below: Mapping[Any, Any], loss: float) -> dict[Any, Any]:
    """The row of a run at a training loss between those of two of its weights."""
    way = math.log(above["train_loss"] / loss) / math.log(above["train_loss"] / below["train_loss"])
    row = {**below, "moment": f"{EQUAL}{loss:g}", "train_loss": loss}
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
    ±1. One row per data set, recipe, moment, measure of `MEASURES` and what it is held against.

    Args:
        sharpness: what `with_gap` gives.
    """
    rows = []
    for (dataset, recipe, moment), group in sharpness.groupby(["dataset", "recipe", "moment"], sort=False):
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
                row = {"dataset": dataset, "recipe": recipe, "moment": moment, "measure": measure, "against": against}
                rows.append(
                    row | {"n": mean.n, "n_sizes": sizes, "correlation": mean.mean, "ci_low": low, "ci_high": high}
                )
    return pd.DataFrame(rows, columns=list(SHARPNESS_TRENDS)).astype(SHARPNESS_TRENDS)


def lowest_common_loss(sharpness: pd.DataFrame, runs: pd.DataFrame) -> str | None:
    """The moment at which the runs of a data set and recipe are compared; None where they have none in common.

    Sharpness falls and rises along a run, so sizes are compared where they fit the training part equally well: at
    exactly the same loss where `at_equal_loss` has it, else at or below the same loss. Of the losses, that which most
    sizes (at least `MIN_SIZES`, or both of two) reached in all their runs, and of those the lowest.
    """
    needed = max(2, min(MIN_SIZES, len(runs[["batch_size", "full_batch"]].drop_duplicates())))
    for kind in (EQUAL, CROSSED):
        found = [moment for moment in sharpness["moment"].unique() if moment.startswith(kind)]
        reached = {moment: len(complete_sizes(sharpness, runs, moment)) for moment in found}
        most = max(reached.values(), default=0)
        if most >= needed:
            losses = [float(moment.removeprefix(kind)) for moment, count in reached.items() if count == most]
            return f"{kind}{min(losses):g}"
    return None


def complete_sizes(sharpness: pd.DataFrame, runs: pd.DataFrame, moment: str) -> list[tuple[int, bool]]:
    """The batch sizes, each with whether it is the full batch, all of whose runs have weights at a moment."""
    keys = ["batch_size", "full_batch"]
    seeds = sharpness[sharpness["moment"] == moment].groupby(keys)["seed"].nunique().reset_index()
    both = runs.groupby(keys)["seed"].nunique().reset_index().merge(seeds, on=keys, suffixes=("", "_there"))
    kept = both.loc[both["seed"] == both["seed_there"], keys].sort_values(keys)
    return [(int(size), bool(full)) for size, full in kept.itertuples(index=False, name=None)]


def _correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation; None for fewer than `MIN_SIZES` pairs or where one of the two does not vary."""
    pairs = np.array([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < MIN_SIZES or (np.ptp(pairs, axis=1) == 0).any():
        return None
    found = round(float(stats.spearmanr(*pairs).statistic), 12)  # ±1 comes out with an error of rounding
    return found if math.isfinite(found) else None
