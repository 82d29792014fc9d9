"""Recipes: model, optimizer, learning-rate rule and budget of a training, as a user writes them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from batchscope.config.errors import Fault, Locate
from batchscope.config.written import DIFFERENT, List, Positive, Seed, Written, defaults, valid
from batchscope.study import networks, optimizer_options
from batchscope.study.networks import Model
from batchscope.study.optimizer_options import Optimizer

_Index = Annotated[int, Field(ge=0)]
_Rate = Annotated[float, Field(gt=0)]


class LearningRateScaling(Written):
    """How the learning rate depends on the batch size."""

    rule: Literal["none", "linear", "sqrt", "adam-sde"] = "none"
    """`none`: one rate for all; `linear`: times κ = B/B0 (Goyal et al. 2017); `sqrt`: times √κ (Hoffer et al. 2017);
    `adam-sde`, for Adam and AdamW: rate times √κ, each 1 − β times κ, ε over √κ (Malladi et al. 2022), and the weight
    decay times √κ, so that it takes as much per example. B0 is the reference batch size.
    """
    reference_batch_size: Positive | None = None
    """Batch size at which the optimizer's options hold; required by every rule but `none`."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs, or a fraction of one, over which the rate rises linearly from near zero."""

    def conflicts(self) -> Iterator[Fault]:
        """A rule has the batch size at which the learning rate holds."""
        if self.rule != "none" and self.reference_batch_size is None:
            yield (
                ["reference_batch_size"],
                f"the rule {self.rule} needs the batch size at which the learning rate holds; valid is an integer of "
                "at least 1",
            )
        # Where the rule was taken away, the reference was inherited.
        if self.reference_batch_size is not None and "rule" not in self.model_fields_set:
            yield ["reference_batch_size"], "it is given without a rule; valid is rule: linear or rule: sqrt"


class Tuning(Written):
    """Choose the learning rate of each batch size by trials, one whole training per rate and tuning seed; the rate with
    the lowest mean of the best validation loss is used by the runs. null to use the optimizer's.
    """

    learning_rates: Annotated[
        List[_Rate], Field(min_length=3), DIFFERENT, valid("a list of at least three rates in ascending order")
    ]
    """Rates that every batch size tries, evenly spaced in the logarithm. They replace the optimizer's."""
    seeds: Annotated[
        List[Seed],
        Field(min_length=2),
        DIFFERENT,
        valid("a list of at least two different integers from 0 to 2147483647"),
    ]
    """Seeds of the trials; none may be a seed of the study."""
    widen: _Index = 3
    """While the best rate is at an edge of the grid, one more rate is tried beyond it; at most this many."""
    refine: _Index = 1
    """After that the rates half-way (in the logarithm) between the best and its neighbours are tried; so many times."""

    def conflicts(self) -> Iterator[Fault]:
        """The rates rise by nearly the same ratio."""
        rates = self.learning_rates
        if list(rates) != sorted(rates):
            yield ["learning_rates"], f"the rates are not in ascending order; valid is {sorted(rates)}"
        ratios = [high / low for low, high in pairwise(rates)]
        if max(ratios) > 1.2 * min(ratios):
            yield (
                ["learning_rates"],
                f"the rates are not evenly spaced in the logarithm, their ratios run from {min(ratios):.3g} to "
                f"{max(ratios):.3g}; valid are rates with nearly the same ratio, such as 0.01, 0.03, 0.1",
            )


class Snapshots(Written):
    """When a run keeps its weights, for the probes of a study; each time takes 4 bytes per weight on disk."""

    at: Annotated[
        List[Annotated[float, Field(ge=0, le=1)]], DIFFERENT, valid("a list of different numbers from 0 to 1")
    ] = ()
    """Shares of the budget; 0 is before the first update, 1 after the last, also of a run that stopped early. Others
    are taken at the next evaluation.
    """
    train_losses: Annotated[
        List[Annotated[float, Field(ge=0)]], DIFFERENT, valid("a list of different numbers of at least 0")
    ] = ()
    """At the first evaluation whose training loss is at or below such a value, so that sizes meet."""


class EarlyStopping(Written):
    """Stop when the validation loss no longer falls; null to use the whole budget."""

    patience: Positive = 3
    """Evaluations in a row without a new lowest validation loss after which a run stops."""
    restore_best: bool = True
    """Whether training ends with the weights of the evaluation with the lowest validation loss, as in Keras. Both
    these and the last weights are always evaluated; this says which of the two the recipe keeps.
    """


