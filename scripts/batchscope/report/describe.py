"""The design of a study in words, from its resolved data sets and recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batchscope import text as numbers
from batchscope.analysis.times import SPREAD
from batchscope.data.sources.registry import SOURCES
from batchscope.report.content import Definition, Described
from batchscope.stats import ALPHA, LEVEL
from batchscope.stats.times import LEAST_DIFFERENCE
from batchscope.training.optimizer_signatures import SIGNATURES

_SCALES = {
    "none": "used as they are",
    "unit": "scaled to the range 0 to 1",
    "standardise": "standardised with the mean and standard deviation of the training part",
}
_RULES = {
    "linear": "in proportion to the batch size",
    "sqrt": "with the square root of the batch size",
    "adam-sde": "with its square root, the betas and epsilon too, by the rule for Adam of Malladi et al. 2022",
}


def dataset(resolved: Definition, sizes: tuple[int, int, int]) -> str:
    """One paragraph on a data set; `sizes` are the examples for training, validation and test."""
    train, validation, test = (numbers.integer(size) for size in sizes)
    parts = [
        f"{_source(resolved)}.",
        f"{train} examples to train on, {validation} to validate on and {test} to test on.",
        f"Features are {_SCALES[resolved['scale']]}.",
    ]
    if resolved["draw"] == "per-seed":
        parts.append("Each run seed draws its own data, so the spread between seeds includes the draw of the data.")
    else:
        parts.append("All runs share one split, so the spread between seeds leaves out the choice of the data.")
    return " ".join(parts)


def recipe(resolved: Definition) -> str:
    """One paragraph on a recipe: model, optimizer, learning-rate rule, order, last batch and budget."""
    sentences = [
        f"{_model(resolved['model'])}.",
        f"{_optimizer(resolved['optimizer'], resolved['learning_rate_scaling'], resolved['tuning'])}.",
        _budget(resolved["budget"]),
    ]
    sentences.append(
        "The examples are shuffled anew in every epoch." if resolved["shuffle"] else "The examples are not shuffled."
    )
    if resolved["last_batch"] == "keep":
        sentences.append("The last, smaller batch of an epoch is trained on too.")
    else:
        sentences.append("The last, smaller batch of an epoch is dropped.")
    if resolved["micro_batch_size"] is not None:
        sentences.append(
            f"Gradients are accumulated over micro batches of {resolved['micro_batch_size']} examples; the batch size "
            "is that of the update. Batch normalization and dropout work on the micro batches."
        )
    if resolved["model"].get("normalization") == "batch":
        sentences.append(
            "The statistics that batch normalization uses for evaluation follow those of the batches by 1 % per "
            "update, so with few updates, as at large batch sizes, they lag behind and make the evaluation worse."
        )
    sentences.append(f"Evaluations use {numbers.integer(resolved['evaluation_batch_size'])} examples at a time.")
    return " ".join(sentences)


def short(resolved: Definition) -> str:
    """A recipe in a line: model, optimizer with its learning rate, and budget."""
    model, optimizer, tuning = resolved["model"], resolved["optimizer"], resolved["tuning"]
    if "function" in model:
        network = str(model["function"])
    elif model["name"] == "mlp":
        network = f"MLP, hidden {'-'.join(map(str, model['hidden']))}" if model["hidden"] else "linear model"
    else:
        network = str(model["name"])
    scaling = resolved["learning_rate_scaling"]["rule"]
    rate = f"{optimizer['learning_rate']:g}"
    if tuning is not None:
        rate = "rate tuned at every size"
    elif scaling == "none":
        rate += " at every size"
    else:
        rate += f" at {resolved['learning_rate_scaling']['reference_batch_size']}, scaled ({scaling})"
    budget = resolved["budget"]
    most = "up to " if budget["early_stopping"] is not None else ""
    return f"{network} · {SIGNATURES[optimizer['name']].label}, {rate} · {most}{_length(budget)}"


def comparisons(cells: Sequence[Mapping[str, int | str]]) -> list[str]:
    """Which sizes are compared on which data set with which recipe: one sentence each."""
    sizes: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        sizes.setdefault((str(cell["dataset"]), str(cell["recipe"])), []).append(str(cell["batch_size"]))
    return [
        f"{pair[0]} with {pair[1]}: batch sizes {numbers.listing(found)}"
        f"{' (full is the whole training part: one update per epoch)' if 'full' in found else ''}."
        for pair, found in sizes.items()
    ]


def seeds(values: Sequence[int]) -> str:
    """How many seeds and what a seed decides."""
    if len(values) == 1:
        return f"One seed ({values[0]}), so nothing here says how much another seed would change the numbers."
    return (
        f"{numbers.count(len(values), 'seed')} ({numbers.listing([str(value) for value in values])}). A seed decides "
        "the initial weights, the order of the examples, the dropout and, where the data are drawn, the draw. Runs of "
        "one seed start from the same weights and meet the examples in the same order at every batch size, so batch "
        "sizes are compared in pairs of equal seed."
    )


def timing(study: Described) -> str:
    """How seconds, memory and utilisation were measured."""
    if not study["timing"]:
        return "This study has no timings, so nothing is said about speed; memory and utilisation come from the runs."
    settings = study["settings"]["timing"]
    length = f"of about {settings['window_seconds']:g} s, synchronised at both edges"
    if settings["windows"] is None:
        windows = (
            f"windows {length}, until the ends of the {LEVEL} interval of their median are at most "
            f"{100 * settings['precision']:g} % from it, or for {settings['max_seconds']:g} s and five windows at least"
        )
    else:
        windows = f"{numbers.count(settings['windows'], 'window')} {length}"
    return (
        "Seconds never come from the training runs, which may share the machine. For each batch size a separate job "
        f"that has the machine to itself trains for {settings['warmup_seconds']:g} s without counting and then times "
        f"{windows}. Given is the median over the windows of that one job: updates only, without compiling and "
        f"evaluation, and with the last, short batch of an epoch counted as a whole one; {SPREAD}. So times that "
        f"differ by less than {100 * LEAST_DIFFERENCE:.1f} % are not distinguishable with one timing each. They hold "
        "for the number of threads, the precision and the deterministic operations named under Training and in the "
        f"manifest; other settings can favour other sizes.{_borrowed(study['borrowed_timings'])}"
    )


def _borrowed(items: Sequence[Mapping[str, str]]) -> str:
    lenders: dict[str, list[str]] = {}
    for item in items:
        found = lenders.setdefault(item["timed_recipe"], [])
        found += [item["recipe"]] if item["recipe"] not in found else []
    return "".join(
        f" {numbers.listing(recipes)} {'takes' if len(recipes) == 1 else 'take'} the seconds of {timed}, from which "
        f"{'it differs' if len(recipes) == 1 else 'they differ'} only in budget or learning rate."
        for timed, recipes in lenders.items()
    )


def intervals() -> str:
    """What the intervals are and how sizes are compared."""
    return (
        f"Brackets and bands are {LEVEL} Student t-intervals of the mean over seeds. Sizes are compared on equal seeds "
        "by two-sided paired t-tests; because many pairs of sizes are looked at, the p-values of all pairs of all "
        f"data sets and recipes of the study are adjusted together (Holm), and two sizes are significantly different "
        f"where the adjusted p is at most {ALPHA}."
    )


def machine(study: Described, devices: Sequence[str], numerics: Sequence[Definition]) -> str:
    """What trained, on which devices (as the runs recorded them), on how many threads, and how it computed."""
    settings = study["settings"]
    loop = {"fused": "each epoch in one compiled call", "fit": "with the framework's own training loop"}[
        settings["loop"]
    ]
    where = numbers.listing([{"cpu": "the CPU", "gpu": "one GPU"}[device] for device in devices])
    threads = numbers.count(settings["threads"], "thread")
    how = ", ".join([*sorted({each["precision"] for each in numerics}), "deterministic operations"])
    return f"Trained with {settings['engine']} on {where}, {threads} per job, {loop}; {how}."


def _source(resolved: Definition) -> str:
    if resolved["source"] == "function":
        return f"What the function {resolved['function']}{_arguments(resolved['arguments'])} returns"
    return SOURCES[resolved["source"]].words(resolved)


def _model(model: Definition) -> str:
    if "function" in model:
        return f"The model that {model['function']}{_arguments(model['arguments'])} builds"
    if model["name"] == "mlp":
        layers = numbers.listing([str(units) for units in model["hidden"]])
        body = f"hidden layers of {layers} units" if len(model["hidden"]) > 1 else f"one hidden layer of {layers} units"
        text = f"A multilayer perceptron with {body if model['hidden'] else 'no hidden layer'}"
    else:
        filters = numbers.listing([str(count) for count in model["filters"]])
        size = model["kernel_size"]
        text = (
            f"A convolutional network with {filters} filters of {size}×{size}, each layer followed by pooling, and a "
            f"dense layer of {model['dense']} units"
        )
    parts = [text, f"{model['activation']} activation"]
    parts.append(f"dropout of {model['dropout']:g}" if model["dropout"] else "no dropout")
    if model["normalization"] != "none":
        parts.append(f"{model['normalization']} normalization")
    return ", ".join(parts)


def _optimizer(optimizer: Definition, scaling: Definition, tuning: Definition | None) -> str:
    silent = {"name", "learning_rate"} | (set() if optimizer.get("use_ema") else {"ema_momentum"})
    options = {name: option for name, option in optimizer.items() if name not in silent}
    extra = "".join(f", {name} {option}" for name, option in options.items() if option not in (None, False))
    rate = f"learning rate {optimizer['learning_rate']:g}{_rate_rule(scaling)}" if tuning is None else _tuned(tuning)
    return f"{SIGNATURES[optimizer['name']].label} with {rate}{extra}"


def _tuned(tuning: Definition) -> str:
    rates = numbers.listing([f"{rate:g}" for rate in tuning["learning_rates"]])
    times = {0: "", 1: ", refined once around the best"}.get(
        tuning["refine"], f", refined {tuning['refine']} times around the best"
    )
    return (
        f"a learning rate of its own for every batch size, chosen among {rates} and up to {tuning['widen']} more "
        f"beyond the edge{times}, by the lowest mean validation loss over {len(tuning['seeds'])} seeds that no run uses"
    )


def _rate_rule(scaling: Definition) -> str:
    warmup = scaling["warmup_epochs"]
    ramp = f" and rising from near zero over the first {numbers.count(warmup, 'epoch')}" if warmup else ""
    if scaling["rule"] == "none":
        return f" (the same at every batch size{ramp})"
    return f" at batch size {scaling['reference_batch_size']} (scaled {_RULES[scaling['rule']]}{ramp})"


def _budget(budget: Definition) -> str:
    length = _length(budget)
    stopping, n = budget["early_stopping"], budget["evaluations"]
    looks = "" if n is None else f" It is evaluated {n} times, {_spread(budget)} and at most once per update."
    if stopping is None:
        return f"Every run trains for {length}.{looks}"
    patience = numbers.count(stopping["patience"], "evaluation" if n else "epoch")
    kept = "the weights of the best evaluation are kept" if stopping["restore_best"] else "the last weights are kept"
    return f"Up to {length}; a run stops when the validation loss has not fallen for {patience}, and {kept}.{looks}"


def _length(budget: Definition) -> str:
    """How long a run trains, at most: `20 epochs`."""
    unit = "updates" if budget["epochs"] is None else "epochs"
    return numbers.count(budget[unit], unit.removesuffix("s"))


def _spread(budget: Definition) -> str:
    first = budget["first_evaluation_at"]
    if first is None:
        return "evenly spread over them"
    return f"evenly spread in the logarithm from {100 * first:g} % of them on"


def _arguments(arguments: Definition) -> str:
    return f"({', '.join(f'{name}={content!r}' for name, content in arguments.items())})"
