"""Data sets as a user writes them: each source has its own strict set of keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from batchscope.config.errors import ConfigError, Locate
from batchscope.config.written import DIFFERENT, Arguments, Function, List, Positive, Seed, Written, defaults, valid

_SOURCE = "Where the data come from."
_PART = "Size of this part, as a number of examples or as a fraction of all of them."
_COUNT = "Number of examples drawn for this part."
_FILE = "relative to the folder of the file that names it"
_Column = Annotated[str, Field(min_length=1), valid("the name of a column")]
_Classes = Annotated[int, Field(ge=2)]
_PARTS = "a number of examples (an integer of at least 1) or a fraction between 0 and 1"
_Part = Annotated[Positive | Annotated[float, Field(gt=0, lt=1)], valid(_PARTS)]


class Split(Written):
    """Sizes of the validation and test parts; training gets the rest."""

    validation: _Part = Field(0.15, description=_PART)
    test: _Part = Field(0.2, description=_PART)


class SplitCounts(Written):
    """Numbers of examples drawn for the three parts."""

    train: Positive = Field(description=_COUNT)
    validation: Positive = Field(description=_COUNT)
    test: Positive = Field(description=_COUNT)


class SplitImages(Written):
    """Size of the validation part, taken from the source's training images; its test images stay as they are."""

    validation: _Part = Field(5000, description=_PART)


class SplitArrays(Written):
    """Size of the validation part and, unless `x_test` names one, of the test part (0.2 where it is not given);
    training gets the rest.
    """

    validation: _Part = Field(0.15, description=_PART)
    test: _Part | None = Field(None, description=_PART, json_schema_extra={"x-valid": f"{_PARTS}, or null"})

    def plain(self) -> dict[str, Any]:
        """The parts that there are."""
        return {part: size for part, size in super().plain().items() if size is not None}


class _Dataset(Written):
    """What data sets have in common: what is left after `extends` was merged."""

    extends: Annotated[str, valid("the name of another data set")] = Field(
        "",
        exclude=True,
        description="Name of another data set whose keys are taken over; keys given here replace them, mapping by "
        "mapping. The source stays the same.",
    )
    source: str
    split: Written
    scale: Literal["none", "unit", "standardise"] = Field(
        "none",
        description="How features are scaled, with numbers fitted on the training part: `none`, `unit` (to 0..1), "
        "`standardise` (each feature to mean 0, standard deviation 1).",
    )
    draw: Literal["fixed", "per-seed"] = Field(
        "fixed",
        description="`fixed`: all seeds share one data set; `per-seed`: each run seed draws its own data and split.",
    )
    split_seed: Seed = Field(0, description="Seed of the split and of drawn data; not used where `draw` is `per-seed`.")
    order: Literal["source", "by-class"] = Field(
        "source",
        description="Order of the training examples, which a recipe with `shuffle: false` trains in: `source`, as they "
        "come; `by-class`, all of one class before those of the next, and as they come within a class. The parts hold "
        "the same examples either way.",
    )


class _Existing(_Dataset):
    """Data that are there, and not drawn."""

    draw: Annotated[
        Literal["fixed"], valid("`fixed` (only blobs, random-labels and function can be drawn per seed)")
    ] = Field("fixed", description="Only blobs, random-labels and function can be drawn anew for each seed.")


class _Normal(_Dataset):
    """Data drawn from normal distributions."""

    split: SplitCounts
    classes: _Classes = Field(description="Number of classes.")
    features: Positive = Field(description="Number of features.")


class Digits(_Existing):
    """Handwritten digits of scikit-learn."""

    source: Literal["digits"] = Field(description=_SOURCE)
    split: Split = defaults(Split)


class Blobs(_Normal):
    """A normal distribution for each class."""

    source: Literal["blobs"] = Field(description=_SOURCE)
    cluster_std: float = Field(
        gt=0,
        description="Standard deviation of each blob, in the units of the features (centres lie between -10 and 10).",
    )


class RandomLabels(_Normal):
    """Features that know nothing of the labels."""

    source: Literal["random-labels"] = Field(description=_SOURCE)


class Images(_Existing):
    """Images that are downloaded."""

    source: Literal["mnist", "fashion-mnist", "cifar10"] = Field(description=_SOURCE)
    split: SplitImages = defaults(SplitImages)


