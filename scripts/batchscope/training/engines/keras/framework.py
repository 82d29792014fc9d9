"""Keras, imported so that no setting of the user or of the machine decides how it computes."""

from __future__ import annotations

from batchscope.training.engines.keras import environment

with environment.overruled():
    import keras
    from keras.src.backend import config

config._KERAS_DIR = environment.keras_home()  # where a user's model finds the weights that it has downloaded

__all__ = ["keras"]
