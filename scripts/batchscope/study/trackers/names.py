"""What the name of a column says, whoever wrote it: `val/acc`, `valAccuracy` and `metrics.val_acc` say the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from batchscope.tables.metrics import QUANTITIES

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PARTS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_QUANTITIES = {frozenset(name.split()): each for each in QUANTITIES for name in each.called}
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
    "value",
    "macro",
    "micro",
    "weighted",
    "score",
}
_PRECISION = ("precision",)  # of numbers: 16 or 32 bits, where no part of the data is named
# What is measured: no setting, however often a value comes again.
_RESULTS = {word for name in _QUANTITIES if len(name) == 1 for word in name} - {*_PRECISION, "entropy"}
_RESULTS |= {"score", "reward", "return", "objective"}
# What says how far a run came, what it cost or what it left behind.
_COSTS = {
    *("time", "times", "runtime", "duration", "seconds", "sec", "ms", "timestamp", "eta", "throughput", "flops"),
    *("memory", "mem", "watts", "power", "energy", "utilization", "temperature", "grad", "gradient", "gradients"),
    *("epoch", "step", "steps", "iteration", "iterations", "iter", "iters", "updates", "seen", "parameters", "params"),
    *("stopped", "converged", "diverged", "success", "failed", "best", "rank", "index"),
    *("artifact", "checkpoint", "hash", "commit", "host", "hostname", "pid", "path", "dir", "file", "url", "name_id"),
}
_RUNTIMES = {"runtime", "duration", "elapsed", "walltime", "time"}
_OF_RUNTIMES = {
    *("total", "train", "training", "run", "wall", "clock", "relative", "process"),
    *("s", "sec", "secs", "seconds", "min", "minutes", "h", "hours"),
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
    """The loss, accuracy or other result that a column of this name holds; None where it says something else, or more.

    >>> result("best/val_acc")
    Result(part='validation', metric='accuracy', weights='best')
    >>> result("eval_macro_f1").metric, result("test/roc_auc").metric
    ('f1', 'auc')
    >>> result("val_loss_step") is None
    True
    """
    said = set(words(name))
    fitting = [each for each in _QUANTITIES if each <= said]
    longest = [each for each in fitting if not any(each < other for other in fitting)]  # `pr auc` is no `auc`
    measured = {_QUANTITIES[each] for each in longest}
    parts = {_PARTS[word] for word in said if word in _PARTS}
    known = {*_PARTS, *_BEST, *_LAST, *_FILLING}.union(*longest)
    if len(measured) != 1 or len(parts) > 1 or not said <= known or words(name) == _PRECISION:
        return None
    found = measured.pop()
    if ("max" if found.better == "lower" else "min") in said:
        return None  # the worst
    weights = "best" if _BEST & said else "last" if _LAST & said else ""
    return Result(next(iter(parts), ""), found.name, weights)


def is_measured(name: str) -> bool:
    """Whether a column of this name holds what a run measured, used or left behind, and not what it was set to."""
    said = set(words(name))
    return (bool(said & _RESULTS or result(name)) and not said & _PLANNED) or is_cost(name)


def is_cost(name: str) -> bool:
    """Whether it says how far a run came, what it took or what it left behind, and not how good it was."""
    said = set(words(name))
    return bool(said & _COSTS) and not said & _PLANNED


def is_runtime(name: str) -> bool:
    """Whether a column of this name holds how long a whole run took.

    >>> is_runtime("Runtime"), is_runtime("train_runtime_s"), is_runtime("start_time"), is_runtime("epoch_time")
    (True, True, False, False)
    """
    said = set(words(name))
    return bool(said & _RUNTIMES) and said <= _RUNTIMES | _OF_RUNTIMES


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