class Arrays(_Existing):
    """Arrays of a .npz file of the user's."""

    source: Literal["npz"] = Field(description=_SOURCE)
    split: SplitArrays = defaults(SplitArrays)
    path: Annotated[str, Field(pattern=r"\.npz$"), valid("the path of a .npz file")] = Field(
        description=f"The .npz file (as `numpy.savez` writes it), {_FILE}."
    )
    x: str = Field("x", description="Name of the array with the examples, first axis examples.")
    y: str = Field("y", description="Name of the array with the class of each example.")
    x_test: str | None = Field(
        None, description="Name of the array with the test examples; null to split a test part off `x`."
    )
    y_test: str | None = Field(
        None,
        description="Name of the array with the classes of the test examples; given exactly where `x_test` is.",
    )
    classes: _Classes | None = Field(None, description="Number of classes; null to count them in the data.")


class Table(_Existing):
    """A table of the user's."""

    source: Literal["table"] = Field(description=_SOURCE)
    split: Split = defaults(Split)
    path: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid("the path of a .csv or .parquet file")] = Field(
        description=f"The .csv or .parquet file, {_FILE}."
    )
    target: _Column = Field(description="Column with the class of each example.")
    features: Annotated[List[_Column], Field(min_length=1), DIFFERENT, valid("a list of columns")] | None = Field(
        None,
        description="Columns to learn from; null for all columns but the target, which may not include an index that "
        "pandas wrote.",
    )
    classes: _Classes | None = Field(None, description="Number of classes; null to count them in the data.")


class FromFunction(_Dataset):
    """Arrays that a function of the user's returns."""

    source: Literal["function"] = Field(description=_SOURCE)
    split: Split = defaults(Split)
    function: Function = Field(
        description=f"Your Python function as `file.py:name`, the file {_FILE}. It is called `name(seed=..., "
        "**arguments)` and returns the arrays (x, y). The global generators of Python and NumPy are seeded with "
        "`seed`, too; where each run seed draws its own data, it is called for another seed as well, to see that the "
        "data differ.",
    )
    arguments: Arguments = Field(default_factory=dict, description="Keyword arguments handed to the function.")


Dataset = Annotated[
    Digits | Blobs | RandomLabels | Images | Arrays | Table | FromFunction, Field(discriminator="source")
]
DATASET: TypeAdapter[Dataset] = TypeAdapter(Dataset)


def settle(dataset: Dataset, locate: Locate) -> Dataset:
    """The data set once its keys are known to fit together, with a test part for arrays that have none of their own.

    Raises:
        ConfigError: one sentence on what to change.
    """
    if isinstance(dataset, Arrays):
        dataset = _with_test_part(dataset, locate)
    if isinstance(dataset, Table) and dataset.target in (dataset.features or ()):
        raise ConfigError(
            f"{locate(['features'])}: the target {dataset.target} is among the features; valid are other columns"
        )
    if dataset.draw == "per-seed" and dataset.split_seed != 0:
        raise ConfigError(
            f"{locate(['split_seed'])}: it does nothing where each run seed draws its own data and split; "
            "valid is draw: fixed, or no split_seed"
        )
    sizes = dataset.split.plain().values()
    if sum(size for size in sizes if isinstance(size, float)) >= 1:
        raise ConfigError(
            f"{locate(['split'])}: the fractions {' and '.join(map(str, sizes))} leave nothing to train on; "
            "valid are fractions with a sum below 1"
        )
    return dataset


def _with_test_part(dataset: Arrays, locate: Locate) -> Arrays:
    if (dataset.x_test is None) != (dataset.y_test is None):
        given, other = ("x_test", "y_test") if dataset.y_test is None else ("y_test", "x_test")
        raise ConfigError(f"{locate([given])}: {given} is given without {other}; valid is both or neither")
    if dataset.x_test is not None and dataset.split.test is not None:
        raise ConfigError(
            f"{locate(['split', 'test'])}: the test part is the array {dataset.x_test} that x_test names; valid is "
            "split.test without x_test, or x_test without split.test"
        )
    if dataset.x_test is not None or dataset.split.test is not None:
        return dataset
    return dataset.model_copy(update={"split": dataset.split.model_copy(update={"test": 0.2})})
