"""What a training did to the machine: GPU through NVML, host through psutil and RAPL, read by one sampler thread.

    with telemetry.Sampler(0.25, gpus=telemetry.first(telemetry.available_gpus())) as sampler:
        train()
    sampler.result.summary["gpu_energy_joules"]     # 5231.8, or None with the reason in result.not_measured

Nothing here raises into the training: what cannot be read is null, and the reason is kept.
"""

from .sampler import Sampler, Telemetry
from .summary import Sample, Summary, summarise, time_weighted_mean
from .visible import Gpu, Selection, available_gpus, first, gpu_names, no_gpus

__all__ = [
    "Gpu",
    "Sample",
    "Sampler",
    "Selection",
    "Summary",
    "Telemetry",
    "available_gpus",
    "first",
    "gpu_names",
    "no_gpus",
    "summarise",
    "time_weighted_mean",
]
