"""What the reference engine computes, known without NumPy."""

from __future__ import annotations

from batchscope.training.engines import About
from batchscope.training.recipes import Recipe

NO_FIT = "has no loop fit; valid is loop: fused, and a study without the probe overheads"
_OPTIONS = ("nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema")


def _refuse(recipe: Recipe, loop: str) -> str | None:
    if recipe["model"].get("name") != "mlp" or recipe["model"]["hidden"]:
        return "trains softmax regression alone; valid is model: {name: mlp, hidden: []}"
    options = recipe["optimizer"]
    set_ones = [name for name in _OPTIONS if options.get(name)]
    if options["name"] != "sgd" or set_ones:
        found = " with ".join([options["name"], *set_ones])
        return f"has no optimizer {found}; valid is sgd with learning_rate and momentum"
    return None if loop == "fused" else NO_FIT


ABOUT = About(
    packages=("numpy",),
    environment=("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"),
    refuse=_refuse,
    gpu=False,
)
