"""Results made elsewhere: which rows of a table are results, what each is about, and the tables of a study from them.

`given`, `source`, `rows`, `selecting`, `rates` and `timings` need the standard library only, so that a file is refused
before the first job; `tables` makes pandas' tables of what they read.
"""
