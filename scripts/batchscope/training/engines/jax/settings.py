"""How JAX and Keras on it compute: what the engine decides once per process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchscope import telemetry
from batchscope.training.engines import EngineError
from batchscope.training.engines.jax.framework import jax, keras
from batchscope.training.engines.jax.memory import memory_errors
from batchscope.training.engines.keras import settings as keras_settings
from batchscope.training.engines.keras.settings import Backend

COMPILED = Path(".cache") / "jax"  # in the working directory: runs that differ in their seed compile once, as a rule

_JAX: Mapping[str, Any] = {
    "jax_debug_nans": False,
    "jax_default_matmul_precision": "highest",
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_threefry_partitionable": True,
}
_DECIDED: Mapping[str, Any] = {**keras_settings.DECIDED, **_JAX}
_CACHE: Mapping[str, Any] = {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def configure(device: str, threads: int) -> dict[str, Any]:
    """As `Engine.configure`; call before anything else touches JAX."""
    os.environ["NPROC"] = str(threads)  # threads of XLA on the CPU
    os.environ.pop("XLA_PYTHON_CLIENT_MEM_FRACTION", None)  # the old name of a variable of `About.decided`: not both
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    # XLA compiles the number of threads into a program, and JAX does not look at it when it takes one from the folder.
    _set({**_DECIDED, **_CACHE, "jax_compilation_cache_dir": str(COMPILED / f"{threads}-threads")})
    gpu = None if device == "cpu" else _gpu()
    if device == "gpu" and gpu is None:
        raise EngineError(
            "device is gpu, but JAX sees no GPU that it can use; valid is auto or cpu, or `make report ENGINE=jax "
            "DEVICE=gpu` on a machine with an NVIDIA GPU, which installs the libraries that JAX needs for it"
        )
    if gpu is None:
        jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_default_device", gpu or jax.devices("cpu")[0])
    return {
        "device": "cpu" if gpu is None else "gpu",
        "device_name": "CPU" if gpu is None else gpu.device_kind,
        "unused_gpus": telemetry.gpu_names() if device == "auto" and gpu is None else [],
        "precision": keras.config.floatx(),
        "backend": keras.config.backend(),
        **_current(),
    }


def _gpu() -> Any | None:
    try:
        return jax.devices("gpu")[0]
    except RuntimeError:  # no such platform
        return None


def _current() -> dict[str, Any]:
    return {**keras_settings.current(), **{name: jax.config.values[name] for name in _JAX}}


def _set(values: Mapping[str, Any]) -> None:
    for setting, value in values.items():
        if setting in keras_settings.SETTERS:
            keras_settings.SETTERS[setting](value)
        else:
            jax.config.update(setting, value)


BACKEND = Backend(_current, _set, memory_errors)
