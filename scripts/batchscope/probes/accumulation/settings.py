"""What a study says about the probe of accumulation."""

from __future__ import annotations

from pydantic import Field

from batchscope.probes import settings
from batchscope.probes.settings import Names, Request


class Settings(settings.Settings):
    """Whether accumulating micro batches gives the weights of the whole batch."""

    recipes: Names = Field(description="Recipes of this study that are tried; none may accumulate itself.")
    batch_size: int = Field(ge=2, description="Examples per update.")
    micro_batch_size: int = Field(ge=1, description="Examples per gradient pass, below `batch_size`.")
    updates: int = Field(20, ge=1, description="Updates after which the weights are compared.")

    def check(self, request: Request) -> None:
        """Refuse recipes that accumulate themselves or have no rate yet, and sizes that do not fit."""
        request.refuse_accumulating()
        whole, micro = self.batch_size, self.micro_batch_size
        if micro >= whole:
            why = f"{micro} is not below the batch size of {whole}; valid is an integer from 1 to {whole - 1}"
            raise request.refuse("micro_batch_size", why=why)
        for position, (name, recipe) in enumerate(request.recipes.items()):
            if recipe.content["tuning"] is not None:
                why = f"{name} has no rate of its own before its tuning; valid is a recipe with tuning: null"
                raise request.refuse("recipes", position, why=why)
        request.refuse_larger("train", whole, "batch_size", lowest=2)
