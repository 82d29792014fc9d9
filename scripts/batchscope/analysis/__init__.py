"""From the records of runs and timings to the tables of a study."""
