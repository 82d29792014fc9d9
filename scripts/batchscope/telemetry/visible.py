"""Which GPUs of the machine this job may use, named so that NVML finds the ones that CUDA uses.

CUDA and NVML number GPUs differently. NVML goes by PCI bus and ignores `CUDA_VISIBLE_DEVICES`. CUDA counts only what
that variable leaves visible, and numbers by speed unless `CUDA_DEVICE_ORDER=PCI_BUS_ID`. A GPU is therefore named by
its UUID here. The reading of `CUDA_VISIBLE_DEVICES` follows the CUDA programming guide ("CUDA environment variables"):
a list of numbers, of `GPU-…` UUIDs (a unique beginning suffices) or of `MIG-…` UUIDs; the first entry that names no
device ends the list; a device named twice empties it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .nvml import UnavailableError, describe, driver

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG instance of one: the NVML index of the card, and the UUID (`GPU-…` or `MIG-…`)."""

    index: int
    uuid: str


@dataclass(frozen=True)
class Selection:
    """GPUs in CUDA's order, or none and why. `order_known` is false where CUDA's order could not be told."""

    gpus: tuple[Gpu, ...]
    reason: str | None = None
    order_known: bool = True


def no_gpus(reason: str = "the job runs on the CPU") -> Selection:
    """The empty selection, for a job that uses no GPU; `reason` says why none is sampled."""
    return Selection((), reason)


def available_gpus(environment: Mapping[str, str] | None = None) -> Selection:
    """The GPUs that CUDA leaves visible to this process, in CUDA's order; none, with the reason, where NVML is missing.

    `environment` stands for `os.environ`. GPUs that NVML refuses to open are not counted, as CUDA does not count them
    either. Assumed: GPUs of one model are numbered by PCI bus under either setting of `CUDA_DEVICE_ORDER`. With several
    models and without `PCI_BUS_ID`, numbers in `CUDA_VISIBLE_DEVICES` that leave out a GPU select none here, because
    measuring the wrong GPU is worse than measuring none.
    """
    values = os.environ if environment is None else environment
    visible = values.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not visible.strip():
        return no_gpus("CUDA_VISIBLE_DEVICES is empty, which hides every GPU")
    try:
        with driver() as nvml:
            cards, models = _cards(nvml)
            if not cards:
                return no_gpus("NVML finds no GPU that this job may open")
            ordered = models == 1 or values.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
            if visible is None:
                return Selection(tuple(cards), None, ordered)
            return _visible(nvml, visible.strip(), cards, ordered)
    except UnavailableError as error:
        return no_gpus(str(error))
    except Exception as error:  # a driver that answers what the binding cannot read; no reason to stop a job
        LOG.warning("the GPUs could not be listed", exc_info=True)
        return no_gpus(f"the GPUs could not be listed: {type(error).__name__}: {error}")


def gpu_names() -> list[str]:
    """Name of every GPU that CUDA leaves visible to this process, its UUID where the driver knows no name."""
    found = available_gpus().gpus
    if not found:
        return []
    try:
        with driver() as nvml:
            handles = {gpu.uuid: nvml.nvmlDeviceGetHandleByUUID(gpu.uuid) for gpu in found}
            return [describe(nvml, uuid, handle, handle)["name"] or uuid for uuid, handle in handles.items()]
    except UnavailableError:  # it was there a moment ago
        return [gpu.uuid for gpu in found]


def first(selection: Selection) -> Selection:
    """The first GPU in CUDA's order, which frameworks take; none, with the reason, where it is unknown."""
    if len(selection.gpus) <= 1:
        return selection
    if not selection.order_known:
        return no_gpus(
            "the machine has several models of GPU, and CUDA's order of them is unknown; "
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )
    return replace(selection, gpus=selection.gpus[:1])


def _cards(nvml: Any) -> tuple[list[Gpu], int]:
    """Every GPU that can be opened, in NVML's order, and the number of different models among them."""
    cards: list[Gpu] = []
    models: set[str] = set()
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            card = Gpu(index, nvml.nvmlDeviceGetUUID(handle))
            models.add(nvml.nvmlDeviceGetName(handle))
        except nvml.NVMLError:
            continue
        cards.append(card)
    return cards, len(models)


def _visible(nvml: Any, visible: str, cards: Sequence[Gpu], ordered: bool) -> Selection:
    named = visible.startswith(("GPU-", "MIG-"))
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in visible.split(",")):
        gpu = _by_uuid(nvml, entry, cards) if named else _by_number(entry, cards)
        if gpu is None:
            break
        if gpu in chosen:
            chosen = []
            break
        chosen.append(gpu)
    if not chosen:
        return no_gpus(f"CUDA_VISIBLE_DEVICES={visible} names no GPU of this machine")
    if not named and not ordered and len(chosen) < len(cards):
        return first(Selection(tuple(cards), None, False))
    return Selection(tuple(chosen), None, named or ordered)


def _by_number(entry: str, cards: Sequence[Gpu]) -> Gpu | None:
    # CUDA reads a number like strtol, so that trailing text is ignored.
    number = re.match(r"[+-]?\d+", entry)
    place = int(number[0]) if number else -1
    return cards[place] if 0 <= place < len(cards) else None


def _by_uuid(nvml: Any, entry: str, cards: Sequence[Gpu]) -> Gpu | None:
    if entry.startswith("MIG-"):
        try:
            card = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml.nvmlDeviceGetHandleByUUID(entry))
            return Gpu(nvml.nvmlDeviceGetIndex(card), entry)
        except nvml.NVMLError:
            return None
    matches = [card for card in cards if entry.startswith("GPU-") and card.uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None
