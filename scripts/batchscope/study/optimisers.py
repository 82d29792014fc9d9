"""The optimiser of a recipe and its options, named as in Keras 3."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from batchscope.config.errors import ConfigError, Locate
from batchscope.config.written import Positive, Share, Written

_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")
_Rate = Annotated[float, Field(gt=0)]


class _Regularisation(Written):
    """What optimisers have in common, named as in Keras 3."""

    weight_decay: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Each update also takes this share, times the learning rate, off every weight; null for none."
    )
    clipnorm: _Rate | None = Field(
        None,
        description="Largest norm of the gradient of one weight array; null for no clipping. Only one kind of clipping "
        "may be set.",
    )
    clipvalue: _Rate | None = Field(
        None, description="Largest absolute value of a gradient's element; null for no clipping."
    )
    global_clipnorm: _Rate | None = Field(
        None, description="Largest norm of the gradient of all weights together; null for no clipping."
    )
    use_ema: bool = Field(
        False, description="Keep an exponential moving average of the weights; needs `ema_overwrite_frequency`."
    )
    ema_momentum: float = Field(0.99, ge=0, le=1, description="Decay of that average, per update.")
    ema_overwrite_frequency: Positive | None = Field(
        None, description="The weights are overwritten by their average each time this many updates are done."
    )


_NAME = "Keras optimiser."
_LEARNING_RATE = "Learning rate, at the reference batch size where a scaling rule is used."


class _Momentum(Written):
    name: Literal["sgd"] = Field(description=_NAME)
    learning_rate: _Rate = Field(0.01, description=_LEARNING_RATE)
    momentum: Share = Field(0.0, description="Share of the last update that is carried into the next.")
    nesterov: bool = Field(False, description="Nesterov momentum; needs a momentum above 0.")


class _Moments(Written):
    name: Literal["adam", "adamw"] = Field(description=_NAME)
    learning_rate: _Rate = Field(0.001, description=_LEARNING_RATE)
    beta_1: Share = Field(0.9, description="Decay of the running mean of the gradient, per update.")
    beta_2: Share = Field(0.999, description="Decay of the running mean of the squared gradient, per update.")
    epsilon: _Rate = Field(1e-7, description="Added to the root of the running mean of the squared gradient.")
    amsgrad: bool = Field(False, description="Use the largest running mean of the squared gradient so far.")


class Sgd(_Regularisation, _Momentum):
    """Gradient descent."""


class Adam(_Regularisation, _Moments):
    """Adam."""

    name: Literal["adam"] = Field(description=_NAME)


class AdamW(_Regularisation, _Moments):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = Field(description=_NAME)
    weight_decay: float = Field(
        0.004, ge=0, description="Each update also takes this share, times the learning rate, off every weight."
    )


Optimiser = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]


def check(optimiser: Optimiser, locate: Locate) -> None:
    """Refuse options that do not fit together.

    Raises:
        ConfigError: one sentence on what to change.
    """
    clipping = [key for key in _CLIPPING if getattr(optimiser, key) is not None]
    if len(clipping) > 1:
        raise ConfigError(
            f"{locate(['optimiser', clipping[1]])}: {' and '.join(clipping)} exclude each other; valid is one of them"
        )
    if isinstance(optimiser, Sgd) and optimiser.nesterov and optimiser.momentum == 0:
        raise ConfigError(f"{locate(['optimiser', 'nesterov'])}: it needs momentum; valid is a momentum above 0")
    frequency = locate(["optimiser", "ema_overwrite_frequency"])
    if optimiser.use_ema and optimiser.ema_overwrite_frequency is None:
        raise ConfigError(
            f"{frequency}: use_ema needs it, since Keras else uses the average only after the last evaluation; valid "
            "is an integer of at least 1"
        )
    if not optimiser.use_ema and optimiser.ema_overwrite_frequency is not None:
        raise ConfigError(f"{frequency}: it does nothing without use_ema; valid is null, or use_ema: true")
