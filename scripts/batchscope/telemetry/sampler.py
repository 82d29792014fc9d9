"""The sampler: one thread that reads host and GPUs while a block of code runs."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from .host import HOST_COLUMNS, Host
from .nvml import GPU_COLUMNS, Device, UnavailableError, driver
from .summary import Reasons, Sample, summarise
from .visible import Gpu, Selection, available_gpus

LOG = logging.getLogger(__name__)

T = TypeVar("T")

# How long the end of the block waits for a reading that hangs in the driver.
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Telemetry:
    """What a sampler measured.

    `series`: one row per sample and GPU (one with `gpu` null without one), with the columns of the table `telemetry`
    less the identity. `summary`: the columns of `records.TELEMETRY_SUMMARY`. `not_measured`: one sentence for every
    null in the summary. `notes`: one sentence for every value that covers only a part of the block. `devices`: facts
    about each GPU, null where unknown.
    """

    series: list[dict[str, float | int | None]]
    summary: dict[str, float | int | None]
    not_measured: dict[str, str]
    notes: dict[str, str]
    devices: list[dict[str, Any]]


class Sampler:
    """Samples the machine every `interval_seconds` while its block runs; `result` holds the measurements afterwards.

    `gpus` selects the GPUs (default: `available_gpus()`); `powercap` is Linux's folder of CPU energy counters. The
    first and the last sample lie at the edges of the block, so that even a block shorter than the interval has two.
    Reading never raises into the block; an unexpected error is logged and becomes the reason of the nulls it causes.
    A sampler is used once. Raises `ValueError` for an interval that is not positive.
    """

    def __init__(
        self,
        interval_seconds: float = 0.25,
        gpus: Selection | None = None,
        powercap: Path = Path("/sys/class/powercap"),
    ) -> None:
        if not (interval_seconds > 0 and math.isfinite(interval_seconds)):
            raise ValueError(f"interval_seconds must be a positive number of seconds, not {interval_seconds!r}")
        self._interval = interval_seconds
        self._selection = gpus
        self._powercap = powercap
        self._gpus: tuple[Gpu, ...] = ()
        self._no_gpu: str | None = None
        self._host: Host | None = None
        self._devices: list[Device] = []
        self._samples: list[Sample] = []
        self._ended_early: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._driver = contextlib.ExitStack()
        self._result: Telemetry | None = None

    @property
    def result(self) -> Telemetry:
        """The measurements; raises `RuntimeError` while the block has not ended."""
        if self._result is None:
            raise RuntimeError("the sampler's block has not ended: there is no result yet")
        return self._result

    def __enter__(self) -> Self:
        self._contained(self._open_host)
        self._open_gpus()
        self._start = time.monotonic()
        self._contained(partial(self._sample, edge=True))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            # NVML stays open: shutting it down under a call that hangs may crash the process.
            self._end(f"a reading did not return within {_PATIENCE_SECONDS:g} s")
        else:
            if self._ended_early is None:
                self._contained(partial(self._sample, edge=True))
            self._contained(self._driver.close)
        self._result = self._measurements(tuple(self._samples))

    def _open_host(self) -> None:
        self._host = Host(self._powercap)

    def _open_gpus(self) -> None:
        try:
            selection = available_gpus() if self._selection is None else self._selection
            if not selection.gpus:
                self._no_gpu = selection.reason or "no GPU was selected"
                return
            nvml = self._driver.enter_context(driver())
            self._devices = [Device(nvml, gpu.uuid) for gpu in selection.gpus]
            self._gpus = selection.gpus
        except UnavailableError as error:
            self._no_gpu = str(error)
        except Exception as error:
            LOG.warning("the GPUs could not be opened", exc_info=True)
            self._no_gpu = _unexpected(error)

    def _run(self) -> None:
        number = 1
        while not self._stop.wait(max(0.0, self._start + number * self._interval - time.monotonic())):
            self._contained(partial(self._sample, edge=False))
            if self._ended_early is not None:
                return
            # Samples that were missed, because the block did not let go of the interpreter, are not made up for.
            number = math.floor((time.monotonic() - self._start) / self._interval) + 1

    def _sample(self, *, edge: bool) -> None:
        host = self._host
        if host is None:
            return
        _guarded(partial(host.search, force=edge), HOST_COLUMNS, host.reasons)
        elapsed = time.monotonic() - self._start
        host_values = _guarded(partial(host.read, elapsed), HOST_COLUMNS, host.reasons)
        gpu_values = [
            _guarded(partial(device.read, elapsed, host.processes), GPU_COLUMNS, device.reasons)
            for device in self._devices
        ]
        self._samples.append(
            Sample(
                elapsed,
                host_values or dict.fromkeys(HOST_COLUMNS),
                tuple(values or dict.fromkeys(GPU_COLUMNS) for values in gpu_values),
            )
        )

    def _contained(self, action: Callable[[], None]) -> None:
        """Run `action`; an error ends the sampling, with the error as the reason, and never reaches the block."""
        try:
            action()
        except Exception as error:
            LOG.warning("telemetry ends early", exc_info=True)
            self._end(_unexpected(error))

    def _end(self, reason: str) -> None:
        if self._ended_early is None:
            self._ended_early = reason

    def _measurements(self, samples: tuple[Sample, ...]) -> Telemetry:
        labels = [f"GPU {gpu.index} ({gpu.uuid})" for gpu in self._gpus]
        reasons = Reasons(
            host=self._host.reasons if self._host is not None else {},
            gpus={label: device.reasons for label, device in zip(labels, self._devices, strict=True)},
            no_gpu=self._no_gpu,
            ended_early=self._ended_early,
        )
        summary = summarise(samples, reasons)
        return Telemetry(
            series=[row for sample in samples for row in _rows(sample, self._gpus)],
            summary=summary.values,
            not_measured=summary.not_measured,
            notes=summary.notes,
            devices=[device.facts for device in self._devices],
        )


def _guarded(read: Callable[[], T], columns: tuple[str, ...], reasons: dict[str, str]) -> T | None:
    """What `read` gives; None after an error, which becomes the reason for `columns` and spares the other sources."""
    try:
        return read()
    except Exception as error:
        LOG.warning("telemetry could not be read", exc_info=True)
        reasons.update(dict.fromkeys(columns, _unexpected(error)))
        return None


def _unexpected(error: Exception) -> str:
    return f"an unexpected error while sampling: {type(error).__name__}: {error}"


def _rows(sample: Sample, gpus: tuple[Gpu, ...]) -> list[dict[str, float | int | None]]:
    head = {"elapsed_seconds": sample.elapsed, **sample.host}
    if not gpus:
        return [{**head, "gpu": None, **dict.fromkeys(GPU_COLUMNS)}]
    return [{**head, "gpu": gpu.index, **values} for gpu, values in zip(gpus, sample.gpus, strict=True)]
