"""Claims: statements about batch size with the tests that decide them, read from claims.yaml and from a study.

Nothing here imports pandas, so that a dry run is instant. `verdicts` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from batchscope.config.validation import ConfigError, Key, Locate, check, choice, fill, locate_in, read_yaml, shown
from batchscope.probes.registry import STUDY_FIGURES

Sampled = Literal["seeds", "tuning seeds", "windows", "sizes", "targets"]


@dataclass(frozen=True)
class Metric:
    """What a claim can be about.

    Attributes:
        words: what it is called in a sentence.
        unit: its unit, "" where it has none.
        table: the study table it is read from; a claim on a table that the study does not have is not measured.
        of: what its values at one batch size are repeated over; `sizes`: there is one value per size.
        probe: the measurement on frozen weights that brings the table; empty for what every study measures.
    """

    words: str
    unit: str
    table: str
    of: Sampled = "seeds"
    probe: str = ""


def _run(words: str, unit: str = "") -> Metric:
    return Metric(words, unit, "runs")


METRICS: dict[str, Metric] = {
    "selected_validation_loss": _run("best validation loss", "nat"),
    "selected_validation_accuracy": _run("validation accuracy at the selected epoch"),
    "selected_train_loss": _run("training loss at the selected epoch", "nat"),
    "selected_train_accuracy": _run("training accuracy at the selected epoch"),
    "selected_test_loss": _run("test loss at the selected epoch", "nat"),
    "selected_test_accuracy": _run("test accuracy at the selected epoch"),
    "last_validation_loss": _run("last validation loss", "nat"),
    "last_train_loss": _run("last training loss", "nat"),
    "last_train_accuracy": _run("last training accuracy"),
    "last_test_loss": _run("last test loss", "nat"),
    "last_test_accuracy": _run("last test accuracy"),
    "generalisation_gap": _run("training minus test accuracy"),
    "epochs": _run("number of epochs", "epochs"),
    "selected_epoch": _run("epoch with the lowest validation loss", "epochs"),
    "updates": _run("number of updates", "updates"),
    "examples": _run("number of examples trained on", "examples"),
    "step_loss_noise": _run("noise of the step loss", "nat"),
    "gpu_energy_joules": _run("energy of the GPU", "J"),
    "cpu_package_energy_joules": _run("energy of the CPU packages", "J"),
    "host_memory_peak_bytes": _run("peak memory on the host", "B"),
    "cpu_percent_mean": _run("CPU time of the process", "%"),
    "updates_per_epoch": _run("number of updates per epoch", "updates"),
    "seconds_per_update": Metric("time per update", "s", "windows", "windows"),
    "seconds_per_epoch": Metric("time per epoch", "s", "windows", "windows"),
    "examples_per_second": Metric("number of examples per second", "1/s", "windows", "windows"),
    "memory_bytes": Metric("peak memory", "B", "summary", "sizes"),
    "utilisation_percent": Metric("utilisation", "%", "summary", "sizes"),
    "updates_to_target": Metric("number of updates to the target", "updates", "to_target"),
    "examples_to_target": Metric("number of examples to the target", "examples", "to_target"),
    "seconds_to_target": Metric("time to the target", "s", "to_target"),
    "joules_to_target": Metric("energy to the target", "J", "to_target"),
    "best_learning_rate": Metric("best learning rate", "", "trials", "tuning seeds"),
    "critical_batch_size": Metric("critical batch size", "examples", "critical_batch_size", "targets"),
    # Probes, at one moment of the run, which the verdict names.
    "gradient_bias": Metric("relative bias of the gradient", "", "gradients", probe="gradients"),
    "gradient_variance": Metric("variance of the gradient", "", "gradients", probe="gradients"),
    "gradient_signal_to_noise": Metric("signal-to-noise ratio of the gradient", "", "gradients", probe="gradients"),
    "lambda_max": Metric("largest eigenvalue of the Hessian", "", "sharpness", probe="sharpness"),
    "keskar_0_001": Metric("sharpness φ of Keskar et al. at ε = 0.001", "%", "sharpness", probe="sharpness"),
    "adaptive_sharpness": Metric("sharpness in a box proportional to the weights", "%", "sharpness", probe="sharpness"),
    "matched_generalisation_gap": Metric(
        "training minus test accuracy where the sharpness was measured", "", "sharpness", probe="sharpness"
    ),
    "training_mode_shift": Metric(
        "distance between the validation losses in training mode and in inference mode",
        "nat",
        "modes",
        probe="modes",
    ),
    "overhead_share": Metric(
        "share of the time per update that does not depend on the batch", "", "overheads", "windows", "overheads"
    ),
}

# Values of the keys in which the recipes of a test of the kind `arms` may differ.
_ARMS: dict[str, tuple[str | bool, ...]] = {
    "model": ("mlp", "cnn", "function"),
    "optimiser": ("sgd", "adam", "adamw"),
    "learning_rate": ("fixed", "linear", "sqrt", "adam-sde", "tuned"),
    "shuffle": (True, False),
    "last_batch": ("keep", "drop"),
    "normalisation": ("none", "batch", "layer", "group"),
    "budget": ("epochs", "updates"),
    "early_stopping": (True, False),
    "accumulation": (True, False),
}
_OWN_METRIC = {"count": "updates_per_epoch", "critical": "critical_batch_size"}
_NO_MARGIN = ("count", "ratio", "value")
# Kinds of test that one size cannot settle, and the key with their sizes.
_SEVERAL = {
    "lowest": "among",
    "highest": "among",
    "falls": "batch_sizes",
    "rises": "batch_sizes",
    "slope": "batch_sizes",
    "similar": "batch_sizes",
}
_WITHIN = ("similar", "slope", "critical", "not_lower")  # what is near to something needs room: a margin above zero


def load(registry_path: Path, inline: Mapping[str, Any], study_path: Path) -> dict[str, dict[str, Any]]:
    """The claims of the registry and those that a study defines under `claims`, by name, in their order.

    A claim is a plain dict: name, statement, source, scope (data set and recipe: key -> list of values), metric, test
    (kind and its keys), margin (float or None), family, figure (or None), every default filled in.

    Raises:
        ConfigError: one sentence on what the user must change, and in which file.
    """
    registry = _read("claims", read_yaml(registry_path), locate_in(shown(registry_path)))
    own = _read("claims", inline, locate_in(shown(study_path), ["claims"]))
    for name in own:
        if name in registry:
            raise ConfigError(
                f"{shown(study_path)}: claims.{name}: {shown(registry_path)} has this name already; "
                "valid is another name"
            )
    return registry | own


def is_near(claim: Mapping[str, Any]) -> bool:
    """Whether a claim says that something is near to something else, so that its margin must leave room."""
    return claim["test"]["kind"] in _WITHIN or claim["test"].get("relation") == "similar"


def uses_factor(claim: Mapping[str, Any]) -> bool:
    """Whether the margin of a claim is a factor and not a difference."""
    return claim["test"]["kind"] in ("more_spread", "critical") or claim["test"].get("scale") == "factor"


def _read(schema: str, content: Mapping[str, Any], locate: Locate) -> dict[str, dict[str, Any]]:
    check(dict(content), schema, locate)
    found = {}
    for name, written in content.items():
        claim: dict[str, Any] = {"name": name, **fill(written, schema, "definition")}
        for part in claim["scope"].values():
            for key, value in part.items():
                part[key] = value if isinstance(value, list) else [value]
        _check(claim, _below(locate, name))
        found[name] = claim
    return found


def _below(locate: Locate, name: str) -> Locate:
    return lambda keys: locate([name, *keys])


def _check(claim: Mapping[str, Any], locate: Locate) -> None:
    """What a schema cannot say."""
    for rule in (_check_metric, _check_sampling, _check_margin, _check_sizes, _check_value, _check_arms):
        rule(claim, locate)
    figure = claim["figure"]
    if figure is not None and figure not in STUDY_FIGURES:
        raise ConfigError(
            f"{locate(['figure'])}: there is no figure `{figure}`{choice(figure, [*STUDY_FIGURES, 'null'])}"
        )


def _check_metric(claim: Mapping[str, Any], locate: Locate) -> None:
    kind, along = claim["test"]["kind"], claim["test"].get("along")
    _known(claim["metric"], locate(["metric"]))
    if along is not None:
        _known(along, locate(["test", "along"]))
        if METRICS[along].of != "seeds" or METRICS[claim["metric"]].of != "seeds":
            raise ConfigError(
                f"{locate(['test', 'along'])}: {claim['metric']} and {along} are not both measured for every run; "
                "valid are two metrics of runs"
            )
        if along == claim["metric"]:
            raise ConfigError(f"{locate(['test', 'along'])}: it is the metric itself; valid is another metric, or null")
    own = _OWN_METRIC.get(kind)
    if own is not None and claim["metric"] != own:
        raise ConfigError(f"{locate(['metric'])}: a test of the kind {kind} is about {own}; valid is {own}")


def _known(metric: str, place: str) -> None:
    if metric not in METRICS:
        raise ConfigError(f"{place}: there is no metric `{metric}`{choice(metric, METRICS)}")


def _check_sampling(claim: Mapping[str, Any], locate: Locate) -> None:
    """Whether what the metric is repeated over is enough for the kind of test."""
    kind, of, place = claim["test"]["kind"], METRICS[claim["metric"]].of, locate(["test", "kind"])
    if of == "sizes" and kind not in ("falls", "rises"):
        raise ConfigError(
            f"{place}: {claim['metric']} has one value per batch size, with which {kind} cannot be tested; "
            "valid is falls or rises"
        )
    if of == "targets" and kind != "critical":
        raise ConfigError(
            f"{place}: {claim['metric']} has no value per batch size, which {kind} needs; valid is critical"
        )
    if kind in ("more_spread", "arms") and of == "windows":
        raise ConfigError(
            f"{place}: {claim['metric']} is timed once per batch size, not once per seed, which {kind} needs; "
            "valid is another kind"
        )


def _check_margin(claim: Mapping[str, Any], locate: Locate) -> None:
    kind, margin, place = claim["test"]["kind"], claim["margin"], locate(["margin"])
    if kind in _NO_MARGIN:
        if margin is not None:
            raise ConfigError(f"{place}: a test of the kind {kind} names itself what counts; valid is null")
        return
    lowest = 1 if uses_factor(claim) else 0
    within = is_near(claim)
    valid = f"a {'factor' if lowest else 'number'} {'above' if within else 'of at least'} {lowest}"
    if margin is None:
        raise ConfigError(f"{place}: a test of the kind {kind} needs the smallest effect that counts; valid is {valid}")
    if margin < lowest or (within and margin == lowest):
        raise ConfigError(f"{place}: {margin:g} is not valid; valid is {valid}")


def _check_sizes(claim: Mapping[str, Any], locate: Locate) -> None:
    """Sizes are compared with others, and none with itself."""
    test = claim["test"]
    several = _SEVERAL.get(test["kind"])
    if several and len(test[several]) < 2:
        raise ConfigError(
            f"{locate(['test', several])}: {test['kind']} needs more than one size; valid are two or more, or all"
        )
    if test["kind"] in ("lowest", "highest") and test["among"] != "all" and test["batch_size"] not in test["among"]:
        raise ConfigError(
            f"{locate(['test', 'among'])}: {test['batch_size']} is not among them; valid is a list of sizes with it"
        )
    if "than" in test:
        chosen = test.get("batch_sizes", [test.get("batch_size")])
        for index, size in enumerate(test["than"]):
            if size in chosen:
                _refuse_twin(size, ["test", "than", index], locate)
    for index, (first, second) in enumerate(test.get("pairs", ())):
        if first == second:
            _refuse_twin(first, ["test", "pairs", index], locate)


def beyond_share(metric: str, value: float) -> str:
    """Why a number cannot be that of a metric which is a share; empty where it can."""
    if not metric.endswith("_accuracy") or 0 <= value <= 1:
        return ""
    return f"{value:g} is no accuracy; valid is a share from 0 to 1"


def _refuse_twin(size: int | str, keys: Sequence[Key], locate: Locate) -> None:
    raise ConfigError(f"{locate(keys)}: {size} is compared with itself; valid is another batch size")


def _check_value(claim: Mapping[str, Any], locate: Locate) -> None:
    test = claim["test"]
    if test["kind"] != "value":
        return
    given = [key for key in ("at_least", "at_most", "between") if key in test]
    if len(given) != 1:
        count = f"{len(given)} are" if given else "none is"
        raise ConfigError(
            f"{locate(['test'])}: of at_least, at_most and between {count} given; valid is one of the three"
        )
    for key in given:
        for value in test[key] if key == "between" else [test[key]]:
            if beyond := beyond_share(claim["metric"], value):
                raise ConfigError(f"{locate(['test', key])}: {beyond}")
    if "between" in test and test["between"][0] >= test["between"][1]:
        low, high = test["between"]
        raise ConfigError(
            f"{locate(['test', 'between'])}: {low:g} is not below {high:g}; valid are a lower and an upper end"
        )


def _check_arms(claim: Mapping[str, Any], locate: Locate) -> None:
    test = claim["test"]
    if test["kind"] != "arms":
        return
    key, valid = test["key"], _ARMS[test["key"]]
    if not isinstance(test["second"], list):
        test["second"] = [test["second"]]
    if key in claim["scope"]["recipe"]:
        raise ConfigError(
            f"{locate(['scope', 'recipe', key])}: the compared recipes differ in {key}; valid is to leave it out"
        )
    for side, values in (("first", [test["first"]]), ("second", test["second"])):
        for value in values:
            if not any(value is each or (isinstance(value, str) and value == each) for each in valid):
                raise ConfigError(
                    f"{locate(['test', side])}: {_written(value)} is no value of {key}"
                    f"{choice(value, [str(each).lower() for each in valid])}"
                )
    if test["first"] in test["second"]:
        raise ConfigError(
            f"{locate(['test', 'second'])}: {_written(test['first'])} is compared with itself; valid is another value"
        )


def _written(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
