"""What a study says about the probe of evaluation modes."""

from __future__ import annotations

from pydantic import Field

from batchscope.probes import settings
from batchscope.probes.settings import Names, Request, Sizes
from batchscope.training.checkpoints import END


class Settings(settings.Settings):
    """The validation loss of the same weights, those kept at the end, evaluated in batches of several sizes, with batch
    normalization in training mode and in inference mode.
    """

    recipes: Names = Field(description="Recipes of this study whose runs are looked at.")
    trained_with: Sizes = Field(description="Batch sizes of the runs whose weights are looked at.")
    batch_sizes: Sizes = Field(description="Sizes of the batches that are evaluated.")

    def check(self, request: Request) -> None:
        """Refuse recipes that do not keep the last weights, and batches larger than the validation part."""
        for recipe in request.recipes.values():
            if END not in settings.kept(recipe):
                why = "the probe of modes needs the last weights; valid is at: [1], also with others"
                raise settings.refuse_snapshots(recipe, why)
        for position, size in enumerate(self.batch_sizes):
            request.refuse_larger("validation", size, "batch_sizes", position)
