"""One GPU, read through NVML (the NVIDIA Management Library) with the binding nvidia-ml-py.

What NVML says about its readings (NVML API reference): utilisation is the share of the last sampling period, 1/6 s to
1 s, in which a kernel ran or memory was accessed; power is an average over 1 s on Ampere and newer (on GA100 and older
it is instantaneous); the energy counter counts millijoules since the driver was loaded (Volta and newer); utilisation
is not available where MIG is enabled.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

LOG = logging.getLogger(__name__)

Value = float | int | None

GPU_COLUMNS = (
    "gpu_utilisation_percent",
    "gpu_memory_controller_percent",
    "gpu_memory_device_bytes",
    "gpu_memory_process_bytes",
    "gpu_power_watts",
    "gpu_energy_joules",
    "gpu_sm_clock_mhz",
    "gpu_temperature_celsius",
)

_MIG_UTILISATION = "NVML does not report utilisation where MIG is enabled"
_MIG_POWER = "MIG is enabled, and NVML measures power and energy only for the whole card, which others may share"
_NO_PROCESS_MEMORY = "the driver does not report GPU memory per process"
_NOT_LISTED = (
    "NVML lists no process of this job on the GPU; it holds no memory there yet, "
    "or a container hides the process numbers that the driver knows"
)


class UnavailableError(RuntimeError):
    """NVML cannot be used; the message says why."""


@contextlib.contextmanager
def driver() -> Iterator[Any]:
    """NVML for the length of the block (the module `pynvml`); raise `UnavailableError` where it cannot be started."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        raise UnavailableError("the Python package nvidia-ml-py is not installed") from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError_LibraryNotFound as error:
        raise UnavailableError("the machine has no NVIDIA driver library (libnvidia-ml)") from error
    except (nvml.NVMLError, OSError, AttributeError) as error:  # the last two: a library that is damaged, or a stub
        raise UnavailableError(f"NVML cannot be started ({error})") from error
    try:
        yield nvml
    except nvml.NVMLError as error:
        raise UnavailableError(f"NVML failed ({error})") from error
    finally:
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            LOG.warning("NVML could not be shut down: %s", error)


@dataclass(frozen=True)
class _Query:
    """One NVML call, the columns it fills, and why it is left out where MIG is enabled (None: it is not)."""

    columns: tuple[str, ...]
    read: Callable[[Any, Any], tuple[Value, ...]]
    without_mig: str | None = None
    of_instance: bool = False


def _utilisation(nvml: Any, handle: Any) -> tuple[Value, ...]:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return rates.gpu, rates.memory


# The counter comes first: it is what the edges of the block are for.
_QUERIES = (
    _Query(("gpu_energy_joules",), lambda nvml, gpu: (nvml.nvmlDeviceGetTotalEnergyConsumption(gpu),), _MIG_POWER),
    _Query(("gpu_power_watts",), lambda nvml, gpu: (nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,), _MIG_POWER),
    _Query(("gpu_utilisation_percent", "gpu_memory_controller_percent"), _utilisation, _MIG_UTILISATION),
    # Version 1 of the call, because every driver has it: "used" includes what the driver reserves for itself.
    _Query(("gpu_memory_device_bytes",), lambda nvml, gpu: (nvml.nvmlDeviceGetMemoryInfo(gpu).used,), of_instance=True),
    _Query(("gpu_sm_clock_mhz",), lambda nvml, gpu: (nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),)),
    _Query(
        ("gpu_temperature_celsius",),
        lambda nvml, gpu: (nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),),
    ),
)


