"""Numbers as a reader wants to see them: as many digits as they deserve, and a dash where nothing was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeGuard

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EM DASH}"

TIMES = ((3600.0, 7200.0, "h"), (60.0, 600.0, "min"), (1.0, 0.1, "s"), (1e-3, 1e-4, "ms"))
"""Units of time: their seconds, from how many seconds on they are used, and their names; below these µs."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def known(value: float | None) -> TypeGuard[float]:
    """Whether a table's value was measured: neither null nor not-a-number."""
    return value is not None and not math.isnan(value)


def fixed(value: float | None, decimals: int) -> str:
    """`value` with so many decimals, thousands separated by commas and a real minus sign."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and float(text.replace(",", "")) != 0 else text


def number(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits; whole digits are never rounded away (1234.5 is 1,234, not 1,230)."""
    if value is None or not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    exponent = _exponent(value, digits)
    if exponent < -4 or exponent > 8:
        mantissa = fixed(value / 10.0**exponent, digits - 1)
        return f"{mantissa} × 10{str(exponent).translate(_SUPERSCRIPTS)}"
    return fixed(value, max(0, digits - 1 - exponent))


def integer(value: float | None) -> str:
    """A count, exact, thousands separated by commas."""
    return fixed(value, 0)


def ratio(value: float | None) -> str:
    """How many times: two significant digits, as ratios of measured times deserve no more."""
    if value is None or not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    exponent = _exponent(value, 2)
    return fixed(round(value, 1 - exponent), max(0, 1 - exponent))


def seconds(value: float | None) -> str:
    """A length of time to three significant digits: µs, ms and s, minutes from ten on and hours from two on."""
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    length, unit = time_unit(value)
    return f"{number(value / length)} {unit}"


def time_unit(value: float) -> tuple[float, str]:
    """The unit in which so many seconds read well: its own length in seconds, and its name."""
    return next(((length, unit) for length, least, unit in TIMES if value >= least), (1e-6, "µs"))


def measured(mean: float | None, low: float | None, high: float | None, unit: str) -> str:
    """A mean with its interval and unit: `0.953 [0.949, 0.957] nat`; of many or few seconds `32.0 [27.1, 36.5] ms`."""
    if unit != "s" or not known(mean):
        return f"{interval(mean, low, high)} {unit}".rstrip()
    length, shown = time_unit(mean)
    bounds = f" [{number(low / length)}, {number(high / length)}]" if known(low) and known(high) else ""
    return f"{number(mean / length)}{bounds} {shown}"


def p_value(value: float | None) -> str:
    """A p-value with its relation: `= 0.032` or `< 0.001`."""
    if not known(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"= {fixed(value, 3)}"


def decimals(half_widths: Iterable[float | None]) -> int:
    """Decimals for a column of intervals: a narrow half-width keeps one digit, two where it starts with 1 or 2.

    Where half-widths are below 10 there are at least two decimals, so that a wide interval does not hide its mean;
    there are at most six.
    """
    widths = sorted(width for width in half_widths if width is not None and math.isfinite(width) and width > 0)
    if not widths:
        return 3
    width = widths[len(widths) // 4]
    exponent = _exponent(width, 1)
    first = round(width / 10.0**exponent)
    return min(6, max(2 if width < 10 else 0, -exponent + (1 if first <= 2 else 0)))


def interval(mean: float | None, low: float | None, high: float | None, places: int | None = None) -> str:
    """`0.953 [0.949, 0.957]`; without bounds (one run only) the mean alone."""
    if not known(low) or not known(high):
        return fixed(mean, places) if places is not None else number(mean)
    places = decimals([(high - low) / 2]) if places is None else places
    return f"{fixed(mean, places)} [{fixed(low, places)}, {fixed(high, places)}]"


def listing(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def count(value: int, one: str, many: str | None = None) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{integer(value)} {one if value == 1 else many or one + 's'}"


def _exponent(value: float, digits: int) -> int:
    """Decimal exponent of `value` once it is rounded to `digits` significant digits (0.0999 to one digit is 1e-1)."""
    return int(f"{value:.{digits - 1}e}".split("e")[1])
