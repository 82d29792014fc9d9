"""What holds for every figure, whatever it shows: drawn once per study, and checked as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import fake_evidence
import fake_probes
import fake_results
import numpy as np
import pytest
from contrast import DARK, LIGHT, contrast, in_the_dark
from fake_evidence import IMPORT, TWO_METRICS, USUAL
from fake_external import followed
from fake_mechanics import SEEDS, cost_tables, frames_of, loop_windows, mode_table, rate_tables, tuned_rates
from fake_results import FakeStudy
from layout import check_layout
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure

from batchscope.figures import FigureSpec, theme
from batchscope.figures.frames import Frames, select
from batchscope.jobs.tables import study_tables
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.training.checkpoints import END

SMALL = FakeStudy(Path(), datasets={"digits": 96}, batch_sizes=(4, 32, "full"), seeds=(1, 2, 3), epochs=4)
TINY = replace(SMALL, batch_sizes=(4, "full"), seeds=(1, 2))
EVERYTHING = [(size, seed) for size in TINY.batch_sizes for seed in TINY.seeds]
BLANK = ("train_loss", "validation_accuracy", "selected_test_accuracy", "step_loss_noise", "host_memory_peak_bytes")
MANY = (1, 2, 4, 8, 16, 512, 1024, "full")


def made_up(study: FakeStudy) -> Frames:
    with TemporaryDirectory() as folder:
        tables = fake_results.tables(fake_results.write(replace(study, root=Path(folder))))
    return select(tables, "digits", "mlp")


def runs(**changes: object) -> Callable[[], Frames]:
    return partial(made_up, replace(SMALL, **changes))  # type: ignore[arg-type]


def evidence(**changes: object) -> Callable[[], Frames]:
    return partial(fake_evidence.make, replace(USUAL, **changes))  # type: ignore[arg-type]


def histories(**keys: object) -> Frames:
    with TemporaryDirectory() as folder:
        return select(study_tables(followed(Path(folder), **keys)), "d", "r")  # type: ignore[arg-type]


def probes(**changes: object) -> Callable[[], Frames]:
    return partial(fake_probes.make, fake_probes.FakeProbes(**changes))  # type: ignore[arg-type]


def mechanics(sizes: Sequence[int | str], seeds: Sequence[int] = SEEDS, *, tuned: bool = True) -> Frames:
    probed = {**rate_tables(sizes, seeds), "rates": tuned_rates(sizes, tuned=tuned)}
    probed["modes"] = mode_table(sizes[:3], (1, 8, 64), seeds)
    return frames_of(sizes, seeds, **probed, **cost_tables(loop_windows(sizes)))


STUDIES: dict[str, Callable[[], Frames]] = {
    "runs": runs(batch_sizes=(1, 2, 4, 64, "full"), gpu=True),
    "some failed": runs(outcomes={(4, 1): "diverged", (4, 2): "diverged", ("full", 1): "out_of_memory"}),
    "all diverged": partial(made_up, replace(TINY, outcomes=dict.fromkeys(EVERYTHING, "diverged"))),
    "all out of memory": partial(made_up, replace(TINY, outcomes=dict.fromkeys(EVERYTHING, "out_of_memory"))),
    "one run": runs(batch_sizes=(32,), seeds=(7,)),
    "one epoch, no timings": partial(made_up, replace(TINY, epochs=1, timings=False)),
    "nulls": partial(made_up, replace(TINY, blank=BLANK)),
    "evidence": evidence(batch_sizes=MANY, laws=TWO_METRICS, energy=True),
    "import": partial(fake_evidence.make, IMPORT),
    "one run with targets": evidence(batch_sizes=(16,), seeds=(7,)),
    "nothing reached": evidence(budget_epochs=1.0),
    "targets missed": evidence(budget_epochs=14.0, noise=0.2, timings=False),
    "full beside its own size": evidence(batch_sizes=(64, 1168, "full")),
    "all refused": evidence(refused=dict.fromkeys(USUAL.laws["validation_loss"], "the curve is not monotone.")),
    "probes": probes(batch_sizes=MANY, gradient_sizes=(1, 2, 4, 8, 16)),
    "probes of one seed": probes(seeds=(1,)),
    "probes of one size": probes(batch_sizes=(16,), gradient_sizes=(16,)),
    "probes without targets or momentum": probes(targets=False, momentum=False),
    "probes that met nowhere": probes(met=()),
    "probes of lost runs": probes(lost=((4, 2), (16, 1))),
    "probes, open and not estimable": probes(open_ended=((16, END),), not_estimable=((256, END),)),
    "histories": partial(histories),
    "histories of updates": partial(histories, axis="updates", every=10, n_train=None),
    "histories of accuracies": partial(histories, columns={"run": "run", "epochs": "at", "validation_accuracy": "acc"}),
    "histories of other results": partial(
        histories,
        columns={"run": "run", "epochs": "at", **{f"validation_{name}": "acc" for name in ("f1", "auc", "iou")}}
        | {"validation_perplexity": "loss"},
    ),
    "mechanics": partial(mechanics, MANY),
    "mechanics of few sizes": partial(mechanics, (1, 8, 64, "full")),
    "mechanics of one seed": partial(mechanics, MANY, (1,), tuned=False),
    "mechanics of one size": partial(mechanics, (32,)),
    "mechanics, full beside its own size": partial(mechanics, (64, 1168, "full")),
}
# Groups of figures by the tables that a made-up study fills; no other is drawn from it.
GROUPS = {
    **dict.fromkeys(list(STUDIES)[:7], ("answer", "runs", "losses", "accuracies", "targets", "times", "tuning")),
    **{
        study: ("losses", "accuracies", "others", "targets", "times")
        for study in STUDIES
        if study.startswith("histories")
    },
    **dict.fromkeys(list(STUDIES)[7:14], ("targets", "times", "tuning")),
    **{study: ("gradients", "sharpness") for study in STUDIES if study.startswith("probes")},
    **{study: ("rates", "modes", "overheads") for study in STUDIES if study.startswith("mechanics")},
}
OF_EVIDENCE = ("equal_budget", "pareto")  # of the group `runs`
WORDS = 60
BAND = 4.0  # points; a line as wide as this is one
# By the width of a drawing, how wide a phone of 390 pixels shows it, and how high its smallest type then is at least.
ON_A_PHONE = {theme.WIDTH: (464, 9), theme.NARROW: (96 * theme.NARROW, 11)}


@cache
def frames(study: str) -> Frames:
    return STUDIES[study]()


def specs(study: str) -> list[FigureSpec]:
    wanted = [spec for spec in STUDY_FIGURES.values() if spec.group in GROUPS[study]]
    wanted += [
        STUDY_FIGURES[name] for name in OF_EVIDENCE if "runs" not in GROUPS[study] and "targets" in GROUPS[study]
    ]
    return [spec for spec in wanted if spec.has_rows(frames(study))]


def test_every_figure_is_among_them() -> None:
    assert {spec.name for study in STUDIES for spec in specs(study)} == set(STUDY_FIGURES)


@pytest.mark.parametrize("study", STUDIES)
def test_every_figure_is_whole(study: str, tmp_path: Path) -> None:
    for spec in specs(study):
        made = spec.draw(frames(study))
        for axes in made.axes:
            check_lines(axes, spec.name)
            assert is_drawn(axes) or says_why(axes), spec.name
            check_batch_axis(axes, frames(study), spec.name)
        check_words(spec, frames(study))
        if study in ("runs", "some failed", "evidence", "probes", "mechanics"):
            check_file(made, spec, frames(study), tmp_path / f"{spec.name}.svg")
            check_layout(made)


@pytest.mark.parametrize(
    ("study", "name"),
    [
        ("nothing reached", "tuning"),
        ("probes", "loss_slices"),
        ("mechanics of few sizes", "rate_range"),
        ("probes without targets or momentum", "sharpness_vs_gap"),
    ],
)
def test_lines_and_points_have_their_batch_sizes_beside_them_and_no_legend(study: str, name: str) -> None:
    made = STUDY_FIGURES[name].draw(frames(study))
    made.draw_without_rendering()
    assert not made.legends
    labels = {text.get_text(): text.get_window_extent() for text in made.axes[0].texts if text.get_text()}
    assert {*labels} == {"full" if size.full_batch else size.label for size in frames(study).sizes}
    assert not any(one.overlaps(other) for one, other in combinations(labels.values(), 2))


def is_drawn(axes: Axes) -> bool:
    """Whether the panel shows any number: a line or a cloud with a finite point, or a bar."""
    points = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines]
    points += [np.ma.filled(cloud.get_offsets(), np.nan)[:, 1] for cloud in axes.collections]
    return any(np.isfinite(y).any() for y in points) or any(bar.get_height() > 0 for bar in axes.patches)


def says_why(axes: Axes) -> bool:
    words = " ".join(text.get_text() for text in axes.texts)
    return any(reason in words for reason in ("not measured", "no run ended ok", "not estimated"))


def check_batch_axis(axes: Axes, of: Frames, name: str) -> None:
    """Batch sizes stand on a log2 axis, its ticks the sizes of the study."""
    if not axes.get_xlabel().startswith("Batch size (examples per update)"):
        return
    assert (axes.get_xscale(), axes.xaxis.get_transform().base) == ("log", 2), name  # type: ignore[attr-defined]
    assert set(axes.get_xticks()) <= {float(size.batch_size) for size in of.sizes}, name
    labels = {label.get_text().strip() for label in axes.get_xticklabels()} - {""}
    both = {f"{size.batch_size:,} and full" for size in of.sizes}
    assert labels <= {size.label for size in of.sizes} | both, name


def check_words(spec: FigureSpec, of: Frames) -> None:
    """Caption and alternative text are sentences without slips; a caption is short."""
    for text in (spec.caption(of), spec.alt(of)):
        assert text.endswith("."), spec.name
        for slip in (r"\bnan\b", "None", "  ", r"\.\.", r";\.", r" \."):
            assert not re.search(slip, text), (spec.name, text)
    assert len(spec.caption(of).split()) <= WORDS, (spec.name, spec.caption(of))


def check_contrast(colour: Sequence[float], name: str) -> None:
    """Words can be read (WCAG AA) on paper, on a shaded part, and where the page turns the light of a figure round."""
    for ground in ("white", theme.SHADE):
        there = to_rgb(ground)
        assert contrast(colour, there) >= 4.5, (name, colour, there)
        assert contrast(in_the_dark(colour), in_the_dark(there)) >= 4.5, (name, colour, there)


def check_lines(axes: Axes, name: str) -> None:
    """Lines stand out from the page in both themes, also those of single runs: in their colour, and a pixel wide."""
    for line in axes.lines:
        if line.get_linestyle() == "None" or not 0 < line.get_linewidth() < BAND:
            continue
        *colour, alpha = to_rgba(line.get_color(), line.get_alpha())
        there = [alpha * part + 1 - alpha for part in colour]
        assert contrast(there, LIGHT) >= 3, (name, line.get_color(), alpha)
        assert contrast(in_the_dark(there), DARK) >= 3, (name, line.get_color(), alpha)
        assert 96 / 72 * line.get_linewidth() >= 1, (name, line.get_linewidth())


def check_file(made: Figure, spec: FigureSpec, of: Frames, file: Path) -> None:
    """The SVG has title, description and legible text, no path through nothing and no mathematics."""
    theme.save(made, file, title=spec.title, alt=spec.alt(of))
    text, svg = file.read_text(encoding="utf-8"), "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(text)
    title, description = root.find(f"{svg}title"), root.find(f"{svg}desc")
    assert title is not None
    assert description is not None
    assert (title.text, description.text) == (spec.title, spec.alt(of)), spec.name
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert not re.search(r'\bd="[^"]*nan', text, re.IGNORECASE), spec.name
    assert "$" not in text, spec.name
    # Matplotlib's px are points here.
    sizes = [float(found) for found in re.findall(r"font(?:-size)?: (?:\w+ )*([\d.]+)px", text)]
    width = float(str(root.get("width")).removesuffix("pt"))
    room, least = ON_A_PHONE[round(width / 72, 3)]
    assert min(sizes) * room / width >= least, spec.name
    fills = dict(re.findall(r"\.(\w+)\{[^}]*?fill: (#\w+)", text))
    for look in re.findall(r'<text [^>]*?(?:class|style)="([^"]*)"', text):
        colour = re.search(r"fill: (#\w+)", look) or next(fills[name] for name in look.split() if name in fills)
        check_contrast(to_rgb(colour if isinstance(colour, str) else colour[1]), spec.name)
