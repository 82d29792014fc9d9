"""What a user gets wrong is refused in one sentence: which file and key, what is wrong, what would be valid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscope import study

DATASETS = """
digits: {source: digits, split: {validation: 0.15, test: 0.2}}
blobs:
  source: blobs
  split: {train: 800, validation: 200, test: 200}
  classes: 3
  features: 2
  cluster_std: 2.0
  draw: per-seed
"""
RECIPES = """
adam-mlp: {model: {name: mlp}, optimiser: {name: adam}, budget: {epochs: 20}}
cnn: {model: {name: cnn}, optimiser: {name: adam}, budget: {epochs: 20}}
"""
GOOD = {
    "title": "A title",
    "question": "A question?",
    "comparisons": "[{datasets: [digits], recipes: [adam-mlp], batch_sizes: [8]}]",
    "seeds": "[1, 2]",
}
SIZES = "[{{datasets: [digits], recipes: [adam-mlp], batch_sizes: {}}}]"


def refusal(config: Mapping[str, Any], base: Path = Path()) -> str:
    """The sentence with which a configuration is refused."""
    with pytest.raises(study.ConfigError) as caught:
        study.load(config, base)
    return str(caught.value)


def assert_says(message: str, expected: str) -> None:
    """`...` at the end stands for the rest: names and keys that will grow in number."""
    if expected.endswith("..."):
        assert message[: len(expected) - 3] == expected[:-3]
    else:
        assert message == expected


def study_text(**changes: str | None) -> str:
    """A good study as YAML, with some keys changed, added or (None) left out."""
    return "".join(f"{key}: {value}\n" for key, value in {**GOOD, **changes}.items() if value is not None)


def dataset(text: str, **changes: str) -> dict[str, str]:
    """A study whose one comparison is about one data set of its own."""
    return {"datasets": f"{{mine: {text}}}", "comparisons": SIZES.format("[8]").replace("digits", "mine"), **changes}


def recipe(text: str, dataset: str = "digits", sizes: str = "[8]") -> dict[str, str]:
    """A study whose one comparison is about one recipe of its own."""
    comparisons = SIZES.format(sizes).replace("adam-mlp", "mine").replace("digits", dataset)
    return {"recipes": f"{{mine: {text}}}", "comparisons": comparisons}


def model(text: str) -> dict[str, str]:
    return recipe(f"{{model: {text}, optimiser: {{name: adam}}, budget: {{epochs: 3}}}}")


def optimiser(text: str) -> dict[str, str]:
    return recipe(f"{{model: {{name: mlp}}, optimiser: {text}, budget: {{epochs: 3}}}}")


def extended(text: str) -> dict[str, str]:
    return recipe(f"{{extends: adam-mlp, {text}}}")


CASES: dict[str, tuple[dict[str, Any], str]] = {}


def case(name: str, changes: Mapping[str, Any], expected: str) -> None:
    assert name not in CASES
    CASES[name] = (dict(changes), expected)


# The study itself.
case(
    "missing key",
    {"seeds": None},
    "seeds: the key is missing; valid is a list of different integers from 0 to 2147483647",
)
case(
    "unknown key",
    {"seed": "[1]"},
    "seed: unknown key (did you mean `seeds`?); valid is one of title, question, ...",
)
case(
    "unknown key of a comparison",
    {"comparisons": "[{dataset: [digits], recipes: [cnn], batch_sizes: [8]}]"},
    "comparisons[0].dataset: unknown key (did you mean `datasets`?); valid is one of datasets, recipes, batch_sizes",
)
case(
    "null title",
    {"title": ""},
    "title: null (an empty value) is not valid; valid is a text",
)
case(
    "no comparison",
    {"comparisons": "[]"},
    "comparisons: an empty list is not valid; valid is a list of at least one comparison",
)
case(
    "comparisons is a mapping",
    {"comparisons": "{datasets: [digits]}"},
    "comparisons: a mapping is not valid; valid is a list of at least one comparison",
)
case(
    "timing is yes",
    {"timing": "yes"},
    'timing: the text "yes" is not valid; valid is true or false',
)
case(
    "title is a number",
    {"title": "2024"},
    "title: 2024 is not valid; valid is a text (write it in quotes)",
)
case(
    "unknown data set",
    {"comparisons": "[{datasets: [digit], recipes: [adam-mlp], batch_sizes: [8]}]"},
    "comparisons[0].datasets[0]: `digit` is not defined (did you mean `digits`?); valid is one of digits, blobs",
)
case(
    "unknown recipe",
    {"comparisons": "[{datasets: [digits], recipes: [resnet], batch_sizes: [8]}]"},
    "comparisons[0].recipes[0]: `resnet` is not defined; valid is one of adam-mlp, cnn",
)
case(
    "one name in place of a list",
    {"comparisons": "[{datasets: digits, recipes: [cnn], batch_sizes: [8]}]"},
    'comparisons[0].datasets: the text "digits" is not valid; valid is a list of names',
)
case(
    "the same name twice",
    {"comparisons": "[{datasets: [digits, digits], recipes: [cnn], batch_sizes: [8]}]"},
    'comparisons[0].datasets: the text "digits" is listed twice; valid is a list of names',
)

# Batch sizes and seeds.
case(
    "batch size beyond N",
    {"comparisons": SIZES.format("[1, 8, 4096]")},
    "comparisons[0].batch_sizes[2]: 4096 is larger than the 1,168 training examples of digits; valid are 1 "
    "to 1168, or full",
)
case(
    "batch size 0",
    {"comparisons": SIZES.format("[0]")},
    "comparisons[0].batch_sizes[0]: 0 is not valid; valid is an integer from 1 to the number of training "
    "examples, or `full`",
)
case(
    "batch size is a fraction",
    {"comparisons": SIZES.format("[0.5]")},
    "comparisons[0].batch_sizes[0]: 0.5 is not valid; valid is an integer from 1 to the number of training "
    "examples, or `full`",
)
case(
    "batch size is true",
    {"comparisons": SIZES.format("[true]")},
    "comparisons[0].batch_sizes[0]: true is not valid; valid is an integer from 1 to the number of training "
    "examples, or `full`",
)
case(
    "batch size in quotes",
    {"comparisons": SIZES.format("['32']")},
    'comparisons[0].batch_sizes[0]: the text "32" is not valid; valid is an integer from 1 to the number of '
    "training examples, or `full` (it arrived as text; write 32 without quotes)",
)
case(
    "batch size with a leading zero",
    {"comparisons": SIZES.format("[032]")},
    'comparisons[0].batch_sizes[0]: the text "032" is not valid; valid is an integer from 1 to the number of '
    "training examples, or `full` (it arrived as text; write 32 without quotes)",
)
case(
    "batch size is another word",
    {"comparisons": SIZES.format("[all]")},
    'comparisons[0].batch_sizes[0]: the text "all" is not valid; valid is an integer from 1 to the number of '
    "training examples, or `full`",
)
case(
    "batch size is null",
    {"comparisons": SIZES.format("[8, null]")},
    "comparisons[0].batch_sizes[1]: null (an empty value) is not valid; valid is an integer from 1 to the "
    "number of training examples, or `full`",
)
case(
    "no batch size",
    {"comparisons": SIZES.format("[]")},
    "comparisons[0].batch_sizes: an empty list is not valid; valid is a list of integers from 1 to the "
    "number of training examples, or `full`",
)
case(
    "batch size twice",
    {"comparisons": SIZES.format("[8, 8]")},
    "comparisons[0].batch_sizes: 8 is listed twice; valid is a list of integers from 1 to the number of "
    "training examples, or `full`",
)
case(
    "full and N",
    {"comparisons": SIZES.format("[full, 1168]")},
    "comparisons[0].batch_sizes[1]: digits with adam-mlp at batch size 1168 repeats full, since digits has "
    "1168 training examples; valid is one of the two",
)
case(
    "N and full",
    {"comparisons": SIZES.format("[1168, full]")},
    "comparisons[0].batch_sizes[1]: digits with adam-mlp at batch size full repeats 1168, since digits has "
    "1168 training examples; valid is one of the two",
)
case(
    "a run in two comparisons",
    {"comparisons": SIZES.format("[8]")[:-1] + ", " + SIZES.format("[2, 8]")[1:]},
    "comparisons[1].batch_sizes[1]: digits with adam-mlp at batch size 8 is in comparisons[0] already; valid "
    "is to ask for it once",
)
case(
    "no seed",
    {"seeds": "[]"},
    "seeds: an empty list is not valid; valid is a list of different integers from 0 to 2147483647",
)
case(
    "seed twice",
    {"seeds": "[1, 2, 1]"},
    "seeds: 1 is listed twice; valid is a list of different integers from 0 to 2147483647",
)
case(
    "negative seed",
    {"seeds": "[-1]"},
    "seeds[0]: -1 is not valid; valid is an integer from 0 to 2147483647",
)
case(
    "seed too large",
    {"seeds": "[2147483648]"},
    "seeds[0]: 2147483648 is not valid; valid is an integer from 0 to 2147483647",
)
case(
    "seed is a float",
    {"seeds": "[1.0]"},
    "seeds[0]: 1.0 is not valid; valid is an integer from 0 to 2147483647",
)
case(
    "one seed in place of a list",
    {"seeds": "5"},
    "seeds: 5 is not valid; valid is a list of different integers from 0 to 2147483647",
)

# YAML.
case(
    "not YAML",
    {"seeds": "[1, 2"},
    ", line 5: expected ',' or ']', but got '<stream end>'",
)
case(
    "a key twice",
    {"comparisons": "[{datasets: [digits], recipes: [cnn], datasets: [mnist], batch_sizes: [8]}]"},
    ", line 3: the key `datasets` is given twice; valid is once",
)
case(
    "a key that is a number",
    {"1": "one"},
    ", line 5: the key `1` is not a text; write it in quotes",
)
case(
    "a Python object",
    {"title": "!!python/object:os.system {}"},
    ", line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'",
)

# Data sets.
case(
    "inline name of the registry",
    {"datasets": "{digits: {source: digits}}"},
    "datasets.digits: config/datasets.yaml has this name already; valid is another name",
)
case(
    "bad name",
    {"datasets": "{My digits: {source: digits}}"},
    'datasets: the text "My digits" is not valid; valid is lower-case letters, digits, - and _, starting '
    "with a letter or digit",
)
case(
    "unknown source",
    dataset("{source: minst}"),
    'datasets.mine.source: the text "minst" is not valid (did you mean `mnist`?); valid is one of digits, blobs, ...',
)
case(
    "no source",
    dataset("{scale: unit}"),
    "datasets.mine.source: the key is missing; valid is one of digits, blobs, ...",
)
case(
    "extend for extends",
    dataset("{extend: digits}"),
    "datasets.mine.extend: unknown key (did you mean `extends`?); valid is one of extends, source",
)
case(
    "key of another source",
    dataset("{source: digits, classes: 3}"),
    "datasets.mine.classes: the key does not belong here; valid is one of extends, source, split, scale, "
    "draw, split_seed",
)
case(
    "typo below extends",
    dataset("{extends: digits, scales: unit}"),
    "datasets.mine.scales: unknown key (did you mean `scale`?); valid is one of extends, source, split, "
    "scale, draw, split_seed",
)
case(
    "extends nothing",
    dataset("{extends: digit}"),
    "datasets.mine.extends: there is no data set `digit` (did you mean `digits`?); valid is one of digits, blobs, mine",
)
case(
    "extends itself",
    dataset("{extends: mine}"),
    "datasets.mine.extends: mine extends mine; valid is a data set outside this circle",
)
case(
    "extends in a circle",
    dataset("{extends: b}").copy() | {"datasets": "{mine: {extends: b}, b: {extends: mine}}"},
    "datasets.b.extends: mine extends b extends mine; valid is a data set outside this circle",
)
case(
    "extends another source",
    dataset("{extends: digits, source: mnist}"),
    "datasets.mine.source: the source comes from digits; valid is `extends` without `source`, or `source` "
    "without `extends`",
)
case(
    "per-seed draw of real data",
    dataset("{source: digits, draw: per-seed}"),
    'datasets.mine.draw: the text "per-seed" is not valid; valid is `fixed` (only blobs, random-labels and '
    "function can be drawn per seed)",
)
case(
    "split seed of a per-seed draw",
    dataset("{extends: blobs, split_seed: 3}"),
    "datasets.mine.split_seed: it does nothing where each run seed draws its own data and split; valid is "
    "draw: fixed, or no split_seed",
)
case(
    "missing count",
    dataset("{source: blobs, classes: 2, features: 2, cluster_std: 1, split: {train: 9, test: 9}}"),
    "datasets.mine.split.validation: the key is missing; valid is an integer of at least 1",
)
case(
    "fraction where counts are needed",
    dataset("{extends: blobs, split: {train: 0.5}}"),
    "datasets.mine.split.train: 0.5 is not valid; valid is an integer of at least 1",
)
case(
    "one class",
    dataset("{extends: blobs, classes: 1}"),
    "datasets.mine.classes: 1 is not valid; valid is an integer of at least 2",
)
case(
    "standard deviation 0",
    dataset("{extends: blobs, cluster_std: 0}"),
    "datasets.mine.cluster_std: 0 is not valid; valid is a number above 0",
)
case(
    "fractions fill everything",
    dataset("{source: digits, split: {validation: 0.5, test: 0.5}}"),
    "datasets.mine.split: the fractions 0.5 and 0.5 leave nothing to train on; valid are fractions with a sum below 1",
)
case(
    "fraction above 1",
    dataset("{source: digits, split: {validation: 1.5}}"),
    "datasets.mine.split.validation: 1.5 is not valid; valid is a number of examples (an integer of at least "
    "1) or a fraction between 0 and 1",
)
case(
    "counts fill everything",
    dataset("{source: digits, split: {validation: 1000, test: 797}}"),
    "datasets.mine.split: validation and test take 1797 of the 1797 examples and leave none to train on; "
    "valid are parts that leave some to train on",
)
case(
    "test part of mnist",
    dataset("{source: mnist, split: {test: 0.1}}"),
    "datasets.mine.split.test: the key does not belong here; valid is validation",
)
case(
    "unknown scale",
    dataset("{source: digits, scale: standardize}"),
    'datasets.mine.scale: the text "standardize" is not valid (did you mean `standardise`?); valid is one of '
    "none, unit, standardise",
)
case(
    "no such file",
    dataset("{source: npz, path: none.npz}"),
    "datasets.mine.path: there is no file none.npz; valid is the path of a file",
)
case(
    "wrong kind of file",
    dataset("{source: table, path: own.xlsx, target: a}"),
    'datasets.mine.path: the text "own.xlsx" is not valid; valid is the path of a .csv or .parquet file',
)
case(
    "x_test without y_test",
    dataset("{source: npz, path: own.npz, x_test: x}"),
    "datasets.mine.x_test: x_test is given without y_test; valid is both or neither",
)
case(
    "test split beside x_test",
    dataset("{source: npz, path: own.npz, x_test: x, y_test: y, split: {test: 0.1}}"),
    "datasets.mine.split.test: the test part is the array x that x_test names; valid is split.test without "
    "x_test, or x_test without split.test",
)
case(
    "no such array",
    dataset("{source: npz, path: own.npz, x: images}"),
    "datasets.mine.x: own.npz has no array `images`; it has: short, x, y",
)
case(
    "arrays of different length",
    dataset("{source: npz, path: own.npz, y: short}"),
    "datasets.mine.y: own.npz has 11 classes in short for the 12 examples in x; valid is one class per example",
)
case(
    "size of own data",
    dataset("{source: npz, path: own.npz, split: {validation: 5, test: 8}}"),
    "datasets.mine.split: validation and test take 13 of the 12 examples and leave none to train on; valid "
    "are parts that leave some to train on",
)
case(
    "no such column",
    dataset("{source: table, path: own.csv, target: speces}"),
    "datasets.mine.target: own.csv has no column `speces` (did you mean `species`?); valid is one of length, "
    "width, species",
)
case(
    "target among the features",
    dataset("{source: table, path: own.csv, target: species, features: [species]}"),
    "datasets.mine.features: the target species is among the features; valid are other columns",
)
case(
    "no such feature",
    dataset("{source: table, path: own.csv, target: species, features: [length, hight]}"),
    "datasets.mine.features[1]: own.csv has no column `hight`; valid is one of length, width, species",
)
case(
    "function without a name",
    dataset("{source: function, function: own.py}"),
    'datasets.mine.function: the text "own.py" is not valid; valid is `file.py:name`',
)
case(
    "no such Python file",
    dataset("{source: function, function: 'none.py:make'}"),
    "datasets.mine.function: there is no file none.py; valid is `file.py:name`",
)
case(
    "no such function",
    dataset("{source: function, function: 'own.py:made'}"),
    "datasets.mine.function: own.py defines no function `made` (did you mean `make`?); valid is one of make, "
    "seedless, network",
)
case(
    "file is not Python",
    dataset("{source: function, function: 'broken.py:make'}"),
    "datasets.mine.function: broken.py, line 2 is not Python; valid is `file.py:name`",
)
case(
    "argument that is not taken",
    dataset("{source: function, function: 'own.py:make', arguments: {n: 1, k: 1}}"),
    "datasets.mine.function: got an unexpected keyword argument 'k'; valid is a function that can be called "
    "make(seed=..., **arguments)",
)
case(
    "argument that is needed",
    dataset("{source: function, function: 'own.py:make'}"),
    "datasets.mine.function: missing a required argument: 'n'; valid is a function that can be called "
    "make(seed=..., **arguments)",
)
case(
    "function without seed",
    dataset("{source: function, function: 'own.py:seedless'}"),
    "datasets.mine.function: missing a required argument: 'n'; valid is a function that can be called "
    "seedless(seed=..., **arguments)",
)

# Recipes.
case(
    "inline recipe of the registry",
    {"recipes": "{cnn: {extends: adam-mlp}}"},
    "recipes.cnn: config/recipes.yaml has this name already; valid is another name",
)
case(
    "no model",
    recipe("{optimiser: {name: adam}, budget: {epochs: 3}}"),
    "recipes.mine.model: the key is missing; valid is a mapping",
)
case(
    "unknown model",
    model("{name: resnet}"),
    'recipes.mine.model.name: the text "resnet" is not valid; valid is one of mlp, cnn',
)
case(
    "model without a name",
    model("{hidden: [3]}"),
    "recipes.mine.model.name: the key is missing; valid is one of mlp, cnn",
)
case(
    "key of another model",
    model("{name: mlp, filters: [3]}"),
    "recipes.mine.model.filters: the key does not belong here; valid is one of name, hidden, activation, "
    "dropout, normalisation",
)
case(
    "name and function",
    model("{name: mlp, function: 'own.py:network', outputs: logits}"),
    "recipes.mine.model.name: the key does not belong here; valid is one of function, arguments, outputs",
)
case(
    "function without outputs",
    model("{function: 'own.py:network'}"),
    "recipes.mine.model.outputs: the key is missing; valid is one of probabilities, logits",
)
case(
    "model function with too few arguments",
    model("{function: 'own.py:seedless', outputs: logits}"),
    "recipes.mine.model.function: too many positional arguments; valid is a function that can be called "
    "seedless(input_shape, classes, **arguments)",
)
case(
    "width 0",
    model("{name: mlp, hidden: [32, 0]}"),
    "recipes.mine.model.hidden[1]: 0 is not valid; valid is an integer of at least 1",
)
case(
    "dropout 1",
    model("{name: mlp, dropout: 1}"),
    "recipes.mine.model.dropout: 1 is not valid; valid is a number of at least 0 and below 1",
)
case(
    "dropout is infinite",
    model("{name: mlp, dropout: .nan}"),
    "recipes.mine.model.dropout: nan is not valid; valid is a number of at least 0 and below 1",
)
case(
    "unknown activation",
    model("{name: mlp, activation: rleu}"),
    'recipes.mine.model.activation: the text "rleu" is not valid (did you mean `relu`?); valid is one of '
    "relu, relu6, ...",
)
case(
    "unknown normalisation",
    model("{name: mlp, normalisation: batchnorm}"),
    'recipes.mine.model.normalisation: the text "batchnorm" is not valid (did you mean `batch`?); valid is '
    "one of none, batch, layer, group",
)
case(
    "unknown optimiser",
    optimiser("{name: rmsprop}"),
    'recipes.mine.optimiser.name: the text "rmsprop" is not valid; valid is one of sgd, adam, adamw',
)
case(
    "option of another optimiser",
    optimiser("{name: adam, momentum: 0.9}"),
    "recipes.mine.optimiser.momentum: the key does not belong here; valid is one of name, learning_rate, ...",
)
case(
    "inherited option of another optimiser",
    extended("optimiser: {nesterov: true}"),
    "recipes.mine.optimiser.nesterov: the key does not belong here; valid is one of name, learning_rate, ...",
)
case(
    "learning rate 0",
    optimiser("{name: sgd, learning_rate: 0}"),
    "recipes.mine.optimiser.learning_rate: 0 is not valid; valid is a number above 0",
)
case(
    "learning rate in quotes",
    optimiser("{name: sgd, learning_rate: '1e-3'}"),
    'recipes.mine.optimiser.learning_rate: the text "1e-3" is not valid; valid is a number above 0 (it '
    "arrived as text, as YAML 1.1 reads it; write 1.0e-3)",
)
case(
    "learning rate null",
    optimiser("{name: sgd, learning_rate: null}"),
    "recipes.mine.optimiser.learning_rate: null (an empty value) is not valid; valid is a number above 0",
)
case(
    "momentum 1",
    optimiser("{name: sgd, momentum: 1.0}"),
    "recipes.mine.optimiser.momentum: 1.0 is not valid; valid is a number of at least 0 and below 1",
)
case(
    "nesterov without momentum",
    optimiser("{name: sgd, nesterov: true}"),
    "recipes.mine.optimiser.nesterov: it needs momentum; valid is a momentum above 0",
)
case(
    "two kinds of clipping",
    optimiser("{name: adam, clipnorm: 1, clipvalue: 0.5}"),
    "recipes.mine.optimiser.clipvalue: clipnorm and clipvalue exclude each other; valid is one of them",
)
case(
    "clipping at 0",
    optimiser("{name: adam, clipnorm: 0}"),
    "recipes.mine.optimiser.clipnorm: 0 is not valid; valid is a number above 0, or null",
)
case(
    "adamw without decay",
    optimiser("{name: adamw, weight_decay: null}"),
    "recipes.mine.optimiser.weight_decay: null (an empty value) is not valid; valid is a number of at least 0",
)
case(
    "average that is never used",
    optimiser("{name: adam, use_ema: true}"),
    "recipes.mine.optimiser.ema_overwrite_frequency: use_ema needs it, since Keras else uses the average "
    "only after the last evaluation; valid is an integer of at least 1",
)
case(
    "frequency without average",
    optimiser("{name: adam, ema_overwrite_frequency: 9}"),
    "recipes.mine.optimiser.ema_overwrite_frequency: it does nothing without use_ema; valid is null, or use_ema: true",
)
case(
    "linear without reference",
    extended("learning_rate_scaling: {rule: linear}"),
    "recipes.mine.learning_rate_scaling.reference_batch_size: the rule linear needs the batch size at which "
    "the learning rate holds; valid is an integer of at least 1",
)
case(
    "reference without rule",
    extended("learning_rate_scaling: {reference_batch_size: 32}"),
    "recipes.mine.learning_rate_scaling.reference_batch_size: it is given without a rule; valid is rule: "
    "linear or rule: sqrt",
)
case(
    "warm-up beyond the budget",
    extended("learning_rate_scaling: {warmup_epochs: 21}"),
    "recipes.mine.learning_rate_scaling.warmup_epochs: 21 is more than the 20 epochs of the budget; valid is "
    "a number from 0 to 20",
)
case(
    "no epochs",
    extended("budget: {epochs: 0}"),
    "recipes.mine.budget.epochs: 0 is not valid; valid is an integer of at least 1",
)
case(
    "patience 0",
    extended("budget: {early_stopping: {patience: 0}}"),
    "recipes.mine.budget.early_stopping.patience: 0 is not valid; valid is an integer of at least 1",
)
case(
    "early stopping is true",
    extended("budget: {early_stopping: true}"),
    "recipes.mine.budget.early_stopping: true is not valid; valid is a mapping, or null",
)
case(
    "shuffle is a number",
    extended("shuffle: 1"),
    "recipes.mine.shuffle: 1 is not valid; valid is true or false",
)
case(
    "unknown last_batch",
    extended("last_batch: pad"),
    'recipes.mine.last_batch: the text "pad" is not valid; valid is one of keep, drop',
)
case(
    "micro batch beyond the batch",
    recipe("{extends: adam-mlp, micro_batch_size: 16}", sizes="[32, 8]"),
    "comparisons[0].batch_sizes[1]: 8 is smaller than the micro batch of 16 (my.yaml: "
    "recipes.mine.micro_batch_size); valid is a batch size of at least 16, or a smaller micro_batch_size",
)
case(
    "micro batch beyond full",
    recipe("{extends: adam-mlp, micro_batch_size: 2000}", sizes="[full]"),
    "comparisons[0].batch_sizes[0]: full (1168 examples) is smaller than the micro batch of 2000 (my.yaml: "
    "recipes.mine.micro_batch_size); valid is a batch size of at least 2000, or a smaller micro_batch_size",
)
case(
    "tracked weight is negative",
    extended("tracked_weight: [-1, 0]"),
    "recipes.mine.tracked_weight[0]: -1 is not valid; valid is an integer of at least 0",
)
case(
    "tracked weight has one index",
    extended("tracked_weight: [3]"),
    "recipes.mine.tracked_weight: 1 numbers do not index the first kernel; valid is [feature, unit]",
)
case(
    "tracked weight beyond the units",
    extended("tracked_weight: [0, 128]"),
    "recipes.mine.tracked_weight[1]: 128 is outside the first kernel [feature, unit]; valid is an integer "
    "from 0 to 127",
)
case(
    "tracked weight beyond the features",
    recipe("{extends: adam-mlp, tracked_weight: [2, 0]}", "blobs"),
    "recipes.mine.tracked_weight[0]: 2 is not a feature of blobs; valid is an integer from 0 to 1, or null "
    "for the whole of tracked_weight",
)
case(
    "cnn on rows of features",
    recipe("{extends: cnn}", "blobs"),
    "config/recipes.yaml: cnn.model.name: cnn needs images, which blobs (source blobs) does not hold; valid "
    "is mlp or a function",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with some files of a user."""
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "own.npz", x=np.zeros((12, 3)), y=np.zeros(12, int), short=np.zeros(11, int))
    (tmp_path / "own.csv").write_text("length,width,species\n1,2,a\n3,4,b\n")
    (tmp_path / "own.py").write_text(
        "def make(seed, n): ...\ndef seedless(n): ...\ndef network(input_shape, classes): ...\n"
    )
    (tmp_path / "config" / "studies").mkdir(parents=True)
    (tmp_path / "config" / "datasets.yaml").write_text(DATASETS)
    (tmp_path / "config" / "recipes.yaml").write_text(RECIPES)
    (tmp_path / "config" / "studies" / "first.yaml").write_text(study_text())
    (tmp_path / "broken.py").write_text("\ndef make(:\n")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_bad_study_is_refused(name: str, folder: Path) -> None:
    changes, expected = CASES[name]
    (folder / "my.yaml").write_text(study_text(**changes))
    anywhere = expected.startswith(("config/", ","))
    assert_says(
        refusal({"study": "my.yaml"}), ("my.yaml" if expected[0] == "," else "" if anywhere else "my.yaml: ") + expected
    )


