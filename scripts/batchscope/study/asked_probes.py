"""What a study may ask of each probe: the key `probes`."""

from __future__ import annotations

from pydantic import Field

from batchscope.config.written import Names, Positive, Sizes, Written

_LOOKED_AT = "Recipes of this study whose runs are looked at."
_TRAINED_WITH = "Batch sizes of the runs whose weights are looked at."
_CHOSEN = "chosen at random and the same for every run; all where there are fewer."


class Gradients(Written):
    """Statistics of mini-batch gradients and the gradient noise scale, with the weights kept at shares of the budget
    (`snapshots.at`).
    """

    recipes: Names = Field(description=_LOOKED_AT)
    trained_with: Sizes = Field(description=_TRAINED_WITH)
    batch_sizes: Sizes = Field(description="Sizes of the batches whose gradients are drawn; below `examples`.")
    examples: int = Field(4096, ge=16, description=f"Training examples that the batches are drawn from, {_CHOSEN}")
    batches: int = Field(
        200,
        ge=20,
        description="Batches drawn of each size, at least; of small sizes more, about four times each example.",
    )


class Sharpness(Written):
    """Curvature and sharpness of the training loss with the weights kept at the end (`snapshots.at` with 1) and where
    the training loss had fallen to a value (`snapshots.train_losses`).
    """

    recipes: Names = Field(description=_LOOKED_AT)
    examples: int = Field(1024, ge=16, description=f"Training examples on which the loss is taken, {_CHOSEN}")


class Rates(Written):
    """Learning-rate range test of each cell, one short training per seed of the study at rising rates."""

    recipes: Names = Field(description="Recipes of this study that are tried.")
    lowest: float = Field(0.00001, gt=0, description="Learning rate of the first update.")
    highest: float = Field(10.0, gt=0, description="Learning rate of the last update, above `lowest`.")
    updates: int = Field(200, ge=50, description="Updates over which the rate rises geometrically.")


class Modes(Written):
    """The validation loss of the same weights, those kept at the end, evaluated in batches of several sizes, with batch
    normalisation in training mode and in inference mode.
    """

    recipes: Names = Field(description=_LOOKED_AT)
    trained_with: Sizes = Field(description=_TRAINED_WITH)
    batch_sizes: Sizes = Field(description="Sizes of the batches that are evaluated.")


class Accumulation(Written):
    """Whether accumulating micro batches gives the weights of the whole batch."""

    recipes: Names = Field(description="Recipes of this study that are tried; none may accumulate itself.")
    batch_size: int = Field(ge=2, description="Examples per update.")
    micro_batch_size: Positive = Field(description="Examples per gradient pass, below `batch_size`.")
    updates: Positive = Field(20, description="Updates after which the weights are compared.")


class Overheads(Written):
    """Where the time of an update goes, each cell alone on the machine: the compiled loop, Keras' own loop and a loop
    that only reads the data.
    """

    recipes: Names = Field(description="Recipes of this study that are timed in this way.")


class Probes(Written):
    """Measurements that explain what batch size does, each a kind of job of its own. A probe of weights looks at those
    that the recipe's `snapshots` keep.
    """

    gradients: Gradients | None = None
    sharpness: Sharpness | None = None
    rates: Rates | None = None
    modes: Modes | None = None
    accumulation: Accumulation | None = None
    overheads: Overheads | None = None
