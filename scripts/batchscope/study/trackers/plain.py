"""A table without a tracker's marks, such as one that a script of one's own wrote: every column may be anything."""

from __future__ import annotations

from batchscope.study.trackers.tracker import Tracker

_INDEX = ("", "Unnamed: 0", "index", "__index_level_0__")

PLAIN = Tracker(
    "",
    lambda columns: True,
    lambda column: ("about" if column in _INDEX else "", column),
)
