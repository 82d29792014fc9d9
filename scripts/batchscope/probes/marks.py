"""What figures of probes draw alike: markers of checkpoints, bars, and the limits of a log axis."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from batchscope.figures import theme
from batchscope.probes.moments import known
from batchscope.training.checkpoints import Checkpoint

_MARKERS = "osD^vPXh"


def looks(checkpoints: Collection[Checkpoint]) -> dict[Checkpoint, dict[str, Any]]:
    """Marker and grey of each checkpoint, darker the later; colours are those of the batch sizes alone."""
    greys = np.linspace(0.66, 0.05, len(checkpoints)) if len(checkpoints) > 1 else [0.2]
    return {
        checkpoint: {"marker": _MARKERS[i % len(_MARKERS)], "color": str(round(float(grey), 3))}
        for i, (checkpoint, grey) in enumerate(zip(checkpoints, greys, strict=True))
    }


def handles(checkpoints: Collection[Checkpoint]) -> list[Line2D]:
    """Entries of a legend for the looks of `checkpoints`."""
    return [
        Line2D([], [], linewidth=0, markersize=5, label=checkpoint.label, **look)
        for checkpoint, look in looks(checkpoints).items()
    ]


def bar(axes: Axes, x: float, value: float, ends: tuple[float | None, float | None], **style: Any) -> None:
    """A bar between the `ends` around `value`; on a log axis, below its edge where it goes on to zero. None: no bar."""
    low, high = ends
    if low is None or high is None:
        return
    edge = axes.get_ylim()[0] / 2 if axes.get_yscale() == "log" else -np.inf
    reach = [[max(0.0, value - max(low, edge))], [max(0.0, high - value)]]
    axes.errorbar(x, value, reach, **{"elinewidth": 1.3, "capsize": 2.5, "zorder": 3, "linewidth": 0, **style})


def log_limits(axes: Axes, values: ArrayLike, further: ArrayLike = (), reach: float = 10.0) -> bool:
    """A log y axis around the positive `values`; False without such.

    `further` numbers, the ends of bars, widen it by a factor of `reach` on each side at most.
    """
    found, ends = (known(np.ravel(np.asarray(numbers, np.float64))) for numbers in (values, further))
    found, ends = found[found > 0], ends[ends > 0]
    if not len(found):
        return False
    low = max(min(found.min(), ends.min(initial=np.inf)), found.min() / reach)
    high = min(max(found.max(), ends.max(initial=0)), found.max() * reach)
    margin = max(1.2, (high / low) ** 0.06)
    theme.log_axis(axes, "y", [low / margin, high * margin])
    axes.set_ylim(low / margin, high * margin)
    return True
