"""Arrays that a function of the user's returns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from batchscope.config.written import Arguments, Function, defaults
from batchscope.data.sources.keys import Dataset, Split


class FromFunction(Dataset):
    """Arrays that a function of the user's returns."""

    source: Literal["function"]
    split: Split = defaults(Split)
    function: Function
    """Your Python function as `file.py:name`, the file relative to the folder of the file that names it. It is called
    `name(seed=..., **arguments)` and returns the arrays (x, y). The global generators of Python and NumPy are seeded
    with `seed`, too; where each run seed draws its own data, it is called for another seed as well, to see that the
    data differ.
    """
    arguments: Arguments = Field(default_factory=dict)
    """Keyword arguments handed to the function."""


SOURCE = FromFunction
