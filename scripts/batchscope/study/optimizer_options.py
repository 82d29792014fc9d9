"""The optimizer of a recipe: any of `training.optimizer_signatures`, its options checked against its signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import pydantic
from pydantic import Field

from batchscope.config.errors import ConfigError, Locate
from batchscope.config.written import Positive, Share, Written
from batchscope.training.optimizer_signatures import SIGNATURES, Option

_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")
_Above0 = Annotated[float, Field(gt=0)]
_From0 = Annotated[float, Field(ge=0)]
_NEAR_1 = 0.9999999  # less than 1 also in single precision, in which optimizers compute
# What Keras does not tell: which values of an option make sense.
_BOUNDS: dict[str | tuple[str, str], Any] = {
    "learning_rate": _Above0,
    "weight_decay": _From0,
    "initial_accumulator_value": _From0,
    "beta_2_decay": Annotated[float, Field(lt=0)],
    **dict.fromkeys(("momentum", "rho"), Share),
    **dict.fromkeys(("beta_1", "beta_2"), Annotated[float, Field(ge=0, le=_NEAR_1)]),
    ("lion", "beta_1"): Annotated[float, Field(gt=0, le=_NEAR_1)],  # Keras refuses 0
    **dict.fromkeys(("epsilon", "epsilon_1", "epsilon_2", "clip_threshold"), _Above0),
}


class _Named(Written):
    name: str
    """Optimizer of Keras, by its name in lower case."""
    learning_rate: _Above0
    """Learning rate, at the reference batch size where a scaling rule is used."""


class Shared(Written):
    """What optimizers have in common, named as in Keras 3."""

    weight_decay: _From0 | None = None
    """Each update also takes this share, times the learning rate, off every weight; null for none."""
    clipnorm: _Above0 | None = None
    """Largest norm of the gradient of one weight array; null for no clipping. Only one kind of clipping may be set."""
    clipvalue: _Above0 | None = None
    """Largest absolute value of a gradient's element; null for no clipping."""
    global_clipnorm: _Above0 | None = None
    """Largest norm of the gradient of all weights together; null for no clipping."""
    use_ema: bool = False
    """Keep an exponential moving average of the weights; needs `ema_overwrite_frequency`."""
    ema_momentum: Share = 0.99
    """Decay of that average, per update."""
    ema_overwrite_frequency: Positive | None = None
    """The weights are overwritten by their average each time this many updates are done."""


def _model(name: str) -> type[Written]:
    """The keys of an optimizer: its name and rate, its own options, and then those that all share."""
    signature = SIGNATURES[name]
    fields = {option: _field(name, option, known) for option, known in signature.options.items()}
    others = {option: fields.pop(option) for option in signature.options if option in Shared.model_fields}
    fields["name"] = (Literal[name], ...)
    own = pydantic.create_model("Own", __base__=_Named, __module__=__name__, **fields)
    return pydantic.create_model(signature.label, __base__=(Shared, own), __module__=__name__, **others)


def _field(name: str, option: str, known: Option) -> Any:
    described = Field(known.default, description=known.meaning or None)
    return _BOUNDS.get((name, option), _BOUNDS.get(option, type(known.default))), described


if TYPE_CHECKING:

    class Optimizer(Shared, _Named):
        """An optimizer; its own options are fields, too."""
else:
    Optimizer = Annotated[Union[tuple(map(_model, SIGNATURES))], Field(discriminator="name")]  # noqa: UP007


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
    if getattr(optimizer, "nesterov", False) and optimizer.plain()["momentum"] == 0:
        raise ConfigError(f"{locate(['optimizer', 'nesterov'])}: it needs momentum; valid is a momentum above 0")
    frequency = locate(["optimizer", "ema_overwrite_frequency"])
    if optimizer.use_ema and optimizer.ema_overwrite_frequency is None:
        raise ConfigError(
            f"{frequency}: use_ema needs it, since Keras else uses the average only after the last evaluation; valid "
            "is an integer of at least 1"
        )
    if not optimizer.use_ema and optimizer.ema_overwrite_frequency is not None:
        raise ConfigError(f"{frequency}: it does nothing without use_ema; valid is null, or use_ema: true")
