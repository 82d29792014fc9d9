"""What a study says about the learning-rate range test."""

from __future__ import annotations

from pydantic import Field

from batchscope.probes import settings
from batchscope.probes.settings import Names, Request


class Settings(settings.Settings):
    """Learning-rate range test of each cell, one short training per seed of the study at rising rates."""

    recipes: Names = Field(description="Recipes of this study that are tried.")
    lowest: float = Field(1e-5, gt=0, description="Learning rate of the first update.")
    highest: float = Field(10.0, gt=0, description="Learning rate of the last update, above `lowest`.")
    updates: int = Field(200, ge=50, description="Updates over which the rate rises geometrically.")

    def check(self, request: Request) -> None:
        """Refuse a range that does not rise."""
        if self.lowest >= self.highest:
            why = f"{self.highest:g} is not above lowest, {self.lowest:g}; valid is a larger number"
            raise request.refuse("highest", why=why)
