"""What a study says about the probe of sharpness."""

from __future__ import annotations

from pydantic import Field

from batchscope.probes import settings
from batchscope.probes.settings import Names, Request
from batchscope.probes.sharpness.columns import looked_at


class Settings(settings.Settings):
    """Curvature and sharpness of the training loss with the weights kept at the end (`snapshots.at` with 1) and where
    the training loss had fallen to a value (`snapshots.train_losses`).
    """

    recipes: Names = Field(description="Recipes of this study whose runs are looked at.")
    examples: int = Field(
        1024,
        ge=16,
        description="Training examples on which the loss is taken, chosen at random and the same for every run; all "
        "where there are fewer.",
    )

    def check(self, request: Request) -> None:
        """Refuse recipes that keep no weights to look at."""
        for recipe in request.recipes.values():
            if not any(looked_at(checkpoint) for checkpoint in settings.kept(recipe)):
                why = (
                    "the probe of sharpness needs the last weights or those at training losses; valid is at: [1], or "
                    "train_losses"
                )
                raise settings.refuse_snapshots(recipe, why)
