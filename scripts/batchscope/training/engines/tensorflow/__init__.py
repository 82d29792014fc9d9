"""The TensorFlow engine: Keras models and optimizers on TensorFlow."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before the import, or the start-up notices fill every log
