"""Verdicts on claims: from the tables of a study to numbers (`samples`), tests of them (`tests`) and verdicts."""
