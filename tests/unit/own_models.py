"""Models of the user's own for tests: recipes whose model is a function of a file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from small import blobs, recipe

from batchscope.data.dataset import Data
from batchscope.training import loop as training
from batchscope.training.engines import Engine, Trainer
from batchscope.training.plans import Plan

HEAD = "import keras, random, time\nimport numpy as np\nimport tensorflow as tf\nfrom keras import layers, ops\n"
DENSE = "    return keras.Sequential([layers.Input(shape), layers.Dense(8, 'relu'), layers.Dense(classes)])\n"


def own(
    tmp_path: Path, body: str, name: str = "own_model.py", outputs: str = "logits", **changes: Any
) -> dict[str, Any]:
    """A recipe whose model is `build(shape, classes)` of a file with `body`."""
    (tmp_path / name).write_text(HEAD + textwrap.dedent(body))
    made = recipe(**{"budget": {"epochs": 1}, **changes})
    return {**made, "model": {"function": f"{tmp_path / name}:build", "arguments": {}, "outputs": outputs}}


def built(engine: Engine, made: dict[str, Any], seed: int = 1, data: Data | None = None) -> Trainer:
    return engine.build(Plan(made, 16, seed, "fused"), data or blobs())


def train(
    engine: Engine, made: dict[str, Any], *, seed: int = 1, loop: str = "fused", data: Data | None = None
) -> training.Progress:
    return training.train(engine, data or blobs(), Plan(made, 16, seed, loop), step_records=1000)


def losses(result: training.Progress) -> NDArray[np.float64]:
    return np.array([row["loss"] for row in result.steps])
