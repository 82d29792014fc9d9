"""Keras and TensorFlow, imported so that no setting of the user or of the machine decides how they compute."""

from __future__ import annotations

import os

from batchscope.training.engines.keras import environment

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before the import, or the start-up notices fill every log

with environment.overruled():
    import keras
    import tensorflow as tf
    from keras.src.backend import config
    from tensorflow.python.eager import context
    from tensorflow.python.framework.config import is_op_determinism_enabled

config._KERAS_DIR = environment.keras_home()  # where a user's model finds the weights that it has downloaded

__all__ = ["context", "is_op_determinism_enabled", "keras", "tf"]
