"""A table of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from batchscope.config.errors import ConfigError, Key, Locate, choice
from batchscope.config.written import DIFFERENT, ColumnName, List, defaults, valid
from batchscope.data.sources.keys import Classes, Existing, Split, Values
from batchscope.data.splits import DataError, feature_columns, table_columns
from batchscope.tables import foreign


class Table(Existing):
    """A table of the user's."""

    own_file = True
    source: Literal["table"]
    split: Split = defaults(Split)
    path: Annotated[str, Field(pattern=r"\.(csv|parquet)$"), valid("the path of a .csv or .parquet file")]
    """The .csv or .parquet file, relative to the folder of the file that names it."""
    target: ColumnName
    """Column with the class of each example."""
    features: Annotated[List[ColumnName], Field(min_length=1), DIFFERENT, valid("a list of columns")] | None = None
    """Columns to learn from; null for all columns but the target, which may not include an index that pandas wrote."""
    classes: Classes | None = None
    """Number of classes; null to count them in the data."""

    def settled(self, locate: Locate) -> Self:
        """With a target that is no feature."""
        if self.target in (self.features or ()):
            raise ConfigError(
                f"{locate(['features'])}: the target {self.target} is among the features; valid are other columns"
            )
        return super().settled(locate)

    def check_file(self, locate: Locate) -> None:
        """All columns must be there."""
        path = Path(self.path)
        try:
            columns = table_columns(path)
        except DataError as error:
            raise ConfigError(f"{locate(['path'])}: {error}") from error
        wanted: list[tuple[list[Key], str]] = [(["target"], self.target)]
        wanted += [(["features", index], name) for index, name in enumerate(self.features or ())]
        for keys, name in wanted:
            if name not in columns:
                raise ConfigError(f"{locate(keys)}: {self.path} has no column `{name}`{choice(name, columns)}")
        try:
            feature_columns(path, self.target, self.features)
        except DataError as error:
            raise ConfigError(f"{locate(['path'])}: {error}") from error

    def shape(self) -> tuple[int, ...]:
        """A row of features."""
        return (len(feature_columns(Path(self.path), self.target, self.features)),)

    @classmethod
    def size(cls, dataset: Values) -> int:
        """Records of the table."""
        return foreign.rows(Path(dataset["path"]))


SOURCE = Table