class Budget(Written):
    """How long a run trains, in `epochs` or in `updates`, and how often it is evaluated."""

    epochs: Positive | None = None
    """Passes over the training part; with early stopping, at most."""
    updates: Positive | None = None
    """Changes of the weights, the same number at every batch size, instead of `epochs`."""
    evaluations: Positive | None = None
    """How often a run is evaluated, spread evenly over the budget and at most once per update; null for once per
    epoch. Required with `updates`.
    """
    first_evaluation_at: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the budget after which a run is evaluated first; the others follow evenly spread in the logarithm,
    which tells apart small batch sizes that reach a target early. The nearest ones move to the shares of
    `snapshots.at`. Needs `evaluations`, at least 2. Null for evaluations at equal distances.
    """
    early_stopping: EarlyStopping | None = None

    def conflicts(self) -> Iterator[Fault]:
        """A budget counts one thing, and says when to evaluate where its epochs or early stopping do not."""
        if self.epochs is not None and self.updates is not None:
            yield ["updates"], "a budget has both epochs and updates; valid is one of the two"
        if self.epochs is None and self.updates is None:
            yield [], "a budget has neither epochs nor updates; valid is one of the two"
        if self.updates is not None and self.evaluations is None:
            yield (
                ["evaluations"],
                "a budget in updates needs it, since epochs differ in length; valid is an integer of at least 1",
            )
        if self.first_evaluation_at is None:
            return
        if self.evaluations is None or self.evaluations < 2:
            yield (
                ["first_evaluation_at"],
                "it spreads evaluations from this share of the budget to its end, so it needs at least two; valid is "
                "evaluations of at least 2 beside it, or null here",
            )
        if self.early_stopping is not None:
            yield (
                ["first_evaluation_at"],
                "early stopping counts evaluations, which would lie further and further apart; valid is "
                "early_stopping: null beside it, or null here",
            )


class Recipe(Written):
    """How a network is trained: what is left after `extends` was merged."""

    extends: Annotated[str, valid("the name of another recipe")] = Field("", exclude=True)
    """Name of another recipe whose keys are taken over; keys given here replace them, mapping by mapping. A `model` or
    `optimizer` of another kind replaces the whole mapping.
    """
    model: Model
    """The network, built in (`name`) or your own (`function`)."""
    optimizer: Optimizer
    """Optimizer and its options, named as in Keras 3."""
    learning_rate_scaling: LearningRateScaling = defaults(LearningRateScaling)
    tuning: Tuning | None = None
    snapshots: Snapshots = defaults(Snapshots)
    micro_batch_size: Positive | None = None
    """Examples per gradient pass where gradients are accumulated into one update; null to take the batch in one pass.
    """
    last_batch: Literal["keep", "drop"] = "keep"
    """What happens to the last, smaller batch of an epoch where the batch size does not divide N."""
    shuffle: bool = True
    """Whether each epoch has an order of its own."""
    evaluation_batch_size: Positive = 1000
    """Examples per pass when loss and accuracy are evaluated; it changes speed and memory, not results."""
    budget: Budget
    tracked_weight: Annotated[
        Annotated[List[_Index], Field(min_length=1)] | None, valid("a list of integers of at least 0, or null")
    ] = None
    """Index in the model's first kernel of the weight whose path is recorded; null for the one with the largest
    gradient before training. An MLP's kernel is (feature, unit), a CNN's (row, column, channel, filter).
    """

    def conflicts(self) -> Iterator[Fault]:
        """One thing sets the rate of a batch size, and the tracked weight is one of the model's."""
        scaling, epochs = self.learning_rate_scaling, self.budget.epochs
        if scaling.rule == "adam-sde" and self.optimizer.name not in ("adam", "adamw"):
            yield (
                ["learning_rate_scaling", "rule"],
                f"adam-sde is a rule for adam and adamw, and the optimizer is {self.optimizer.name}; valid is one of "
                "none, linear, sqrt",
            )
        if epochs is not None and scaling.warmup_epochs > epochs:
            yield (
                ["learning_rate_scaling", "warmup_epochs"],
                f"{scaling.warmup_epochs:g} is more than the {epochs} epochs of the budget; valid is a number from 0 "
                f"to {epochs}",
            )
        if self.tuning is not None and scaling.rule != "none":
            yield (
                ["learning_rate_scaling", "rule"],
                f"the rule {scaling.rule} and tuning both set the rate of a batch size; valid is rule: none, or "
                "tuning: null",
            )
        for keys, sentence in networks.faults_of_index(self.model, self.tracked_weight):
            yield ["tracked_weight", *keys], sentence


RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def settle(recipe: Recipe, locate: Locate) -> Recipe:
    """The recipe once its optimizer is checked, without a reference batch size whose rule was taken away.

    Raises:
        ConfigError: one sentence on what to change.
    """
    optimizer_options.check(recipe.optimizer, locate)
    scaling = recipe.learning_rate_scaling
    if scaling.rule != "none":
        return recipe
    bare = scaling.model_copy(update={"reference_batch_size": None})
    return recipe.model_copy(update={"learning_rate_scaling": bare})
