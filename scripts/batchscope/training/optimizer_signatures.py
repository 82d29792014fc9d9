"""The optimizers that a recipe may name, with their own options, as `make schemas` read them from Keras.

They lie in optimizer_signatures.json, so that a study is read without a framework.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Option:
    """An option of an optimizer: what it is where a recipe does not give it, of the type that it must have."""

    default: bool | int | float
    meaning: str


@dataclass(frozen=True)
class Signature:
    """What an optimizer is called in Keras and in sentences, and its options but for those that all share.

    An option that all share is among them where its default is another one.
    """

    label: str
    options: dict[str, Option]


SIGNATURES: dict[str, Signature] = {
    name: Signature(known["label"], {option: Option(**values) for option, values in known["options"].items()})
    for name, known in json.loads(PATH.read_text(encoding="utf-8")).items()
}
"""Every optimizer, by the name that recipes use."""
