"""A record of each kind is cut short, and another has one bit turned without a new time stamp."""

from __future__ import annotations

import os
from pathlib import Path

from bench import Bench, Cases, run

OWN, TUNED = "runs/flowers/own/bs8/seed1", "runs/flowers/tuned/bs8/seed1"
TIMING, TUNING = "timings/flowers/own/bs8", "tunings/flowers/tuned/bs8"
PROBES = {
    "gradients": ("gradients", "noise_scale"),
    "sharpness": ("sharpness", "slices"),
    "rates": ("rate_ranges", "rate_curves"),
    "modes": ("modes",),
    "accumulation": ("accumulation",),
}
# Each: what is due then; a record cut short, of one job, and one of another with a bit turned, both with their old time
# stamps, so that nothing but their content tells.
BOTH = [
    ("tables", f"{OWN}/run.parquet", f"{TUNED}/run.parquet"),
    ("tables", f"{OWN}/steps.parquet", f"{TUNED}/steps.parquet"),
    ("tables", f"{TUNED}/evaluations.parquet", f"{OWN}/evaluations.parquet"),
    ("tables", f"{TUNED}/manifest.json", f"{OWN}/manifest.json"),
    ("tables", f"{TIMING}/timing.parquet", f"{TUNING}/trials.parquet"),
    ("tables", f"{TUNING}/trials.parquet", f"{TIMING}/windows.parquet"),
    ("tables", f"{TUNING}/manifest.json", f"{TIMING}/manifest.json"),
    ("tables", f"{TIMING}/windows.parquet", "tiny/probes/overheads/flowers/own/bs8/loop_windows.parquet"),
    ("tables", "tiny/probes/overheads/flowers/own/bs8/loop_windows.parquet", f"{TIMING}/timing.parquet"),
    ("report", "tiny/tables/summary.parquet", "tiny/tables/runs.parquet"),
    ("report", "tiny/tables/made_from.json", "tiny/tables/metrics.csv"),
]
# Each: what is due then, a record that is cut short in one case and has a bit turned in another, what is run.
ONE = [
    ("runs", "datasets/flowers/fixed.npz", "tables"),
    ("runs", "datasets/flowers/fixed.json", "tables"),
    ("probes", f"{OWN}/weights.npz", "tables"),
    ("probes", f"{OWN}/run.parquet", "tables"),
    *(
        ("tables", f"tiny/probes/{probe}/flowers/own/bs8/seed1/{name}.parquet", "tables")
        for probe, tables in PROBES.items()
        for name in tables
    ),
    ("tables", "tiny/probes/gradients/flowers/own/bs8/seed1/manifest.json", "tables"),
    ("report", "tiny/study.json", "all"),
    ("report", "tiny/manifest.json", "all"),
    ("report", "tiny/figures/flowers/own/curves_loss.svg", "all"),
]


def records(bench: Bench) -> Cases:
    """Every kind of record, cut and with a bit turned."""
    for due, cut, turned in BOTH:
        folder = bench.copy(due)
        times = (folder / "results" / cut).stat()
        _cut(folder / "results" / cut, bench)
        os.utime(folder / "results" / cut, ns=(times.st_atime_ns, times.st_mtime_ns))
        _turn(folder / "results" / turned, bench)
        first = run(folder, "tables")
        yield bench.ended("a record cut short, another with a bit turned", f"{cut}, {turned}", folder, first, "tables")
    for damage, fault in ((_cut, "a record cut short"), (_turn, "a record with a bit turned")):
        for due, name, target in ONE:
            folder = bench.copy(due)
            damage(folder / "results" / name, bench)
            first = run(folder, target)
            yield bench.ended(fault, name, folder, first, target)


def _cut(file: Path, _: Bench) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _turn(file: Path, bench: Bench) -> None:
    """Turn one bit; the time stamp stays, as where a disk forgets."""
    content, times = bytearray(file.read_bytes()), file.stat()
    content[bench.random.randrange(len(content))] ^= 1 << bench.random.randrange(8)
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
