"""Trials of one batch size: those that differ in rate and seed alone at once, where the engine can; or in turn."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from batchscope.data.dataset import Data
from batchscope.training import loop
from batchscope.training.engines import Engine, Evaluation, NotTogetherError, Together, TogetherEngine, Updates
from batchscope.training.loop import Progress
from batchscope.training.plans import Plan

log = logging.getLogger(__name__)


@dataclass
class Trials:
    """Trains the trials of a tuning.

    Attributes:
        engine: already configured.
        memory_bytes: what this process may hold.
        most: trials that may be at once; fewer after memory was too short, and one where there is another reason.
    """

    engine: Engine
    memory_bytes: int
    most: int = sys.maxsize

    def train(self, asked: Sequence[tuple[Plan, Data]]) -> Iterator[Progress]:
        """Train each plan as `loop.train` does a trial, in this order; those with the same data may be at once."""
        if not hasattr(self.engine, "together") or any(plan.loop != "fused" for plan, _ in asked):
            self.most = 1
        done: dict[int, Progress] = {}
        for place, (plan, data) in enumerate(asked):
            while place not in done:
                alike = [i for i in range(place, len(asked)) if asked[i][1] is data and i not in done][: self.most]
                if len(alike) > 1:
                    done |= zip(alike, self._at_once([asked[i][0] for i in alike], data), strict=False)
                else:
                    done[place] = loop.train(self.engine, data, plan, step_records=1, trial=True)
            yield done[place]

    def _at_once(self, plans: Sequence[Plan], data: Data) -> list[Progress]:
        """What came of plans at once; nothing where they cannot be, and then fewer may be tried."""
        try:
            self.engine.prepare(plans[0], data)
            made = cast(TogetherEngine, self.engine).together(plans, data, self.memory_bytes)
            return lead(made, plans, len(data.y_train))
        except NotTogetherError as error:
            self.most = 1
            log.info("trials are trained in turn: %s", error)
        except MemoryError as error:
            self.most = (len(plans) + 1) // 2
            fewer = f"{self.most} at once" if self.most > 1 else "in turn"
            log.warning("memory ended with %d trials at once, so they are trained %s: %s", len(plans), fewer, error)
        return []


def lead(together: Together, plans: Sequence[Plan], n_train: int) -> list[Progress]:
    """Train plans at once: each is led by `loop.run`, as it is alone, and leaves when it has ended."""
    done = [loop.begin(n_train, plan, 1, trial=True) for plan in plans]
    runs = [loop.run(n_train, plan, progress, None) for plan, progress in zip(plans, done, strict=True)]
    asked = {place: next(run) for place, run in enumerate(runs)}
    while asked:
        updates = {place: each for place, each in asked.items() if isinstance(each, Updates)}
        looks = {place: each.part for place, each in asked.items() if isinstance(each, Evaluation)}
        answers: dict[int, Any] = {}
        for part in sorted(set(looks.values())):
            answers |= together.evaluate([place for place in looks if looks[place] == part], part)
        answers = answers or dict(together.train(updates))  # when nobody looks, all are at the same update
        for place, answer in answers.items():
            try:
                asked[place] = runs[place].send(answer)
            except StopIteration:
                del asked[place]
    for progress in done:
        loop.finish(progress)
    return done
