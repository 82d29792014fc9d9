"""Arrays of a .npz file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from batchscope.config.errors import ConfigError, Locate
from batchscope.config.written import Written, defaults, valid
from batchscope.data.sources.keys import PART, PARTS, Classes, Existing, PartSize, Values
from batchscope.data.splits import DataError, npz_shape


class SplitArrays(Written):
    """Size of the validation part and, unless `x_test` names one, of the test part (0.2 where it is not given);
    training gets the rest.
    """

    validation: PartSize = 0.15
    test: PartSize | None = Field(None, description=PART, json_schema_extra={"x-valid": f"{PARTS}, or null"})

    def plain(self) -> dict[str, Any]:
        """The parts that there are."""
        return {part: size for part, size in super().plain().items() if size is not None}


class Arrays(Existing):
    """Arrays of a .npz file of the user's."""

    own_file = True
    source: Literal["npz"]
    split: SplitArrays = defaults(SplitArrays)
    path: Annotated[str, Field(pattern=r"\.npz$"), valid("the path of a .npz file")]
    """The .npz file (as `numpy.savez` writes it), relative to the folder of the file that names it."""
    x: str = "x"
    """Name of the array with the examples, first axis examples."""
    y: str = "y"
    """Name of the array with the class of each example."""
    x_test: str | None = None
    """Name of the array with the test examples; null to split a test part off `x`."""
    y_test: str | None = None
    """Name of the array with the classes of the test examples; given exactly where `x_test` is."""
    classes: Classes | None = None
    """Number of classes; null to count them in the data."""

    def settled(self, locate: Locate) -> Self:
        """With a test part where there is no array of its own."""
        if (self.x_test is None) != (self.y_test is None):
            given, other = ("x_test", "y_test") if self.y_test is None else ("y_test", "x_test")
            raise ConfigError(f"{locate([given])}: {given} is given without {other}; valid is both or neither")
        if self.x_test is not None and self.split.test is not None:
            raise ConfigError(
                f"{locate(['split', 'test'])}: the test part is the array {self.x_test} that x_test names; valid is "
                "split.test without x_test, or x_test without split.test"
            )
        if self.x_test is not None or self.split.test is not None:
            return super().settled(locate)
        split = self.split.model_copy(update={"test": 0.2})
        return super(Arrays, self.model_copy(update={"split": split})).settled(locate)

    def check_file(self, locate: Locate) -> None:
        """Examples and classes must be arrays of one length."""
        for x, y in (("x", "y"), ("x_test", "y_test")):
            lengths = []
            for key in (x, y):
                name = getattr(self, key)
                if name is not None:
                    try:
                        shape = npz_shape(Path(self.path), name)
                    except DataError as error:
                        raise ConfigError(f"{locate([key])}: {error}") from error
                    lengths.append(shape[0] if shape else 1)
            if len(set(lengths)) > 1:
                raise ConfigError(
                    f"{locate([y])}: {self.path} has {lengths[1]:,} labels in {getattr(self, y)} for the "
                    f"{lengths[0]:,} examples in {getattr(self, x)}; valid is one label per example"
                )

    def shape(self) -> tuple[int, ...]:
        """As the header of the array says."""
        return npz_shape(Path(self.path), self.x)[1:]

    @classmethod
    def size(cls, dataset: Values) -> int:
        """Rows of the array `x`."""
        shape = npz_shape(Path(dataset["path"]), dataset["x"])
        if not shape:
            raise DataError(f"{dataset['path']}: array `{dataset['x']}` is one number; it needs a row per example")
        return shape[0]


SOURCE = Arrays