CONFIG = "config (config/config.yaml or --config): "


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"study": None},
            "study: null (an empty value) is not valid; valid is a name from config/studies/, or the path of",
        ),
        (
            {"study": "frist"},
            "study: there is no study `frist` (did you mean `first`?); valid is one of first, the path of",
        ),
        ({"study": "none.yaml"}, "study: there is no file none.yaml; valid is the path or the name of a study"),
        (
            {"study": 2024},
            "study: 2024 is not valid; valid is a name from config/studies/, or the path of a .yaml file (write",
        ),
        ({"studi": "first"}, "studi: unknown key (did you mean `study`?); valid is one of study, engine"),
        (
            {"engine": "tensorflwo"},
            'engine: the text "tensorflwo" is not valid (did you mean `tensorflow`?); valid is tens',
        ),
        ({"engine": "jax"}, 'engine: the text "jax" is not valid; valid is tensorflow'),
        ({"loop": "eager"}, 'loop: the text "eager" is not valid; valid is one of fused, fit'),
        ({"device": "cuda"}, 'device: the text "cuda" is not valid; valid is one of auto, cpu, gpu'),
        ({"threads": 0}, "threads: 0 is not valid; valid is an integer of at least 1"),
        ({"threads": True}, "threads: true is not valid; valid is an integer of at least 1"),
        ({"step_records": 2.5}, "step_records: 2.5 is not valid; valid is an integer of at least 1"),
        ({"data_folders": "data"}, 'data_folders: the text "data" is not valid; valid is a list of folders'),
        (
            {"data_folders": ["config", "gone"]},
            "data_folders[1]: there is no folder gone; valid is the path of a folder",
        ),
        (
            {"telemetry": {"interval": 1}},
            "telemetry.interval: unknown key (did you mean `interval_seconds`?); valid is int",
        ),
        (
            {"telemetry": {"interval_seconds": 0}},
            "telemetry.interval_seconds: 0 is not valid; valid is a number from 0.01",
        ),
        ({"telemetry": None}, "telemetry: null (an empty value) is not valid; valid is a mapping"),
        # --config 'timing={windows: 5}' arrives like this.
        (
            {"timing": {"windows": "5"}},
            'timing.windows: the text "5" is not valid; valid is an integer of at least 3 (it a',
        ),
        # Snakemake's own YAML reads a number like this as text.
        (
            {"timing": {"window_seconds": "1e-1"}},
            'timing.window_seconds: the text "1e-1" is not valid; valid is a numbe',
        ),
        ({"timing": {"window_seconds": 10**400}}, "timing.window_seconds: 1000000"),
    ],
)
def test_bad_config_is_refused(changes: dict[str, Any], expected: str, folder: Path) -> None:
    message = refusal({"study": "first", **changes})
    assert message.startswith(CONFIG + expected)


