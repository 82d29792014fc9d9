"""The findings that the chapters open with: one sentence each, with its number, made from the tables."""

from __future__ import annotations

from batchscope import text
from batchscope.analysis.external_runs.given import direction
from batchscope.figures.sheets import Row, interval, number
from batchscope.figures.targets import sentence_case
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report.content import Content, size
from batchscope.report.sections import costs
from batchscope.report.sections.rates import slope
from batchscope.report.sections.targets import wanted
from batchscope.stats import ALPHA
from batchscope.tables.cells import Pair
from batchscope.tables.metrics import METRICS

_RULE = (
    "Of the batch sizes that are not significantly worse than the one with the best mean (Holm-adjusted p above "
    f"{ALPHA}), the recommended one takes the least time to its selected evaluation"
)


def rule(content: Content) -> str:
    """How the recommended size is found."""
    if content.trained:
        return f"{_RULE}. Where another recipe tunes the learning rate for every size, its answer comes first."
    return (
        f"{_RULE}, or per epoch where the selected epoch is not known. Where runs have no results to compare, it has "
        "the least mean time to a target."
    )


def quality(content: Content, pair: Pair) -> str:
    """Which size has the best mean, and how far it lies from the worst."""
    known = [row for row in content.rows("best", pair) if number(row, "value_mean") is not None]
    if not known:
        return ""
    metric = METRICS[str(known[0]["metric"])]
    order = sorted(known, key=lambda row: float(row["value_mean"]), reverse=metric.better == "higher")
    best, worst = order[0], order[-1]
    name = f"Mean {metric.words}" if any(int(row["n"]) > 1 for row in known) else sentence_case(metric.words)
    which = "highest" if metric.better == "higher" else "lowest"
    if best is worst:
        return f"{name} at batch size {size(best)}: {_mean(best)}{_unit(metric.unit)}."
    other = "lowest" if which == "highest" else "highest"
    more = STUDY_FIGURES["accuracy_vs_batch"].is_shown(content.frames(pair))
    return (
        f"{name} is {which} at batch size {size(best)} ({_mean(best)}{_unit(metric.unit)}) and {other} at "
        f"{size(worst)} ({_mean(worst)}){'' if more else '; the figure of the answer shows all sizes'}."
    )


def speed(content: Content, pair: Pair) -> str:
    """How long an epoch takes at the fastest and the slowest size."""
    timed = [row for row in content.rows("best", pair) if number(row, "seconds_per_epoch") is not None]
    if not timed:
        return ""
    fast, slow = (pick(timed, key=lambda row: float(row["seconds_per_epoch"])) for pick in (min, max))
    if fast is slow:
        return f"An epoch takes {_seconds(fast)} at batch size {size(fast)}."
    times = text.ratio(float(slow["seconds_per_epoch"]) / float(fast["seconds_per_epoch"]))
    return (
        f"An epoch takes {times} times as long at batch size {size(slow)} ({_seconds(slow)}) as at {size(fast)} "
        f"({_seconds(fast)})."
    )


def target(content: Content, pair: Pair) -> str:
    """Which size gets to the target in the least time, and the critical batch size or what is known of it."""
    if content.of("to_target", pair).empty:
        return ""
    found, sentences = costs.goal(content, pair, "time_to_target"), _epochs(content, pair)
    if found is not None and number(found, "batch_size") is not None and isinstance(found["about"], str):
        others = costs.rivals(content, pair, found)
        least = f"Batch size {size(found)} has the least mean time to {found['about']}: {costs.measured(found)}"
        sentences.append(f"{least}{f' ({others})' if others else ''}.")
    if critical := costs.critical(content, pair):
        _, value, at = critical
        sentences.append(f"The critical batch size {at} is {value}.")
    if not sentences and found is not None:
        sentences.append(str(found["words"]))
    return " ".join(sentences)


def _epochs(content: Content, pair: Pair) -> list[str]:
    """Where nobody knows seconds: epochs to the tightest of the targets that all runs of the most sizes reached."""
    reached: dict[str, list[Row]] = {}
    for row in content.rows("targets", pair):
        if number(row, "epochs_mean") is not None and number(row, "target") is not None:
            reached.setdefault(wanted(row), []).append(row)
    if not reached or content.of("to_target", pair)["seconds"].notna().any():
        return []
    elsewhere = content.study["measurements"]
    tightest = max(
        reached.values(),
        key=lambda sizes: (len(sizes), -direction(str(sizes[0]["metric"]), elsewhere) * float(sizes[0]["target"])),
    )
    few, many = (pick(tightest, key=lambda row: float(row["epochs_mean"])) for pick in (min, max))
    to = f"Reaching {wanted(few)} takes {interval(few, 'epochs')} epochs at batch size {size(few)}"
    return [f"{to}." if few is many else f"{to} and {interval(many, 'epochs')} at {size(many)}."]


def noise(content: Content, pair: Pair) -> str:
    """How far the loss of a single batch strays at the smallest and the largest size that has a number."""
    known = [row for row in content.rows("summary", pair) if number(row, "noise_mean") is not None]
    if not known:
        return ""
    first, last = known[0], known[-1]
    if first is last:
        return f"The loss of single batches fluctuates by {_noise(first)} nat at batch size {size(first)}."
    return (
        f"The loss of single batches fluctuates by {_noise(first)} nat at batch size {size(first)} and by "
        f"{_noise(last)} nat at {size(last)}."
    )


def rate(content: Content, pair: Pair) -> str:
    """How the best learning rate grows with the batch size."""
    return " ".join(slope(row, trained=content.trained) for row in content.rows("rate_slopes", pair))


def _mean(row: Row) -> str:
    return interval(row, "value")


def _noise(row: Row) -> str:
    return text.number(number(row, "noise_mean"))


def _seconds(row: Row) -> str:
    return text.seconds(number(row, "seconds_per_epoch"))


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""
