"""What the environment says about how a framework computes: what the engine overrules, and what it leaves and records.

Needs neither a framework nor NumPy, since the Snakefile reads it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NUMERIC_ENVIRONMENT = (
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "TF_CUBLAS_WORKSPACE_LIMIT_IN_MB",
    "TF_CUDNN_DISABLE_CONV_1X1_OPTIMIZATION",
    "TF_CUDNN_RNN_USE_AUTOTUNE",
    "TF_CUDNN_USE_AUTOTUNE",
    "TF_CUDNN_USE_RUNTIME_FUSION",
    "TF_CUDNN_WORKSPACE_LIMIT_IN_MB",
    "TF_DISABLE_JIT_KERNELS",
    "TF_DISABLE_SCATTER_OP_DETERMINISM",
    "TF_DISABLE_SEGMENT_REDUCTION_OP_DETERMINISM_EXCEPTIONS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_ENABLE_WINOGRAD_NONFUSED",
    "TF_ENABLE_ZENDNN_OPTS",
    "TF_FUNCTION_JIT_COMPILE_DEFAULT",
    "TF_MATMUL_AUTOTUNE_ENABLE",
    "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS",
    "TF_SET_ONEDNN_FPMATH_MODE",
    "TF_USE_CUBLASLT",
    "TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT",
    "TF_USE_DEEP_CONV2D",
    "TF_USE_DEFAULT_CONV_ALGO",
    "TF_USE_DETERMINISTIC_SEGMENT_REDUCTIONS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
"""Variables that change how the installed versions compute and that the engine leaves as they are.

A result depends on their values, so they belong to its fingerprint. The names are those that TensorFlow 2.21, oneDNN
(which takes its own under both prefixes), CUDA's libraries and NumPy ask for.
"""

_DECIDED = {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}
_WITHOUT = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")

# Keras imports these where they are installed, for wrappers, plots and data frames, which no job uses: a third of the
# processor time of its import (docs/measurements.md).
_NOT_NEEDED = ("sklearn", "matplotlib", "pandas")


def keras_home() -> str:
    """The folder in which Keras keeps what it downloads, as Keras chooses it: `KERAS_HOME` or ~/.keras."""
    # Not Path.expanduser, which raises where there is no home.
    return os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras"))  # noqa: PTH111


@contextmanager
def overruled() -> Iterator[None]:
    """Import Keras in this block: the environment and a user's keras.json then decide nothing, and nothing is written.

    The backend is TensorFlow, for good. In the block Keras' home is a place where no file can be read or made, and
    packages that Keras can do without are not there, unless they are imported already.
    """
    os.environ.update(_DECIDED)
    for name in _WITHOUT:
        os.environ.pop(name, None)
    home = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = os.devnull
    absent = [package for package in _NOT_NEEDED if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]
        del os.environ["KERAS_HOME"]
        if home is not None:
            os.environ["KERAS_HOME"] = home
