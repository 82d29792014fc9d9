"""What the study asks, on what it rests, and a warning where the machine was not used as its owner would expect."""

from __future__ import annotations

from datetime import datetime

from batchscope import text
from batchscope.report import elements
from batchscope.report.content import Content
from batchscope.report.sections.elsewhere import all_runs
from batchscope.tables.cells import SIZE


def question(content: Content) -> str:
    """The question and the scope; below them a warning where the machine has a GPU that was not used."""
    asked = elements.paragraph(content.study["question"], "lede")
    return asked + elements.paragraph(scope(content), "scope") + unused_gpus(content)


def scope(content: Content) -> str:
    """How many batch sizes, seeds and runs, on what, and when: one line."""
    runs = content.tables["runs"]
    sizes = {"full" if full else size for size, full in runs[SIZE].itertuples(index=False)}
    parts = [text.count(len(sizes), "batch size")]
    if content.trained:
        parts.append(text.count(runs["seed"].nunique(), "seed"))
    every = len(runs) if content.trained else all_runs(content)
    parts.append(text.count(every, "run"))
    if every > len(runs):
        parts.append(f"{text.integer(len(runs))} at the best learning rate of their size")
    if len(content.pairs) > 1:
        parts.append(text.count(len(content.pairs), "workload"))
    parts += [_machine(content), _day(content)] if content.trained else ["measured elsewhere"]
    return " · ".join(filter(None, parts))


def _machine(content: Content) -> str:
    """The engine with its version, and what it ran on."""
    used = content.tables["runs"]["engine"].dropna().unique()
    versions = [each for each in content.manifest.get("versions_training", ()) if isinstance(each, dict)]
    named = []
    for engine in used:
        found = {str(each[engine]) for each in versions if engine in each}
        version = ".".join(found.pop().split(".")[:2]) if len(found) == 1 else ""
        named.append(f"{engine} {version}".strip())
    gpus = sorted({str(each.get("name")) for each in content.manifest.get("gpus", ()) if isinstance(each, dict)})
    cores = {each.get("cores_usable") for each in content.manifest.get("hosts", ())}
    on_gpu = (content.tables["runs"]["device"] == "gpu").any()
    machine = text.listing(gpus) if on_gpu else f"{text.count(cores.pop(), 'CPU core')}" if len(cores) == 1 else ""
    return " on ".join(filter(None, (text.listing(named), machine)))


def _day(content: Content) -> str:
    ended = content.manifest.get("last_job_ended_at")
    return f"{datetime.fromisoformat(ended):%-d %B %Y}" if isinstance(ended, str) else ""


def unused_gpus(content: Content) -> str:
    """The warning; empty where no GPU was left unused."""
    numerics = content.manifest.get("numerics", ())
    found = {name for each in numerics for name in each.get("unused_gpus", ())}
    if not found:
        return ""
    sentence = (
        f"Everything ran on the CPU, although the driver shows a GPU here ({text.listing(sorted(found))}): the "
        "framework lacks what it needs to use it. `make report DEVICE=gpu` installs that and runs the study on the "
        "GPU; under conda the same is `--config device=gpu`."
    )
    return elements.box("caution", elements.paragraph(sentence))
