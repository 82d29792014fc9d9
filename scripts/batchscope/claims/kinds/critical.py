"""The batch size beyond which larger ones save few updates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Kind
from batchscope.claims.parts import Finding, Goal, NotMeasuredError
from batchscope.stats import FITTED_SIZES
from batchscope.tables.metrics import CRITICAL, Metric, Sampled
from batchscope.text import count, number

if TYPE_CHECKING:
    from batchscope.claims.definitions import Claim
    from batchscope.claims.readers import Evidence


class Critical(Kind):
    """The critical batch size is near to a number.

    It is that at the tightest target, of each metric, for which the law holds: the critical size grows as the target
    tightens, so one number cannot be right at all of them.
    """

    kind: Literal["critical"]
    equals: Annotated[float, Field(gt=0)] = Field(description="Critical batch size that is claimed, in examples.")

    takes: ClassVar[frozenset[Sampled]] = frozenset({"targets"})
    about: ClassVar[str] = CRITICAL.name
    of_ratios: ClassVar[bool] = True
    near: ClassVar[bool] = True
    least_sizes: ClassVar[int] = FITTED_SIZES

    def unit(self, metric: Metric) -> str:
        """The size itself is shown, no ratio."""
        return metric.unit

    def goal(self, margin: float) -> Goal:
        """Near to the number, by a factor."""
        return Goal("within", math.log(self.equals), margin)

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """The fits of a study, each with its interval."""
        fits, n_sizes = evidence.fits(), evidence.rows("to_target")["batch_size"].nunique()
        if n_sizes < FITTED_SIZES:  # a recipe without the sizes that the law needs was not made to show it
            raise NotMeasuredError(f"{count(n_sizes, 'batch size')}; the fit needs {FITTED_SIZES}")
        used = [fit for fit in fits if fit.tightest]
        tested = self.judged(claim, (fit.effect for fit in used or fits))
        shown = [f"{'none' if isinstance(fit.estimate, str) else number(fit.size)} {fit.where}" for fit in fits]
        n = min((fit.n_runs for fit in used), default=0)
        found = f": {', '.join(shown)}" if len(shown) > 1 or not used else ""
        at_edge = evidence.tuned_at_edge()
        edge = f"; the tuned rate of {count(at_edge, 'batch size')} is at the edge of what could be trained"
        return Finding(tested, "runs", n, (), f"Critical batch size in examples{found}{edge if at_edge else ''}")