def test_missing_study_is_refused(folder: Path) -> None:
    assert_says(
        refusal({}), CONFIG + "study: the key is missing; valid is a name from config/studies/, or the path of ..."
    )


def test_number_that_yaml_reads_as_text_comes_with_what_to_write(folder: Path) -> None:
    message = refusal({"study": "first", "timing": {"window_seconds": "1E-1"}})
    assert message.endswith("(it arrived as text, as YAML 1.1 reads it; write 1.0e-1)")


def test_key_twice_in_config_yaml_is_refused(folder: Path) -> None:
    (folder / "config" / "config.yaml").write_text("study: first\nthreads: 1\nthreads: 2\n")
    message = refusal({"study": "first", "threads": 2})
    assert message == "config/config.yaml, line 3: the key `threads` is given twice; valid is once"


@pytest.mark.parametrize(
    ("registry", "content", "expected"),
    [
        (
            "datasets",
            DATASETS + "digits: {source: digits}\n",
            "config/datasets.yaml, line 10: the key `digits` is given twice; ...",
        ),
        (
            "datasets",
            DATASETS + "unused: {extends: digits, splt: {}}\n",
            "config/datasets.yaml: unused.splt: unknown key (did you ...",
        ),
        (
            "datasets",
            DATASETS + "a/b: {source: digits}\n",
            'config/datasets.yaml: the text "a/b" is not valid; valid is lower-...',
        ),
        (
            "datasets",
            "",
            "config/datasets.yaml: the file holds null (an empty value); valid is a mapping of keys to values",
        ),
        ("datasets", "- digits\n", "config/datasets.yaml: the file holds a list; valid is a mapping of keys to values"),
        (
            "recipes",
            RECIPES + "unused: {extends: mine}\n",
            "config/recipes.yaml: unused.extends: there is no recipe `mine`; ...",
        ),
        (
            "recipes",
            RECIPES.replace("epochs: 20", "epochs: many", 1),
            'config/recipes.yaml: adam-mlp.budget.epochs: the text "many" ...',
        ),
    ],
)
def test_bad_registry_is_refused_wherever_the_mistake_is(
    registry: str, content: str, expected: str, folder: Path
) -> None:
    (folder / "config" / f"{registry}.yaml").write_text(content)
    assert_says(refusal({"study": "first"}), expected)


