"""What a study says about the probe of gradients."""

from __future__ import annotations

from pydantic import Field

from batchscope.probes import settings
from batchscope.probes.settings import Names, Request, Sizes


class Settings(settings.Settings):
    """Statistics of mini-batch gradients and the gradient noise scale, with the weights kept at shares of the budget
    (`snapshots.at`).
    """

    recipes: Names = Field(description="Recipes of this study whose runs are looked at.")
    trained_with: Sizes = Field(description="Batch sizes of the runs whose weights are looked at.")
    batch_sizes: Sizes = Field(description="Sizes of the batches whose gradients are drawn; below `examples`.")
    examples: int = Field(
        4096,
        ge=16,
        description="Training examples that the batches are drawn from, chosen at random and the same for every run; "
        "all where there are fewer.",
    )
    batches: int = Field(
        200,
        ge=20,
        description="Batches drawn of each size, at least; of small sizes more, about four times each example.",
    )

    def check(self, request: Request) -> None:
        """Refuse recipes that keep no weights, and batches that are not smaller than what they are drawn from."""
        for recipe in request.recipes.values():
            if all(checkpoint.fraction is None for checkpoint in settings.kept(recipe)):
                why = "the probe of gradients needs weights kept by `at`; valid is at: [0, 0.5, 1], say"
                raise settings.refuse_snapshots(recipe, why)
        for dataset, n_train in request.examples("train").items():
            limit = min(self.examples, n_train or self.examples)
            for position, size in enumerate(self.batch_sizes):
                if size >= limit:  # their gradients would not differ
                    looked_at = f"the {limit:,} examples of {dataset} that are looked at"
                    why = f"batches of {size} cannot be drawn from {looked_at}; valid is an integer below {limit}"
                    raise request.refuse("batch_sizes", position, why=why)
