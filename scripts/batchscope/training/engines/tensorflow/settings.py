"""How TensorFlow and Keras on it compute: what the engine decides once per process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from batchscope import telemetry
from batchscope.training.engines import EngineError
from batchscope.training.engines.keras import notices
from batchscope.training.engines.keras import settings as keras_settings
from batchscope.training.engines.keras.settings import Backend, Values
from batchscope.training.engines.tensorflow.framework import context, is_op_determinism_enabled, keras, tf
from batchscope.training.engines.tensorflow.memory import memory_errors

_DECIDED: Values = {
    **keras_settings.DECIDED,
    "tensor_float_32": False,
    "run_functions_eagerly": False,
    "jit": False,
    "deterministic_operations": True,
    "eager_execution": True,
    "debugging": False,
    "auto_mixed_precision": False,
    "disable_meta_optimizer": False,
    "disable_model_pruning": False,
}


def configure(device: str, threads: int) -> dict[str, Any]:
    """As `Engine.configure`; call before anything else touches TensorFlow."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    # One: a second thread would only hand over the small operations of an update, which costs more than it saves.
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _set(_DECIDED)
    with notices.without_gpu():
        gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise EngineError(
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
    tf.config.list_logical_devices()  # starts TensorFlow, so that no user's file can change threads or devices
    return {
        "device": "cpu" if name == "CPU" else "gpu",
        "device_name": name,
        "unused_gpus": telemetry.gpu_names() if device == "auto" and not gpus else [],
        "precision": keras.config.floatx(),
        "backend": keras.config.backend(),
        **_current(),
    }


def _current() -> dict[str, Any]:
    """All settings; those of TensorFlow's optimizer of graphs under the names that it gives them."""
    return {
        **keras_settings.current(),
        "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "run_functions_eagerly": tf.config.functions_run_eagerly(),
        "jit": bool(tf.config.optimizer.get_jit()),
        "deterministic_operations": is_op_determinism_enabled(),
        "eager_execution": tf.executing_eagerly(),
        "debugging": bool(context.context().op_callbacks),
        **tf.config.optimizer.get_experimental_options(),
    }


def _put_back(values: Values) -> None:
    context.context()._optimizer_experimental_options.clear()  # TensorFlow itself only adds to them
    _set(values)


def _execute_eagerly() -> None:
    """As `tf.compat.v1.enable_eager_execution`, which refuses once a graph was made."""
    context.default_execution_mode = context.EAGER_MODE
    context.context()._thread_local_data.is_eager = True


def _stop_debugging() -> None:
    tf.debugging.disable_check_numerics()
    tf.debugging.experimental.disable_dump_debug_info()


_SETTERS: Mapping[str, Callable[[Any], None]] = {
    **keras_settings.SETTERS,
    "tensor_float_32": tf.config.experimental.enable_tensor_float_32_execution,
    "run_functions_eagerly": tf.config.run_functions_eagerly,
    "jit": tf.config.optimizer.set_jit,
    "deterministic_operations": lambda _: tf.config.experimental.enable_op_determinism(),
    "eager_execution": lambda _: _execute_eagerly(),
    "debugging": lambda _: _stop_debugging(),
}
_set = functools.partial(
    keras_settings.apply,
    _SETTERS,
    lambda setting, value: tf.config.optimizer.set_experimental_options({setting: value}),
)
BACKEND = Backend(_current, _put_back, memory_errors)
