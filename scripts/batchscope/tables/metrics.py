"""Metrics: what each is called, its unit, which end of it is better, and the table it is read from.

Claims, published numbers and targets are about these. A new metric of a table that is read already is one line of
`_ALL`; one of another table also needs its reader in `claims.readers`. What else runs made elsewhere may have as a
result, and on the way to it, is one line of `QUANTITIES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Sampled = Literal["seeds", "tuning seeds", "windows", "sizes", "targets"]
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A quantity that a study measures.

    Attributes:
        name: by which claims, published numbers and targets name it.
        words: what it is called in a sentence.
        unit: its unit, "" where it has none.
        better: the end that is worth more; "" where neither is.
        table: the study table it is read from; a claim on a table that the study does not have is not measured.
        of: what its values at one batch size are repeated over; `sizes`: there is one value per size.
        source: the column of the table, where that has another name.
        one_minus: whether it is one minus its column, as an error is of an accuracy.
        probe: the measurement on frozen weights that brings the table; empty for what every study measures.
        share: whether it lies from 0 to 1; a run that diverged still has one, of its last finite weights.
        finite: power of (n − 1)/(n − B) by which draws of B of n examples without replacement change it.
    """

    name: str
    words: str
    unit: str = ""
    better: Literal["", "lower", "higher"] = ""
    table: str = "runs"
    of: Sampled = "seeds"
    source: str = ""
    one_minus: bool = False
    probe: str = ""
    share: bool = False
    finite: float = 0.0

    @property
    def column(self) -> str:
        """The column of the table that it is read from."""
        return self.source or self.name

    @property
    def sign(self) -> int:
        """What it is multiplied by so that less is better."""
        return -1 if self.better == "higher" else 1

    def beyond(self, value: float) -> str:
        """Why a number cannot be one of this metric, since that is a share; empty where it can."""
        if not self.share or 0 <= value <= 1:
            return ""
        return f"{value:g} is no {self.words}; valid is a share from 0 to 1"


@dataclass(frozen=True)
class Quantity:
    """What the result of a run may measure.

    Attributes:
        name: what it is called in our columns, as in `selected_validation_f1`.
        words: what it is called in a sentence.
        called: what it is called in the columns of others, each in lower case, words in whatever order.
        better: the end that is worth more.
        unit: its unit, "" where it has none.
        scale: `share` where it lies from 0 to 1, `ratio` where some of it lie above; either may be written in percent.
    """

    name: str
    words: str
    called: tuple[str, ...]
    better: Better = "higher"
    unit: str = ""
    scale: Literal["", "share", "ratio"] = ""


QUANTITIES = (
    Quantity("loss", "loss", ("loss", "nll", "xent", "crossentropy", "entropy"), "lower", "nat"),
    Quantity("accuracy", "accuracy", ("acc", "accuracy", "top1", "acc1"), scale="share"),
    Quantity(
        "error", "error", ("error", "err", "error rate", "err rate", "top1 error", "top1 err"), "lower", "", "share"
    ),
    Quantity("f1", "F1", ("f1", "f1score", "f1 measure"), scale="share"),
    Quantity("auc", "AUC", ("auc", "auroc", "roc auc", "rocauc"), scale="share"),
    Quantity(
        "average_precision",
        "average precision",
        ("ap", "map", "m ap", "auprc", "pr auc", "prauc", "average precision", "avg precision"),
        scale="share",
    ),
    Quantity("precision", "precision", ("precision",), scale="share"),
    Quantity("recall", "recall", ("recall",), scale="share"),
    Quantity("iou", "IoU", ("iou", "miou", "io u", "m io u", "jaccard"), scale="share"),
    Quantity("dice", "Dice", ("dice", "dice coefficient", "dice coef"), scale="share"),
    Quantity("wer", "WER", ("wer", "word error rate"), "lower", "", "ratio"),
    Quantity("cer", "CER", ("cer", "character error rate", "char error rate"), "lower", "", "ratio"),
    Quantity("bleu", "BLEU", ("bleu", "sacrebleu", "sacre bleu", "bleu4")),
    Quantity("rouge", "ROUGE", ("rouge", "rouge1", "rouge l", "rougel")),
    Quantity("perplexity", "perplexity", ("perplexity", "ppl"), "lower"),
    Quantity("bits_per_character", "bits per character", ("bpc", "bits per character"), "lower", "bit"),
    Quantity("rmse", "RMSE", ("rmse", "root mean squared error", "root mean square error"), "lower"),
    Quantity("mse", "MSE", ("mse", "mean squared error", "mean square error"), "lower"),
    Quantity("mae", "MAE", ("mae", "mean absolute error"), "lower"),
    Quantity("r2", "R²", ("r2",)),
    Quantity("psnr", "PSNR", ("psnr",), unit="dB"),
    Quantity("ssim", "SSIM", ("ssim",)),
    Quantity("fid", "FID", ("fid",), "lower"),
    Quantity("score", "score", ()),
    Quantity("cost", "cost", (), "lower"),
)
"""What results measure; those of other names are a `score`, of which more is better, or a `cost`. Of a data set and
recipe with several, `QUALITY` says which counts."""


