"""The signatures of the optimizers of Keras, which `make schemas` keeps in training/optimizer_signatures.json."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from batchscope.training import engines  # noqa: E402
from batchscope.training.optimizer_signatures import PATH  # noqa: E402

# Optimizers with a learning rate of their own that cannot train any network of a study.
LEFT_OUT = {
    "Ftrl": "divides by the learning rate, which is zero in a timing, and forgets the first weights of a network",
    "Muon": "must not change the last layer, which it knows by a name that the user gives to layers",
    "ScheduleFreeAdamW": "trains at other weights than those it should be evaluated at, which Keras does not give",
}
# A framework's own scale of the loss and accumulation, for which a recipe has `micro_batch_size`; and names.
_NOT_OPTIONS = ("self", "kwargs", "name", "loss_scale_factor", "gradient_accumulation_steps")
_TYPE = re.compile(
    r"^(A float value or [^.]*\.|(A f|F)loating point value\.|(bool|float), defaults to \S+\.|[Bb]oolean\.) "
)
# Keras says of RMSprop's that it decays with 1 - momentum.
_BETTER = {"momentum": "Share of the last update that is carried into the next."}


def signatures() -> dict[str, Any]:
    """The optimizers of the installed Keras that can train any network: label and own options, by name."""
    return {
        name.lower(): {"label": name, "options": _options(kind)}
        for name, kind in sorted(kinds().items(), key=lambda each: each[0].lower())
        if name not in LEFT_OUT
    }


def kinds() -> dict[str, type]:
    """The classes of Keras that are optimizers with a learning rate of their own, by name."""
    engines.load("tensorflow")
    from batchscope.training.engines.keras.framework import keras

    found = inspect.getmembers(keras.optimizers, inspect.isclass)
    return {name: kind for name, kind in found if "learning_rate" in options(kind)}


def options(kind: type) -> dict[str, Any]:
    """The options of an optimizer that a study may set, and what each is where it is not given."""
    parameters = inspect.signature(kind).parameters
    return {name: each.default for name, each in parameters.items() if name not in _NOT_OPTIONS}


def shared() -> dict[str, Any]:
    """The options of every optimizer."""
    from batchscope.training.engines.keras.framework import keras

    base = options(keras.src.optimizers.base_optimizer.BaseOptimizer)
    return {name: default for name, default in base.items() if name != "learning_rate"}


def write() -> None:
    """Write the file that studies are read with."""
    PATH.write_text(json.dumps(signatures(), indent=2) + "\n", encoding="utf-8")


def _options(kind: type) -> dict[str, Any]:
    common, meanings = shared(), _meanings(kind)
    own = {name: default for name, default in options(kind).items() if common.get(name, ...) != default}
    odd = [name for name, default in own.items() if not isinstance(default, bool | int | float)]
    if odd:
        raise TypeError(f"{kind.__name__}: the type of {', '.join(odd)} does not follow from its default")
    described = {name: "" if name in ("learning_rate", *common) else meanings[name] for name in own}
    return {name: {"default": default, "meaning": described[name]} for name, default in own.items()}


def _meanings(kind: type) -> dict[str, str]:
    """What Keras says of each option, without its type and its default."""
    _, _, arguments = (inspect.getdoc(kind) or "").partition("Args:\n")
    found = re.findall(r"^    (\w+):\s(.*?)(?=^    \w+:|^\S|\Z)", arguments, flags=re.S | re.M)
    return {option: _meaning(" ".join(text.split())) for option, text in found} | _BETTER


def _meaning(text: str) -> str:
    text = re.sub(r"( name: String\..*| ?Defaults to \S+\.?)$", "", _TYPE.sub("", text))
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    write()
