"""How TensorFlow and Keras compute: what the engine decides once per process, and that a user's model leaves it so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batchscope import telemetry
from batchscope.engines import Precision
from batchscope.engines.framework import keras, tf
from batchscope.functions import FunctionError

_DECIDED: Mapping[str, Any] = {
    "floatx": "float32",
    "dtype_policy": "float32",
    "image_data_format": "channels_last",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
    "tensor_float_32": False,
    "run_functions_eagerly": False,
    "jit": False,
    "auto_mixed_precision": False,
}

_SETTERS: Mapping[str, Callable[[Any], None]] = {
    "floatx": keras.config.set_floatx,
    "dtype_policy": keras.config.set_dtype_policy,
    "image_data_format": keras.config.set_image_data_format,
    "epsilon": keras.config.set_epsilon,
    "max_epochs": keras.config.set_max_epochs,
    "max_steps_per_epoch": keras.config.set_max_steps_per_epoch,
    "tensor_float_32": tf.config.experimental.enable_tensor_float_32_execution,
    "run_functions_eagerly": tf.config.run_functions_eagerly,
    "jit": tf.config.optimizer.set_jit,
    "auto_mixed_precision": lambda on: tf.config.optimizer.set_experimental_options({"auto_mixed_precision": on}),
}


def configure(device: str, threads: int) -> dict[str, Any]:
    """Choose the device and make results repeatable; call before anything else touches TensorFlow.

    Returns `device` (cpu or gpu), its `device_name`, `unused_gpus` (names of GPUs that the driver shows and TensorFlow
    cannot use, where the device was to be chosen), and the numerical settings that the manifest records.

    Raises:
        DeviceError: a GPU is asked for and TensorFlow sees none.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    # One: a second thread would only hand over the small operations of an update, which costs more than it saves.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    _set(_DECIDED)
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise DeviceError(
            "device is gpu, but TensorFlow sees no GPU that it can use; valid is auto or cpu, or `make report "
            "DEVICE=gpu` on a machine with an NVIDIA GPU, which installs the libraries that TensorFlow needs for it"
        )
    if device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        name = "CPU"
    else:
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return {
        "device": "cpu" if name == "CPU" else "gpu",
        "device_name": name,
        "unused_gpus": telemetry.gpu_names() if device == "auto" and not gpus else [],
        "deterministic_operations": True,
        "precision": keras.config.floatx(),
        "backend": keras.config.backend(),
        **_current(),
    }


class DeviceError(ValueError):
    """The device that the study asks for cannot be used."""


@contextlib.contextmanager
def kept(name: str) -> Iterator[None]:
    """Run code of the user's file `name` in this block, which must leave all settings as they are.

    Raises:
        FunctionError: it changed one; all are put back.
    """
    before = _current()
    yield
    changed = {setting: value for setting, value in _current().items() if value != before[setting]}
    if changed:
        _set({setting: before[setting] for setting in changed})
        found = ", ".join(f"{setting} to {value}" for setting, value in changed.items())
        wanted = ", ".join(f"{before[setting]}" for setting in changed)
        raise FunctionError(f"{name} sets {found}; valid is to leave it at {wanted}, which holds for every model here")


@contextlib.contextmanager
def precision(name: Precision) -> Iterator[None]:
    """Models built in this block have weights and arithmetic of this precision."""
    before = _current()
    _set({"floatx": name, "dtype_policy": name})
    try:
        yield
    finally:
        _set({setting: before[setting] for setting in ("floatx", "dtype_policy")})


def _current() -> dict[str, Any]:
    return {
        "floatx": keras.config.floatx(),
        "dtype_policy": keras.config.dtype_policy().name,
        "image_data_format": keras.config.image_data_format(),
        "epsilon": keras.config.epsilon(),
        "max_epochs": keras.config.max_epochs(),
        "max_steps_per_epoch": keras.config.max_steps_per_epoch(),
        "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "run_functions_eagerly": tf.config.functions_run_eagerly(),
        "jit": bool(tf.config.optimizer.get_jit()),
        "auto_mixed_precision": bool(tf.config.optimizer.get_experimental_options().get("auto_mixed_precision")),
    }


def _set(values: Mapping[str, Any]) -> None:
    for setting, value in values.items():
        _SETTERS[setting](value)