def _loss(name: str, words: str) -> Metric:
    return Metric(name, words, "nat", "lower")


def _accuracy(name: str, words: str) -> Metric:
    return Metric(name, words, better="higher", share=True)


def _others() -> Iterator[Metric]:
    """The results that only runs made elsewhere have."""
    for weights, when in (("selected", ""), ("last", "last ")):
        for part in ("validation", "test"):
            for other in QUANTITIES[2:]:
                name, words = f"{weights}_{part}_{other.name}", f"{when}{part} {other.words}"
                yield Metric(name, words, other.unit, other.better, share=other.scale == "share")


def _to_target(amount: str, words: str, unit: str) -> Metric:
    return Metric(f"{amount}_to_target", f"{words} to the target", unit, "lower", "to_target", source=amount)


def _gradient(name: str, words: str, finite: float = 0.0) -> Metric:
    return Metric(name, f"{words} of the gradient", table="gradients", probe="gradients", finite=finite)


def _sharpness(name: str, words: str, unit: str = "") -> Metric:
    return Metric(name, words, unit, table="sharpness", probe="sharpness")


def _curve(part: str, words: str, measured: Quantity) -> Metric:
    name, words, share = f"{part}_{measured.name}", f"{words} {measured.words}", measured.scale == "share"
    return Metric(name, words, measured.unit, measured.better, "evaluations", share=share)


def _error(part: str, words: str) -> Metric:
    accuracy = f"{part}_accuracy"
    return Metric(
        f"{part}_error", f"{words} error", "", "lower", "evaluations", source=accuracy, one_minus=True, share=True
    )


