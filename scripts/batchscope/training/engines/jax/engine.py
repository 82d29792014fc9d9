"""The JAX engine: Keras models and optimizers, trained in one XLA program per epoch or by `model.fit`."""

from __future__ import annotations

from batchscope.data.dataset import Data
from batchscope.training.engines import Engine
from batchscope.training.engines.jax import cache, settings, together, trainer
from batchscope.training.engines.jax.framework import jax
from batchscope.training.engines.jax.frozen import FrozenModel
from batchscope.training.engines.jax.memory import memory_errors
from batchscope.training.engines.keras import user_models
from batchscope.training.plans import Plan


class Jax:
    """See `engines.Engine`."""

    configure = staticmethod(settings.configure)
    build = staticmethod(trainer.build)
    together = staticmethod(together.build)
    has_compiled = staticmethod(cache.has_grown)
    freeze = FrozenModel

    @memory_errors()
    def prepare(self, plan: Plan, data: Data) -> None:
        """Build a user's model for the other seed that `build` compares it with."""
        user_models.prepare(settings.BACKEND, plan, data)

    def allocator_peak_bytes(self, device: str) -> tuple[int | None, str]:
        if device != "gpu":
            return None, "JAX's CPU allocator keeps no statistics; see host_memory_peak_bytes"
        statistics = jax.devices("gpu")[0].memory_stats()
        if not statistics:
            return None, "this allocator of the GPU keeps no statistics"
        return int(statistics["peak_bytes_in_use"]), ""


ENGINE: Engine = Jax()