class Device:
    """One GPU or MIG instance, open for reading.

    `facts` describes it for the manifest, null where unknown. `reasons` says of each column why its last null was null.
    A GPU that cannot be opened reads null throughout.
    """

    def __init__(self, nvml: Any, uuid: str) -> None:
        self._nvml = nvml
        self._off: set[str] = set()
        self._energy_start: int | None = None
        self._handle = self._card = None
        self.reasons: dict[str, str] = {}
        self.facts: dict[str, Any] = {"uuid": uuid}
        try:
            self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
            instance = uuid.startswith("MIG-")
            self._card = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self._handle) if instance else self._handle
        except nvml.NVMLError as error:
            self._give_up(GPU_COLUMNS, f"the GPU could not be opened (NVML: {error})")
            self.facts = describe(nvml, uuid, None, None)
            return
        self.facts = describe(nvml, uuid, self._handle, self._card)
        for query in _QUERIES:
            if query.without_mig and (instance or self.facts["mig_mode"] == "enabled"):
                self._give_up(query.columns, query.without_mig)

    def read(self, elapsed: float, processes: Collection[int]) -> dict[str, Value]:
        """All of `GPU_COLUMNS`; `elapsed` seconds after the start, with the numbers of the job's `processes`."""
        values: dict[str, Value] = dict.fromkeys(GPU_COLUMNS)
        for query in _QUERIES:
            handle = self._handle if query.of_instance else self._card
            self._ask(query.columns, partial(query.read, self._nvml, handle), values, elapsed)
        self._ask(("gpu_memory_process_bytes",), lambda: (self._process_memory(processes),), values, elapsed)
        values["gpu_energy_joules"] = self._energy(values["gpu_energy_joules"])
        return values

    def _ask(
        self,
        columns: tuple[str, ...],
        read: Callable[[], tuple[Value, ...]],
        values: dict[str, Value],
        elapsed: float,
    ) -> None:
        if columns[0] in self._off:
            return
        nvml = self._nvml
        try:
            values.update(zip(columns, read(), strict=True))
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_ResetRequired, nvml.NVMLError_GpuNotFound) as error:
            self._give_up(GPU_COLUMNS, f"the GPU was lost {elapsed:.1f} s after the start (NVML: {error})")
        except nvml.NVMLError_NoPermission as error:
            self._give_up(columns, f"the driver does not allow this user to read it (NVML: {error})")
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound) as error:
            self._give_up(columns, f"this GPU or its driver does not report it (NVML: {error})")
        except nvml.NVMLError as error:
            # It may pass: the column stays on, and is asked for again at the next sample.
            self.reasons.update(dict.fromkeys(columns, f"NVML failed {elapsed:.1f} s after the start ({error})"))

    def _give_up(self, columns: Collection[str], reason: str) -> None:
        for column in set(columns) - self._off:
            self.reasons[column] = reason
        self._off.update(columns)

    def _energy(self, counter: Value) -> Value:
        """Joules since the first reading; without a first reading, or after a counter that went back, null for good."""
        if counter is None:
            if self._energy_start is None:
                self._give_up(("gpu_energy_joules",), "the energy counter could not be read at the start")
            return None
        if self._energy_start is None:
            self._energy_start = int(counter)
        if counter < self._energy_start:
            self._give_up(
                ("gpu_energy_joules",), "the energy counter went back, as it does when the driver is reloaded"
            )
            return None
        return (counter - self._energy_start) / 1000

    def _process_memory(self, processes: Collection[int]) -> int | None:
        listed = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        own = [process.usedGpuMemory for process in listed if process.pid in processes]
        if not own or None in own:
            self.reasons["gpu_memory_process_bytes"] = _NO_PROCESS_MEMORY if own else _NOT_LISTED
            return None
        return int(sum(own))


def describe(nvml: Any, uuid: str, handle: Any, card: Any) -> dict[str, Any]:
    """Facts about a GPU for the manifest; null where the driver does not say. `handle` is None for one not opened."""
    memory = {"version": nvml.nvmlMemory_v2}
    questions: Mapping[str, Callable[[], Any]] = {
        "index": lambda: nvml.nvmlDeviceGetIndex(card),
        "name": lambda: nvml.nvmlDeviceGetName(handle),
        "pci_bus_id": lambda: _text(nvml.nvmlDeviceGetPciInfo(card).busId),
        "driver_version": nvml.nvmlSystemGetDriverVersion,
        "mig_mode": lambda: "enabled" if nvml.nvmlDeviceGetMigMode(card)[0] else "disabled",
        "memory_total_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle, **memory).total,
        "memory_reserved_bytes": lambda: nvml.nvmlDeviceGetMemoryInfo(handle, **memory).reserved,
        "power_limit_watts": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(card) / 1000,
        "sm_clock_max_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(card, nvml.NVML_CLOCK_SM),
    }
    facts: dict[str, Any] = {"uuid": uuid, **dict.fromkeys(questions)}
    for name, ask in questions.items() if handle is not None else ():
        try:
            facts[name] = ask()
        except nvml.NVMLError as error:
            LOG.debug("GPU %s: %s is unknown (NVML: %s)", uuid, name, error)
    return facts


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
