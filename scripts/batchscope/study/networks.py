"""The network of a recipe: built in, or a function of the user's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from batchscope.config.errors import Fault
from batchscope.config.written import Arguments, Function, List, Positive, Share, Written, valid


class _Layers(Written):
    """What built-in networks have in common."""

    activation: Literal[
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "celu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "softplus",
        "softsign",
        "sigmoid",
        "hard_sigmoid",
        "tanh",
        "linear",
    ] = "relu"
    """Activation of the hidden layers, by its Keras name."""
    dropout: Share = 0.0
    """Share of units dropped, after each hidden layer of an MLP and after the dense layer of a CNN."""
    normalization: Literal["none", "batch", "layer", "group"] = "none"
    """Normalization before each hidden activation. `group` has 8 groups, or fewer where the width has no such divisor.
    The statistics that `batch` evaluates with move by 1 % per update, so they lag where a large batch makes few.
    """


class _Dense(Written):
    name: Literal["mlp"]
    """Built-in family of networks."""
    hidden: Annotated[List[Positive], valid("a list of integers of at least 1")] = (128,)
    """Widths of the hidden layers; an empty list is softmax regression."""


class _Convolutions(Written):
    name: Literal["cnn"]
    """Built-in family of networks."""
    filters: Annotated[List[Positive], Field(min_length=1), valid("a list of integers of at least 1")] = (32, 64)
    """Filters of the convolutions; each is followed by 2x2 pooling."""
    kernel_size: Positive = 5
    """Side of the square convolution kernels, in pixels."""
    dense: Positive = 1024
    """Width of the dense layer before the output."""


# The fields of the last base come first.
class Mlp(_Layers, _Dense):
    """Dense layers."""


class Cnn(_Layers, _Convolutions):
    """Convolutions, each with pooling, and a dense layer."""

    dropout: Share = 0.4


class OwnModel(Written):
    """A network that a function of the user's builds."""

    function: Function
    """Your Python function as `file.py:name`, the file relative to the folder of the file that names it. It is called
    `name(input_shape, classes, **arguments)` and returns a `keras.Model`.
    """
    arguments: Arguments = Field(default_factory=dict)
    """Keyword arguments handed to the function."""
    outputs: Literal["probabilities", "logits"]
    """What the model returns, `probabilities` (it ends in a softmax) or `logits` (it does not)."""


def _kind_of_model(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return "function" if "function" in value else str(value["name"]) if "name" in value else None


Model = Annotated[
    Annotated[Mlp, Tag("mlp")] | Annotated[Cnn, Tag("cnn")] | Annotated[OwnModel, Tag("function")],
    Discriminator(_kind_of_model),
    Field(json_schema_extra={"discriminator": {"propertyName": "name"}}),
]


def faults_of_index(model: Model, index: Sequence[int] | None) -> Iterator[Fault]:
    """Why an index is outside the first kernel, as far as the recipe alone tells its shape (None: the data tell)."""
    if index is None or isinstance(model, OwnModel):
        return
    shape: tuple[int | None, ...]
    if isinstance(model, Mlp):
        shape, axes = (None, model.hidden[0] if model.hidden else None), "[feature, unit]"
    else:
        shape, axes = (model.kernel_size, model.kernel_size, None, model.filters[0]), "[row, column, channel, filter]"
    if len(index) != len(shape):
        yield [], f"{len(index)} numbers do not index the first kernel; valid is {axes}"
    for axis, (at, size) in enumerate(zip(index, shape, strict=True)):
        if size is not None and at >= size:
            yield [axis], f"{at} is outside the first kernel {axes}; valid is an integer from 0 to {size - 1}"
