"""What a study says about the probe of overheads."""

from __future__ import annotations

from pydantic import Field

from batchscope.probes import settings
from batchscope.probes.settings import Names, Request


class Settings(settings.Settings):
    """Where the time of an update goes, each cell alone on the machine: the compiled loop, Keras' own loop and a loop
    that only reads the data.
    """

    recipes: Names = Field(description="Recipes of this study that are timed in this way.")

    def check(self, request: Request) -> None:
        """Refuse recipes that accumulate micro batches, which Keras' own loop cannot, and engines without that loop."""
        request.refuse_accumulating()
        request.refuse_loop("fit")
