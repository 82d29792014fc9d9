"""What must be known of JAX before it is imported."""

from __future__ import annotations

from batchscope.training.engines import About

ABOUT = About(
    packages=("jax", "jaxlib", "keras", "numpy"),
    # What XLA, CUDA's libraries and NumPy ask for. JAX's own settings are made anew by `configure`.
    environment=(
        "CUBLAS_WORKSPACE_CONFIG",
        "NPY_DISABLE_CPU_FEATURES",
        "NPY_ENABLE_CPU_FEATURES",
        "NVIDIA_TF32_OVERRIDE",
        "XLA_FLAGS",
    ),
    environment_file="train-jax",
    decided={
        "JAX_DISABLE_JIT": "0",
        "KERAS_BACKEND": "jax",
        "KERAS_NNX_ENABLED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",  # XLA's notices
        "XLA_CLIENT_MEM_FRACTION": "0.95",  # JAX would leave a quarter of a GPU's memory unused, and call that its end
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # or the memory of a GPU would be that of the pool
    },
)
