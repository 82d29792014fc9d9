"""The batch size beyond which larger ones save few updates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from batchscope.claims.kinds.kind import Kind
from batchscope.stats import FITTED_SIZES
from batchscope.tables.metrics import CRITICAL, Metric, Sampled
from batchscope.text import count, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchscope.claims.definitions import Claim
    from batchscope.claims.findings import Evidence, Finding
    from batchscope.stats.estimates import Estimate


class Critical(Kind):
    """The critical batch size is near to a number.

    It is that at the tightest target, of each metric, for which the law holds: the critical size grows as the target
    tightens, so one number cannot be right at all of them.
    """

    kind: Literal["critical"] = Field(description="Kind of test.")
    equals: Annotated[float, Field(gt=0)] = Field(description="Critical batch size that is claimed, in examples.")

    takes: ClassVar[frozenset[Sampled]] = frozenset({"targets"})
    about: ClassVar[str] = CRITICAL.name

    @property
    def is_near(self) -> bool:
        """The margin is the room that nearness leaves."""
        return True

    @property
    def margin_is_factor(self) -> bool:
        """Sizes are compared by their ratio."""
        return True

    def unit(self, metric: Metric) -> str:
        """The size itself is shown, no ratio."""
        return metric.unit

    def stated(self) -> str:
        """The size."""
        return f"equal to {number(self.equals)}"

    def n_sizes(self, metric: Metric) -> int:
        """As many as the law is fitted to."""
        return FITTED_SIZES

    def find(self, claim: Claim, evidence: Evidence) -> Finding:
        """The fits of a study, each with its interval."""
        from batchscope.claims.findings import Finding
        from batchscope.claims.parts import Goal, judge
        from batchscope.claims.samples import NotMeasuredError

        rows, n_sizes = evidence.rows(CRITICAL.table), evidence.rows("to_target")["batch_size"].nunique()
        if n_sizes < FITTED_SIZES:  # a recipe without the sizes that the law needs was not made to show it
            raise NotMeasuredError(f"{count(n_sizes, 'batch size')}; the fit needs {FITTED_SIZES}")
        goal = Goal("within", math.log(self.equals), self.margin_of(claim))
        tested, shown = [], []
        fits: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
        used = rows[rows["accepted"].astype(bool)]
        tightest = used.sort_values("e_min").groupby("metric").tail(1)
        for position, fit in enumerate(fits):
            where = f"at {str(fit['metric']).replace('_', ' ')} {fit['target']:g}"
            estimate = _fitted(fit)
            if used.empty or rows.index[position] in tightest.index:
                tested.append(judge(where, f"{where}: {estimate}" if isinstance(estimate, str) else estimate, goal))
            shown.append(f"{'none' if isinstance(estimate, str) else number(fit['b_crit'])} {where}")
        n = int(tightest["n_runs"].min()) if len(tightest) else 0
        found = f": {', '.join(shown)}" if len(shown) > 1 or not len(tightest) else ""
        text = f"Critical batch size in examples{found}{_at_edge(evidence)}"
        return Finding(tuple(tested), True, self.unit(CRITICAL), "runs", n, (), text)


def _at_edge(evidence: Evidence) -> str:
    """A warning where tuned rates are at an edge, since the critical size depends on how rates are chosen."""
    from batchscope.claims.samples import rows_of

    rates = evidence.tables.get("rates")
    at_edge = 0 if rates is None else int(rows_of(rates, evidence.pair)["at_edge"].fillna(False).sum())
    return f"; the tuned rate of {count(at_edge, 'batch size')} is at the edge of what could be trained" * bool(at_edge)


def _fitted(fit: Mapping[str, Any]) -> Estimate | str:
    """A fitted size, in the logarithm with the freedom of the runs of one size, or why the fit is not used."""
    from batchscope.stats.estimates import of_bootstrap

    if not fit["accepted"]:
        return f"no critical batch size ({fit['reason'].removesuffix('.')})"
    value, low, high = (float(fit[name]) for name in ("b_crit", "ci_low", "ci_high"))
    if math.isnan(value) or not 0 < low < high:
        return "the fit has no interval"
    freedom = max(1, int(fit["n_runs"]) // int(fit["n_sizes"]) - 1)
    return of_bootstrap(int(fit["n_runs"]), math.log(value), math.log(low), math.log(high), freedom)