def test_mistake_below_extends_is_placed_where_it_was_written(folder: Path) -> None:
    (folder / "config" / "recipes.yaml").write_text(RECIPES.replace("{name: adam}", "{name: adam, clipnorm: 1}", 1))
    (folder / "my.yaml").write_text(study_text(recipes="{mine: {extends: adam-mlp, optimiser: {clipvalue: 1}}}"))
    expected = (
        "my.yaml: recipes.mine.optimiser.clipvalue: clipnorm and clipvalue exclude each other; valid is one of them"
    )
    assert refusal({"study": "my.yaml"}) == expected


def test_registry_entry_may_not_extend_one_of_a_study(folder: Path) -> None:
    (folder / "config" / "datasets.yaml").write_text(DATASETS + "broken: {extends: mine}\n")
    (folder / "my.yaml").write_text(study_text(datasets="{mine: {source: digits}}"))
    assert_says(refusal({"study": "my.yaml"}), "config/datasets.yaml: broken.extends: there is no data set `mine`; ...")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "My Study.yaml",
            study_text(),
            "My Study.yaml: a study is named like its file, and `My Study` is no name; valid are ...",
        ),
        ("runs.yaml", study_text(), "runs.yaml: results/runs/ is not free for a study; valid is another file name"),
        (
            "empty.yaml",
            "# nothing\n",
            "empty.yaml: the file holds null (an empty value); valid is a mapping of keys to values",
        ),
        ("two.yaml", "a: 1\n---\nb: 1\n", "two.yaml, line 2: but found another document"),
        ("tab.yaml", "title:\n\t- x\n", "tab.yaml, line 2: found character '\\t' that cannot start any token"),
        ("list-key.yaml", "[1, 2]: x\n", "list-key.yaml, line 1: a key is not a text; write it in quotes"),
    ],
)
def test_bad_study_file_is_refused(name: str, content: str, expected: str, folder: Path) -> None:
    (folder / name).write_text(content)
    assert_says(refusal({"study": name}), expected)


def test_study_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes("title: Größe\n".encode("latin-1"))
    assert refusal({"study": "latin.yaml"}) == "latin.yaml: the file is not text in UTF-8"


def test_micro_batches_are_refused_in_the_fit_loop(folder: Path) -> None:
    (folder / "my.yaml").write_text(study_text(**recipe("{extends: adam-mlp, micro_batch_size: 4}")))
    assert study.load({"study": "my.yaml"}, Path()).recipes["mine"]["micro_batch_size"] == 4
    assert refusal({"study": "my.yaml", "loop": "fit"}) == (
        CONFIG
        + "loop: fit cannot accumulate the micro batches of 4 that my.yaml: recipes.mine.micro_batch_size asks for; "
        "valid is loop: fused, or micro_batch_size: null"
    )
