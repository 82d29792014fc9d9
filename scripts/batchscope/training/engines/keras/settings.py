"""How Keras computes on every backend: what the engine decides, and that a user's model leaves it so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batchscope.data.functions import FunctionError
from batchscope.training.engines import Precision
from batchscope.training.engines.keras.framework import keras

Values = Mapping[str, Any]  # of settings by name: numbers, flags and words

DECIDED: Values = {
    "floatx": "float32",
    "dtype_policy": "float32",
    "image_data_format": "channels_last",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}
SETTERS: Mapping[str, Callable[[Any], None]] = {name: getattr(keras.config, f"set_{name}") for name in DECIDED}


@dataclass(frozen=True)
class Backend:
    """What models of the user's need of the framework under Keras.

    Attributes:
        current: all settings that change how it computes, those of Keras included.
        put_back: function of what `current` gave that makes them so again.
        memory_errors: a block in which the end of memory is an `OutOfMemoryError`.
    """

    current: Callable[[], dict[str, Any]]
    put_back: Callable[[Values], None]
    memory_errors: Callable[[], contextlib.AbstractContextManager[None]]

    @contextlib.contextmanager
    def kept(self, name: str) -> Iterator[None]:
        """Run code of the user's file `name` in this block, which must leave all settings as they are.

        Raises:
            FunctionError: it changed one, whether it failed or not; all are put back.
        """
        before = self.current()
        try:
            yield
        finally:
            changed = {setting: value for setting, value in self.current().items() if value != before.get(setting)}
            if changed:
                self.put_back(before)
                found = ", ".join(f"{setting} to {value}" for setting, value in changed.items())
                wanted = ", ".join(f"{before.get(setting, 'its default')}" for setting in changed)
                raise FunctionError(
                    f"{name} sets {found}; valid is to leave it at {wanted}, which holds for every model here"
                )


def apply(
    setters: Mapping[str, Callable[[Any], None]], others: Callable[[str, Any], None], values: Mapping[str, Any]
) -> None:
    """Make every setting have its value: by its function in `setters`, or by `others` of name and value."""
    for setting, value in values.items():
        if setting in setters:
            setters[setting](value)
        else:
            others(setting, value)


def current() -> dict[str, Any]:
    """The settings of Keras itself."""
    found = {name: getattr(keras.config, name)() for name in DECIDED}
    return found | {"dtype_policy": found["dtype_policy"].name}


@contextlib.contextmanager
def precision(name: Precision) -> Iterator[None]:
    """Models built in this block have weights and arithmetic of this precision."""
    before = current()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        for setting in ("floatx", "dtype_policy"):
            SETTERS[setting](before[setting])
