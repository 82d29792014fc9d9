"""The optimizer of a recipe and its options, named as in Keras 3."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from batchscope.config.errors import ConfigError, Locate
from batchscope.config.written import Positive, Share, Written

_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")
_Rate = Annotated[float, Field(gt=0)]


class _Regularisation(Written):
    """What optimizers have in common, named as in Keras 3."""

    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Each update also takes this share, times the learning rate, off every weight; null for none."""
    clipnorm: _Rate | None = None
    """Largest norm of the gradient of one weight array; null for no clipping. Only one kind of clipping may be set."""
    clipvalue: _Rate | None = None
    """Largest absolute value of a gradient's element; null for no clipping."""
    global_clipnorm: _Rate | None = None
    """Largest norm of the gradient of all weights together; null for no clipping."""
    use_ema: bool = False
    """Keep an exponential moving average of the weights; needs `ema_overwrite_frequency`."""
    ema_momentum: float = Field(0.99, ge=0, le=1)
    """Decay of that average, per update."""
    ema_overwrite_frequency: Positive | None = None
    """The weights are overwritten by their average each time this many updates are done."""


class _Momentum(Written):
    name: Literal["sgd"]
    """Keras optimizer."""
    learning_rate: _Rate = 0.01
    """Learning rate, at the reference batch size where a scaling rule is used."""
    momentum: Share = 0.0
    """Share of the last update that is carried into the next."""
    nesterov: bool = False
    """Nesterov momentum; needs a momentum above 0."""


class _Moments(Written):
    name: Literal["adam", "adamw"]
    """Keras optimizer."""
    learning_rate: _Rate = 0.001
    """Learning rate, at the reference batch size where a scaling rule is used."""
    beta_1: Share = 0.9
    """Decay of the running mean of the gradient, per update."""
    beta_2: Share = 0.999
    """Decay of the running mean of the squared gradient, per update."""
    epsilon: _Rate = 1e-7
    """Added to the root of the running mean of the squared gradient."""
    amsgrad: bool = False
    """Use the largest running mean of the squared gradient so far."""


class Sgd(_Regularisation, _Momentum):
    """Gradient descent."""


class Adam(_Regularisation, _Moments):
    """Adam."""

    name: Literal["adam"]
    """Keras optimizer."""


class AdamW(_Regularisation, _Moments):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"]
    """Keras optimizer."""
    weight_decay: float = Field(0.004, ge=0)
    """Each update also takes this share, times the learning rate, off every weight."""


Optimizer = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]


def check(optimizer: Optimizer, locate: Locate) -> None:
    """Refuse options that do not fit together.

    Raises:
        ConfigError: one sentence on what to change.
    """
    clipping = [key for key in _CLIPPING if getattr(optimizer, key) is not None]
    if len(clipping) > 1:
        raise ConfigError(
            f"{locate(['optimizer', clipping[1]])}: {' and '.join(clipping)} exclude each other; valid is one of them"
        )
    if isinstance(optimizer, Sgd) and optimizer.nesterov and optimizer.momentum == 0:
        raise ConfigError(f"{locate(['optimizer', 'nesterov'])}: it needs momentum; valid is a momentum above 0")
    frequency = locate(["optimizer", "ema_overwrite_frequency"])
    if optimizer.use_ema and optimizer.ema_overwrite_frequency is None:
        raise ConfigError(
            f"{frequency}: use_ema needs it, since Keras else uses the average only after the last evaluation; valid "
            "is an integer of at least 1"
        )
    if not optimizer.use_ema and optimizer.ema_overwrite_frequency is not None:
        raise ConfigError(f"{frequency}: it does nothing without use_ema; valid is null, or use_ema: true")
