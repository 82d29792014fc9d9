"""Sentences about runs on their way to a target, for captions and alternative texts."""

from __future__ import annotations

from batchscope.figures.frames import Frames
from batchscope.figures.targets import Target, costs_of, law_of, metrics_of, targets_of
from batchscope.figures.words import joined, plain, range_in_words, series_in_words

__all__ = ["all_targets", "fits_in_words", "imported", "joined", "runs_in_words", "targets_alt"]


def imported(frames: Frames) -> bool:
    """Whether the runs were measured elsewhere: then nothing says how finely they were looked at."""
    return len(frames.to_target) > 0 and bool(frames.to_target["evaluations_in_a_row"].isna().all())


def runs_in_words(frames: Frames) -> str:
    """What markers and bars are, over how many runs."""
    over = range_in_words(int(n) for n in frames.targets["n"])
    bars = ", with 95 % t-intervals" if frames.targets["n"].max() > 1 else ""
    hollow = f"{'; hollow markers: Kaplan-Meier medians' if _medians(frames) else ''}"
    missed = "; triangles: runs that ended before it" if not frames.to_target["reached"].astype(bool).all() else ""
    return f"Filled markers: means where all n = {over} runs reached it{bars}; dots: single runs{hollow}{missed}."


def _medians(frames: Frames) -> bool:
    """Whether a size that missed a target has a median."""
    missed = frames.targets[frames.targets["n_reached"] < frames.targets["n"]]
    return bool(missed["epochs_median"].notna().any())


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
    return joined([found, reasons])


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
