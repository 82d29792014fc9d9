"""Intervals, tests and trends on plain numbers: the only home of a quantile, an interval and a test."""

CONFIDENCE = 0.95  # of every interval
LEVEL = f"{CONFIDENCE * 100:g}\N{NO-BREAK SPACE}%"
ALPHA = 0.05  # at or below which an adjusted p-value says that something differs
FITTED_SIZES = 4  # batch sizes below which no law is fitted to them
