"""Sentences about runs on their way to a target, for captions and alternative texts."""

from __future__ import annotations

from collections.abc import Sequence

from batchscope.figures.frames import Frames
from batchscope.figures.targets import Target, costs_of, law_of, metrics_of, targets_of
from batchscope.figures.words import plain, series_in_words

NOT_NOISE_SCALE = "B_crit comes from these runs alone; it is not the noise scale of gradients and need not equal it."


def imported(frames: Frames) -> bool:
    """Whether the runs were measured elsewhere: then nothing says how finely they were looked at."""
    return len(frames.to_target) > 0 and bool(frames.to_target["evaluations_in_a_row"].isna().all())


def crossing_in_words(frames: Frames) -> str:
    """The rule by which a target counts as reached, and how finely the runs were looked at."""
    rows = frames.to_target[frames.to_target["reached"].astype(bool)]
    if imported(frames):
        return "When a target counts as reached was decided where the measurements were made."
    counts = sorted({int(count) for count in frames.to_target["evaluations_in_a_row"].dropna()})
    several = f"first of {' or '.join(map(str, counts))} successive evaluations"
    rule = f"A target counts as reached at the {several if counts[-1] > 1 else 'first evaluation'} at or below it."
    gaps = rows.loc[rows["epochs"] > 0, "resolution_epochs"].dropna()
    if gaps.empty:
        return rule
    low, high = plain(float(gaps.min()), digits=2), plain(float(gaps.max()), digits=2)
    wide = f"{high} {'epoch' if high == '1' else 'epochs'}" if low == high else f"{low} to {high} epochs"
    put = f"It is put half-way between that evaluation and the one before, which are {wide} apart"
    return f"{rule} {put}; where all runs of a size reach it between the same two, they show no spread."


def runs_in_words(frames: Frames) -> str:
    """What large and small markers and bars are, over how many runs."""
    counts = sorted({int(n) for n in frames.targets["n"]})
    number = f"n = {counts[0]} to {counts[-1]} runs" if len(counts) > 1 else f"n = {counts[0]} {_runs(counts[0])}"
    bars = "bars: their 95 % t-intervals, cut at the edges of the panel" if counts[-1] > 1 else "no bars: one run"
    return (
        f"Filled markers: means over {number} per batch size, only where all of them reached the target; {bars}; "
        "small dots: single runs."
    )


def unreached_in_words(frames: Frames) -> str:
    """Which targets not all runs of a size reached, as counts; that all did where it is so."""
    parts, medians = [], False
    for target in all_targets(frames):
        cells = []
        for size, cost in costs_of(frames, target, "epochs").items():
            if len(cost.ends):
                cells.append(f"{size.label}: {cost.n - len(cost.ends)} of {cost.n}")
                medians = medians or cost.median is not None
        if cells:
            parts.append(f"{target.label} (batch size {', '.join(cells)})")
    if not parts:
        return "All runs reached every target."
    return joined(
        [
            f"Not all runs reached {', '.join(parts)}.",
            "Triangles: runs that missed a target, where they ended (a run that diverged counts as followed as long as "
            "any; at the upper edge where that is not known in this unit); they are in no mean.",
            "Hollow markers: Kaplan-Meier medians where at least half of the runs reached it." if medians else "",
        ]
    )


def started_in_words(frames: Frames) -> str:
    """A sentence on runs that were at a target before they were trained; empty without such."""
    count = int((frames.to_target["epochs"] == 0).sum())
    if not count:
        return ""
    return f"{count} {_runs(count)} met a target before training: a log axis has no place for zero."


def fits_in_words(frames: Frames, table: str = "to_target") -> str:
    """B_crit of every target with its interval, and why fits were refused."""
    accepted, refused = [], []
    for target in all_targets(frames, table):
        law = law_of(frames, target)
        if law is None:
            refused.append(f"{target.label} (no fit)")
        elif not law.accepted:
            refused.append(f"{target.label} ({law.reason.removesuffix('.') or 'no reason given'})")
        else:
            assert law.b_crit is not None
            interval = "no interval"
            if law.low is not None and law.high is not None:
                interval = f"{plain(law.low, digits=3)} to {plain(law.high, digits=3)}"
            accepted.append(f"{plain(law.b_crit, digits=3)} ({interval}) at {target.label}")
    found = f"B_crit (95 % bootstrap interval over runs) is {', '.join(accepted)}." if accepted else ""
    reasons = f"There is none for {'; '.join(refused)}." if refused else ""
    return " ".join(part for part in (found, reasons) if part)


def all_targets(frames: Frames, table: str = "to_target") -> list[Target]:
    """The targets of all metrics."""
    return [target for metric in metrics_of(frames, table) for target in targets_of(frames, metric, table)]


def targets_alt(frames: Frames, cost_unit: str, words: str, unit: str = "") -> str:
    """`The mean WORDS to TARGET is ...` for every target; `unit` is that of the number, s or J."""
    sentences = []
    for target in all_targets(frames):
        values = [(size, cost.mean) for size, cost in costs_of(frames, target, cost_unit).items()]
        if any(value is not None for _, value in values):
            sentences.append(series_in_words(f"The mean {words} to {target.label}", values, unit))
        else:
            sentences.append(f"There is no mean {words} to {target.label}: not all runs of any batch size have one.")
    return " ".join(sentences)


def joined(parts: Sequence[str]) -> str:
    """The sentences that are not empty."""
    return " ".join(part for part in parts if part)


def _runs(count: int) -> str:
    return "run" if count == 1 else "runs"