_SHIFT = "distance between the validation losses in training mode and in inference mode"
_OVERHEAD = "share of the time per update that does not depend on the batch"
_ALL = (
    _loss("selected_validation_loss", "best validation loss"),
    _accuracy("selected_validation_accuracy", "validation accuracy at the selected epoch"),
    _loss("selected_train_loss", "training loss at the selected epoch"),
    _accuracy("selected_train_accuracy", "training accuracy at the selected epoch"),
    _loss("selected_test_loss", "test loss at the selected epoch"),
    _accuracy("selected_test_accuracy", "test accuracy at the selected epoch"),
    _loss("last_validation_loss", "last validation loss"),
    _accuracy("last_validation_accuracy", "last validation accuracy"),
    _loss("last_train_loss", "last training loss"),
    _accuracy("last_train_accuracy", "last training accuracy"),
    _loss("last_test_loss", "last test loss"),
    _accuracy("last_test_accuracy", "last test accuracy"),
    Metric("generalisation_gap", "training minus test accuracy", better="lower"),
    Metric("epochs", "number of epochs", "epochs", "lower"),
    Metric("selected_epoch", "epoch with the lowest validation loss", "epochs", "lower"),
    Metric("updates", "number of updates", "updates", "lower"),
    Metric("examples", "number of examples trained on", "examples", "lower"),
    Metric("step_loss_noise", "noise of the step loss", "nat"),
    Metric("gpu_energy_joules", "energy of the GPU", "J", "lower"),
    Metric("cpu_package_energy_joules", "energy of the CPU packages", "J", "lower"),
    Metric("host_memory_peak_bytes", "peak memory of a run on the host", "B", "lower"),
    Metric("cpu_percent_mean", "CPU time of the process", "%"),
    Metric("updates_per_epoch", "number of updates per epoch", "updates"),
    Metric("seconds_per_update", "time per update", "s", "lower", "windows", "windows"),
    Metric("seconds_per_epoch", "time per epoch", "s", "lower", "windows", "windows"),
    Metric("examples_per_second", "number of examples per second", "1/s", "higher", "windows", "windows"),
    Metric("memory_bytes", "peak memory", "B", "lower", "summary", "sizes"),
    Metric("utilisation_percent", "utilisation", "%", "higher", "summary", "sizes"),
    _to_target("updates", "number of updates", "updates"),
    _to_target("examples", "number of examples", "examples"),
    _to_target("seconds", "time", "s"),
    _to_target("joules", "energy", "J"),
    Metric("best_learning_rate", "best learning rate", table="trials", of="tuning seeds"),
    Metric("critical_batch_size", "critical batch size", "examples", table="critical_batch_size", of="targets"),
    # Probes, at one moment of the run, which the verdict names.
    _gradient("gradient_bias", "relative bias"),
    _gradient("gradient_variance", "variance", finite=1.0),
    _gradient("gradient_signal_to_noise", "signal-to-noise ratio", finite=-0.5),
    _sharpness("lambda_max", "largest eigenvalue of the Hessian"),
    _sharpness("keskar_0_001", "sharpness φ of Keskar et al. at ε = 0.001", "%"),
    _sharpness("adaptive_sharpness", "sharpness in a box proportional to the weights", "%"),
    _sharpness("matched_generalisation_gap", "training minus test accuracy where the sharpness was measured"),
    Metric("training_mode_shift", _SHIFT, "nat", table="modes", probe="modes"),
    Metric("overhead_share", _OVERHEAD, table="overheads", of="windows", probe="overheads"),
)
OWN: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""The metrics, by name, that runs of this workflow may have."""
ELSEWHERE: dict[str, Metric] = {metric.name: metric for metric in _others()}
"""The results, by name, that only runs made elsewhere have: columns of their `runs` where the study names them."""
METRICS: dict[str, Metric] = OWN | ELSEWHERE
"""The metrics of claims, by name."""
RESULTS: tuple[str, ...] = (
    *(
        f"{weights}_{part}_{metric}"
        for weights in ("selected", "last")
        for part in ("train", "validation", "test")
        for metric in ("loss", "accuracy")
    ),
    *ELSEWHERE,
)
"""The metrics that are results of a run."""


def quantity(result: str) -> Quantity:
    """What one of the `RESULTS` or `CURVES` measures.

    >>> quantity("selected_validation_f1").words, quantity("validation_wer").words
    ('F1', 'WER')
    """
    return _BY_NAME[result.removeprefix("selected_").removeprefix("last_").partition("_")[2]]


def _qualities() -> Iterator[str]:
    others = [each.name for each in QUANTITIES[2:]]
    for part, measured in (
        ("validation", ["loss", "accuracy", *others]),
        ("test", ["accuracy", *others, "loss"]),
        ("train", ["loss", "accuracy"]),
    ):
        for weights in ("selected", "last"):
            yield from (f"{weights}_{part}_{name}" for name in measured)


_BY_NAME = {each.name: each for each in QUANTITIES}
QUALITY: tuple[str, ...] = tuple(_qualities())
"""By what sizes are compared and the best learning rate is chosen: the first of which a workload has a value.

Results of the validation part come first, those of the selected evaluation before the last ones. Runs of this workflow
have the first; runs made elsewhere may lack most.
"""

CRITICAL = METRICS["critical_batch_size"]
NOISE_SCALE = Metric("noise_scale", "gradient noise scale", "examples", table="noise_scale", probe="gradients")
PUBLISHED: dict[str, Metric] = {
    metric.name: metric
    for metric in (*(each for each in _ALL if each.table in ("runs", "sharpness")), NOISE_SCALE, CRITICAL)
}
"""The metrics that a published number, which a study prints beside its own, may be about."""

CURVES: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(_curve("train", "training", each) for each in QUANTITIES[:2]),
        *(_curve("validation", "validation", each) for each in QUANTITIES),
    )
}
"""What runs may have at every evaluation, by column; of the validation part in the order of `QUALITY`."""
OWN_CURVES: tuple[str, ...] = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
"""Those that every run of this workflow has."""
OTHER_CURVES: tuple[str, ...] = tuple(name for name in CURVES if name not in OWN_CURVES)
"""Those that only runs made elsewhere have: columns of `evaluations` where something of them was recorded."""

TARGETS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(CURVES["validation_loss"], _error("validation", "validation")),
        *(CURVES[name] for name in OTHER_CURVES if name != "validation_error"),
        *(CURVES["train_loss"], _error("train", "training")),
    )
}
"""The metrics of targets, by name: those of evaluations, with errors for accuracies.

Runs made elsewhere get targets of the first of them that was recorded.
"""
OWN_TARGETS: tuple[str, ...] = ("validation_loss", "validation_error", "train_loss", "train_error")
"""Those that runs of this workflow may have to reach."""
