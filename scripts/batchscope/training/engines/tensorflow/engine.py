"""The TensorFlow engine: Keras models and optimizers, trained in one compiled call per epoch or by `model.fit`."""

from __future__ import annotations

from batchscope.data.dataset import Data
from batchscope.training.engines import Engine
from batchscope.training.engines.keras import user_models
from batchscope.training.engines.tensorflow import settings, trainer
from batchscope.training.engines.tensorflow.framework import tf
from batchscope.training.engines.tensorflow.frozen import FrozenModel
from batchscope.training.engines.tensorflow.memory import memory_errors
from batchscope.training.plans import Plan


class TensorFlow:
    """See `engines.Engine`."""

    configure = staticmethod(settings.configure)
    build = staticmethod(trainer.build)
    freeze = FrozenModel

    @memory_errors()
    def prepare(self, plan: Plan, data: Data) -> None:
        """Build a user's model for the other seed that `build` compares it with."""
        user_models.prepare(settings.BACKEND, plan, data)

    def allocator_peak_bytes(self, device: str) -> tuple[int | None, str]:
        if device != "gpu":
            return None, "TensorFlow's CPU allocator keeps no statistics; see host_memory_peak_bytes"
        try:
            return int(tf.config.experimental.get_memory_info("GPU:0")["peak"]), ""
        except ValueError as error:  # as with the allocator that TF_GPU_ALLOCATOR may name
            return None, f"this allocator of the GPU keeps no statistics ({error})"


ENGINE: Engine = TensorFlow()
