"""The kinds of test, one class each: a new one is its file and one line here."""

from __future__ import annotations

from batchscope.claims.kinds.count import Count
from batchscope.claims.kinds.critical import Critical
from batchscope.claims.kinds.kind import Kind
from batchscope.claims.kinds.recipes import Recipes
from batchscope.claims.kinds.sizes import Ratio, Sizes, Spread
from batchscope.claims.kinds.trend import Slope, Trend
from batchscope.claims.kinds.value import Value

KINDS: dict[str, type[Kind]] = {
    "count": Count,
    "sizes": Sizes,
    "ratio": Ratio,
    "trend": Trend,
    "slope": Slope,
    "value": Value,
    "spread": Spread,
    "critical": Critical,
    "recipes": Recipes,
}

OLD_KINDS = {
    "lowest": "{kind: sizes, direction: lower, batch_sizes: [SIZE], than: others}",
    "highest": "{kind: sizes, direction: higher, batch_sizes: [SIZE], than: others}",
    "lower": "{kind: sizes, direction: lower, batch_sizes: SIZES, than: SIZES}",
    "higher": "{kind: sizes, direction: higher, batch_sizes: SIZES, than: SIZES}",
    "not_lower": "{kind: sizes, direction: not_lower, batch_sizes: SIZES, than: SIZES}",
    "similar": "{kind: sizes, direction: similar, batch_sizes: SIZES}",
    "falls": "{kind: trend, direction: falls}",
    "rises": "{kind: trend, direction: rises}",
    "more_spread": "{kind: spread, batch_size: SIZE, than: SIZES}",
    "arms": "{kind: recipes, key: KEY, first: VALUE, second: VALUE, direction: lower, higher or similar}",
}
"""How kinds of earlier versions, of which a direction was a part, are written now."""
