"""The metrics that a published number, which a study prints beside its own, may be about.

Nothing here imports pandas, so that a dry run is instant. `replication` finds the study's own numbers.
"""

from __future__ import annotations

from batchscope.claims.definitions import METRICS

NOISE_SCALE, CRITICAL = "noise_scale", "critical_batch_size"
UNITS = {name: metric.unit for name, metric in METRICS.items() if metric.table in ("runs", "sharpness")}
UNITS |= {NOISE_SCALE: "examples", CRITICAL: METRICS[CRITICAL].unit}
"""The metrics that a published number may be about, with their units."""
WORDS = {name: METRICS[name].words for name in UNITS if name in METRICS} | {NOISE_SCALE: "gradient noise scale"}
"""What they are called in a sentence."""


def probe_of(metric: str) -> str:
    """The probe that brings a metric; empty where runs alone do."""
    return "gradients" if metric == NOISE_SCALE else METRICS[metric].probe
