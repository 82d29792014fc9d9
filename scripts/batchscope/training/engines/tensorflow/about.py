"""What must be known of TensorFlow before it is imported."""

from __future__ import annotations

from batchscope.training.engines import About

ABOUT = About(
    packages=("tensorflow", "keras", "numpy"),
    # What TensorFlow 2.21, oneDNN (which takes its own under both prefixes), CUDA's libraries and NumPy ask for.
    environment=(
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
    ),
    decided={"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"},
)
