"""What the name of a column says, whoever wrote it: `val/acc`, `valAccuracy` and `metrics.val_acc` say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PARTS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_METRICS = {
    **dict.fromkeys(("loss", "nll", "xent", "crossentropy"), "loss"),
    **dict.fromkeys(("acc", "accuracy", "top1", "acc1"), "accuracy"),
}
_LENGTHS = {
    **dict.fromkeys(("epoch", "epochs"), "epochs"),
    **dict.fromkeys(("update", "updates", "step", "steps", "iteration", "iterations", "iters"), "updates"),
    **dict.fromkeys(("example", "examples", "sample", "samples", "images", "sequences"), "examples"),
}
_BEST = {"best", "max", "min", "selected"}
_LAST = {"last", "final", "end"}
_FILLING = {
    "epoch",
    "mean",
    "avg",
    "average",
    "categorical",
    "sparse",
    "binary",
    "multiclass",
    "cross",
    "entropy",
    "value",
}
# What is measured, and what says how far a run came or what it cost: no setting, however often a value comes again.
_MEASURED = {
    *_METRICS,
    *("error", "err", "f1", "auc", "auroc", "ap", "map", "recall", "perplexity", "ppl", "wer", "cer", "bleu", "rouge"),
    *("mse", "rmse", "mae", "r2", "iou", "dice", "score", "psnr", "ssim", "fid", "reward", "return", "objective"),
    *("time", "times", "runtime", "duration", "seconds", "sec", "ms", "timestamp", "eta", "throughput", "flops"),
    *("memory", "mem", "watts", "power", "energy", "utilization", "temperature", "grad", "gradient", "gradients"),
    *("epoch", "step", "steps", "iteration", "iterations", "iter", "iters", "updates", "seen", "parameters", "params"),
    *("stopped", "converged", "diverged", "success", "failed", "best", "rank", "index"),
    *("artifact", "checkpoint", "hash", "commit", "host", "hostname", "pid", "path", "dir", "file", "url", "name_id"),
}
_PLANNED = {"max", "num", "n", "total", "warmup", "decay", "every", "interval", "per"}
_OTHER_BATCHES = {"eval", "val", "valid", "validation", "test", "dev", "inference", "predict", "finding", "reference"}
_OF_UPDATE = {"total", "global", "effective", "overall"}
_OF_DEVICE = {"device", "gpu", "gpus", "micro", "local", "replica", "worker", "core", "rank", "node"}
_SIZES = ("batch_size", "batchsize", "batch", "bs", "minibatch", "mini_batch", "minibatch_size", "mini_batch_size")
_RATES = {
    "lr0",
    *(f"{kind}lr" for kind in ("", "base_", "peak_", "max_", "init_", "initial_")),
    *(f"{kind}learning_rate" for kind in ("", "base_", "peak_", "max_", "init_", "initial_")),
}


@dataclass(frozen=True)
class Result:
    """What a column of results holds: of which `part` ("" where its name does not say), and of which weights."""

    part: str
    metric: str
    weights: str  # best, last or "" where the name does not say


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case.

    >>> words("trainer/valAccuracy_top1")
    ('trainer', 'val', 'accuracy', 'top1')
    """
    found: list[str] = []
    end = -1
    for match in _WORD.finditer(name):
        if match[0].isdigit() and match.start() == end and found:
            found[-1] += match[0]  # top1, f1, r2
        else:
            found.append(match[0].lower())
        end = match.end()
    return tuple(found)


def joined(name: str) -> str:
    """The words of a name as one, `batch_size`."""
    return "_".join(words(name))


def result(name: str) -> Result | None:
    """The loss or accuracy that a column of this name holds; None where it says something else, or more.

    >>> result("best/val_acc")
    Result(part='validation', metric='accuracy', weights='best')
    >>> result("val_loss_step") is None
    True
    """
    said = words(name)
    metrics = {_METRICS[word] for word in said if word in _METRICS}
    metrics |= {"loss"} if "entropy" in said else set()
    parts = {_PARTS[word] for word in said if word in _PARTS}
    known = {*_METRICS, *_PARTS, *_BEST, *_LAST, *_FILLING}
    if len(metrics) != 1 or len(parts) > 1 or not known.issuperset(said):
        return None
    weights = "best" if _BEST & set(said) else "last" if _LAST & set(said) else ""
    return Result(next(iter(parts), ""), metrics.pop(), weights)


def is_measured(name: str) -> bool:
    """Whether a column of this name holds what a run measured, used or left behind, and not what it was set to."""
    said = set(words(name))
    return bool(said & _MEASURED or result(name)) and not said & _PLANNED


def batch_size(name: str) -> str:
    """Whose batch size a column of this name holds: an `update`'s, a `device`'s, `plain` or "" where it is none."""
    said = words(name)
    if _OTHER_BATCHES & set(said) or not {"batch", "bs", "batchsize", "minibatch", "B"} & {*said, name}:
        return ""
    aside = _OF_UPDATE | _OF_DEVICE | {"train", "training", "per"}
    if name != "B" and not {_plainly(said, aside), _plainly(words(_last(name)), aside)} & set(_SIZES):
        return ""
    return "update" if _OF_UPDATE & set(said) else "device" if _OF_DEVICE & set(said) else "plain"


def is_factor(name: str) -> bool:
    """Whether a column of this name says how many batches of a device make one update."""
    said = set(words(name))
    accumulation = {"accumulation", "accumulate", "accum", "accumulated"} & said
    counted = {"gpus", "devices", "ngpu", "ngpus", "nodes", "replicas"} & said and said <= {
        *("n", "num", "gpus", "devices", "ngpu", "ngpus", "nodes", "replicas", "number", "of")
    }
    return bool(accumulation or counted or joined(name) in ("world_size", "gradient_accumulation"))


def is_learning_rate(name: str) -> bool:
    """Whether a column of this name holds the rate that a run was given."""
    said = words(name)
    aside = {"optimizer", "optim", "opt", "solver", "train"}
    known = _plainly(said, aside) in _RATES or _plainly(words(_last(name)), aside) in _RATES
    return known and not {"scheduler", "schedule"} & set(said)


def length(name: str) -> str:
    """Whether a column holds the `epochs`, `updates` or `examples` that a run took to a target; "" where it does not.

    >>> length("epochs_to_converge"), length("target_epoch"), length("warmup_to_peak")
    ('epochs', 'epochs', '')
    """
    said = words(name)
    before = said[: said.index("to")] if "to" in said else said[1:] if said[:1] == ("target",) else ()
    return next((_LENGTHS[word] for word in before[-1:] if word in _LENGTHS), "")


def one_of(*names: str) -> Callable[[str], bool]:
    """Whether a column has one of these names, whatever joins its words; `data.name` is `data_name`."""
    return lambda name: joined(name) in names


def _last(name: str) -> str:
    """The name below others, as of `optimizer.lr` in a nested configuration."""
    return re.split(r"[./]", name)[-1]


def _plainly(said: tuple[str, ...], aside: set[str]) -> str:
    return "_".join(word for word in said if word not in aside)
