"""The figures of a study: one SVG file per figure, data set and recipe. Imports no plotting library until one is drawn.

`FIGURES` lists those of the runs in the order of the report; probes have their own. A rule or a notebook loops over it:

    frames = select(tables, "digits", "mlp")                     # one data set and recipe
    FIGURES["curves_loss"].render(frames, "digits/mlp/curves_loss.svg")
    text = FIGURES["curves_loss"].caption(frames)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from batchscope.tables.metrics import OTHER_CURVES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from batchscope.figures.frames import Frames


@dataclass(frozen=True)
class FigureSpec:
    """A figure: its title, and the module with the functions `draw_NAME`, `caption_NAME` and `alt_NAME`.

    The title holds whatever was measured; a function `title_NAME` of the module names what was.

    The figure is drawn only for a data set and recipe about which every table in `needs` has rows; of a need such
    as `to_target.seconds`, with something in that column, of `evaluations.train_loss|validation_loss` in one of two.
    The page shows it only where it has what it `adds`, too: else another figure of the page shows all that it does.
    A figure that is not `listed` is the same as another, drawn for another screen.
    """

    name: str
    title: str
    module: str
    needs: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    listed: bool = True

    @property
    def group(self) -> str:
        """What a study must have for the figure to be drawn: `runs` of its own, what `FOLLOWED` names on the way,
        `targets`, `times` on the way to them, `tuning`; of a probe, that probe.
        """
        found = [key for need in self.needs for key in (need, need.partition(".")[0])]
        return next((_GROUPS[key] for key in found if key in _GROUPS), "runs")

    def has_rows(self, frames: Frames) -> bool:
        """Whether there is anything to draw for this data set and recipe."""
        return all(_is_met(need, frames) for need in self.needs)

    def is_shown(self, frames: Frames) -> bool:
        """Whether the page shows it for this data set and recipe."""
        return self.has_rows(frames) and all(_is_met(need, frames) for need in self.adds)

    def draw(self, frames: Frames) -> Figure:
        """The figure in the theme of the report; it says so where there is nothing to draw."""
        from batchscope.figures import theme

        with theme.applied():
            if not self.has_rows(frames):
                made, (axes,) = theme.figure(1, 1, 2.0)
                theme.say(axes, "not measured")
                return made
            return cast("Callable[[Frames], Figure]", self._function("draw"))(frames)

    def render(self, frames: Frames, path: str | Path) -> None:
        """Draw the figure and write it as SVG with its title and alternative text."""
        from batchscope.figures import theme

        title = f"{self.heading(frames)}: {frames.dataset}, {frames.recipe}"
        theme.save(self.draw(frames), path, title=title, alt=self.alt(frames))

    def heading(self, frames: Frames) -> str:
        """The title for this data set and recipe: it names nothing that was not measured."""
        named = getattr(self._functions(), f"title_{self.name}", None) if self.has_rows(frames) else None
        return self.title if named is None else cast("Callable[[Frames], str]", named)(frames)

    def caption(self, frames: Frames) -> str:
        """What is drawn, over how many seeds, and what lines, bands and bars are. One paragraph of plain text."""
        if not self.has_rows(frames):
            return f"{self.title}: not measured."
        return cast("Callable[[Frames], str]", self._function("caption"))(frames)

    def alt(self, frames: Frames) -> str:
        """The main reading of the figure in words, for those who do not see it."""
        if not self.has_rows(frames):
            return f"{self.title}: not measured."
        return cast("Callable[[Frames], str]", self._function("alt"))(frames)

    def _function(self, kind: str) -> object:
        return getattr(self._functions(), f"{kind}_{self.name}")

    def _functions(self) -> ModuleType:
        return import_module(f"batchscope.figures.{self.module}")


def _is_met(need: str, frames: Frames) -> bool:
    table, _, column = need.partition(".")
    rows = frames.of(table)
    found = rows[[name for name in column.split("|") if name in rows]] if column else rows
    return not (rows.empty or (column and found.isna().all(axis=None)))


FOLLOWED: dict[str, tuple[str, ...]] = {
    "losses": ("train_loss", "validation_loss"),
    "accuracies": ("train_accuracy", "validation_accuracy"),
    "others": OTHER_CURVES,
}
"""By group of figures, the columns of evaluations that they show."""
_LOSSES, _ACCURACIES, _OTHERS = (f"evaluations.{'|'.join(columns)}" for columns in FOLLOWED.values())
_ANSWER = ("best.value_mean", "recommendation")
_RESULTS = ("best.value_ci_low|accuracy_mean",)  # else the answer shows all there is
_SPECS = (
    FigureSpec("answer", "How the batch sizes compare", "answer", _ANSWER),
    FigureSpec("answer_narrow", "How the batch sizes compare, for a phone", "answer", _ANSWER, listed=False),
    FigureSpec("curves_article", "Loss of single runs, one panel per batch size", "curves", (_LOSSES,)),
    FigureSpec("curves_loss", "Learning curves of the loss", "curves", (_LOSSES,)),
    FigureSpec("curves_accuracy", "Learning curves of the accuracy", "curves", (_ACCURACIES,)),
    FigureSpec("curves_others", "Learning curves of other results", "curves", (_OTHERS,)),
    FigureSpec("accuracy_vs_batch", "Result against batch size", "results", _ANSWER, _RESULTS),
    FigureSpec("gap_vs_batch", "Generalisation gap against batch size", "results"),
    FigureSpec("updates_vs_batch", "Updates and epochs against batch size", "results"),
    FigureSpec("outcomes", "How the runs ended", "results"),
    FigureSpec("time_per_epoch", "Time per update and per epoch", "results", ("timings.seconds_per_update",)),
    FigureSpec("throughput", "Examples per second", "results", ("timings.seconds_per_update",)),
    FigureSpec("memory", "Peak memory", "results", ("summary.memory_bytes",)),
    FigureSpec("utilisation", "Utilisation", "results", ("summary.utilisation_percent",)),
    FigureSpec("step_losses", "Loss of single updates", "traces"),
    FigureSpec("noise_vs_batch", "Noise of the step loss against batch size", "results"),
    FigureSpec("gradient_norm", "Norm of the gradient of single updates", "traces"),
    FigureSpec("weight_path", "Path of one weight", "traces"),
)
_EVIDENCE = (
    FigureSpec("steps_to_target", "Updates to the targets", "scaling", ("to_target", "targets")),
    FigureSpec("examples_to_target", "Epochs to the targets", "scaling", ("to_target", "targets")),
    FigureSpec(
        "critical_vs_target", "Critical batch size against the target", "scaling", ("critical_batch_size.b_crit",)
    ),
    FigureSpec("time_to_target", "Time to the targets", "budgets", ("to_target.seconds", "targets")),
    FigureSpec("equal_budget", "Validation at equal budgets", "budgets", ("equal_budget",)),
    FigureSpec("tuning", "Tuning of the learning rate", "rates", ("trials",)),
    FigureSpec("rate_vs_batch", "Best learning rate against batch size", "rates", ("rates", "rate_slopes")),
    FigureSpec("pareto", "Training time against test error", "front", ("pareto",)),
)
# The table that says to which group a figure belongs; figures that need none of them are drawn in every study.
_GROUPS = {
    "recommendation": "answer",
    _LOSSES: "losses",
    _ACCURACIES: "accuracies",
    _OTHERS: "others",
    "trials": "tuning",
    "rate_slopes": "tuning",
    "to_target.seconds": "times",
    "to_target": "targets",
    "critical_batch_size": "targets",
}
FIGURES: dict[str, FigureSpec] = {spec.name: spec for spec in (*_SPECS, *_EVIDENCE)}
