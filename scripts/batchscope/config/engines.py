"""The engines that a study may name, each a folder of `training/engines`; the first trains where none is named."""

ENGINES = ("tensorflow", "numpy")
