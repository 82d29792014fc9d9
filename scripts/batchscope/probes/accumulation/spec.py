"""The probe of accumulation: what is known of it before it measures."""

from __future__ import annotations

from batchscope.probes.accumulation.columns import RECORDS
from batchscope.probes.probe import Probe

PROBE = Probe(
    name="accumulation",
    title="Accumulation",
    looks_at="runs",
    records=RECORDS,
    rows={"accumulation": "One row per run and micro batch: whether accumulated gradients give the same weights."},
)
