"""Verdicts: from the tables of a study to numbers (`samples`), `estimates`, `tests` of them, and `verdicts`."""
