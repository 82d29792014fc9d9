"""Intervals, tests and trends on plain numbers."""

CONFIDENCE = 0.95  # of every interval
LEVEL = f"{CONFIDENCE * 100:g}\N{NO-BREAK SPACE}%"
FITTED_SIZES = 4  # batch sizes below which no law is fitted to them
