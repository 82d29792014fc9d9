"""Batchscope: what batch size does to a training, measured."""

__version__ = "0.1.0"
