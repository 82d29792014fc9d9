"""What a study asks of each of its jobs: everything that the result follows from, known before the job runs.

A job gets it as one parameter, so Snakemake runs the job again where it changes, whatever the time stamps of files say.
The job writes its fingerprint into the manifest, and when tables are made, each manifest is compared with the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchscope.identity.digests import fingerprint

Ask = dict[str, Any]
Files = Mapping[str, str]


def draw(dataset: Mapping[str, Any], seed: int) -> str:
    """Which draw of a resolved data set a run trains on: `fixed`, or `seed7` where each run seed has its own."""
    return f"seed{seed}" if dataset["draw"] == "per-seed" else "fixed"


@dataclass(frozen=True)
class Asked:
    """The jobs of a study.

    Attributes:
        study: `Study.describe()`.
        code: fingerprint of the code behind each script, by the script's name: make_dataset, train, …; of the script
            that probes one for each probe: probe_gradients, …
        software: fingerprint of the software that trains.
        files: SHA-256 of the user's files, by path, of each data set (`datasets`) and recipe (`recipes`) by name.
        environment: variables of the environment that change numbers, with their values.
        probes: what each probe of the study looks at, see `probes.probe.Probe`.
    """

    study: Mapping[str, Any]
    code: Mapping[str, str]
    software: str
    files: Mapping[str, Mapping[str, Files]]
    environment: Mapping[str, str]
    probes: Mapping[str, str]

    def dataset(self, name: str, of_draw: str) -> Ask:
        """What a data set is made from."""
        return {
            "definition": self.study["datasets"][name],
            "draw": of_draw,
            "files": dict(self.files["datasets"][name]),
            "code": self.code["make_dataset"],
        }

    def tuning(self, dataset: str, recipe: str, batch_size: str) -> Ask:
        """What the learning rate of a batch size is chosen with."""
        seeds = self.study["recipes"][recipe]["tuning"]["seeds"]
        cell = {"dataset": dataset, "recipe": recipe, "batch_size": batch_size}
        return self._ask("tune_cell", cell, seeds, {})

    def run(self, dataset: str, recipe: str, batch_size: str, seed: int) -> Ask:
        """What a run is trained with; a tuned rate follows from the tuning, whose fingerprint stands for it."""
        cell = {"dataset": dataset, "recipe": recipe, "batch_size": batch_size, "seed": seed}
        settings = self.study["settings"]
        ask = self._ask("train", cell, [seed], {**self._interval, "step_records": settings["step_records"]})
        if self.study["recipes"][recipe]["tuning"] is not None:
            ask["sources"]["tuning"] = fingerprint(self.tuning(dataset, recipe, batch_size))
        return ask

    def timing(self, dataset: str, recipe: str, batch_size: str) -> Ask:
        """What is timed. Time does not depend on the draw, so the first seed's is taken."""
        cell = {"dataset": dataset, "recipe": recipe, "batch_size": batch_size}
        timing = self.study["settings"]["timing"]
        return self._ask("time_cell", cell, self.study["seeds"][:1], {**self._interval, **timing})

    def probe(self, probe: str, dataset: str, recipe: str, batch_size: str, seed: int | None = None) -> Ask:
        """What a probe looks at: a run, or, without a seed, a batch size."""
        cell = {"dataset": dataset, "recipe": recipe, "batch_size": batch_size, "seed": seed or 0}
        own = {k: v for k, v in self.study["probes"][probe].items() if k not in ("recipes", "trained_with")}
        seeds = self.study["seeds"][:1] if seed is None else [seed]
        ask = self._ask(f"probe_{probe}", cell, seeds, {**self.study["settings"]["timing"], **own})
        if self.probes[probe] == "weights":
            ask["sources"]["run"] = fingerprint(self.run(dataset, recipe, batch_size, seed or 0))
        return {**ask, "probe": probe}

    @property
    def _interval(self) -> Ask:
        return {"telemetry_interval_seconds": self.study["settings"]["telemetry"]["interval_seconds"]}

    def _ask(self, script: str, cell: Ask, seeds: Sequence[int], settings: Mapping[str, Any]) -> Ask:
        dataset, recipe = cell["dataset"], cell["recipe"]
        draws = dict.fromkeys(draw(self.study["datasets"][dataset], seed) for seed in seeds)
        chosen = {key: self.study["settings"][key] for key in ("engine", "loop", "device", "threads")}
        return {
            "cell": cell,
            "recipe": self.study["recipes"][recipe],
            "settings": {**chosen, "environment": dict(self.environment), **settings},
            "sources": {
                "code": self.code[script],
                "software": self.software,
                "data": [fingerprint(self.dataset(dataset, each)) for each in draws],
                "model": dict(self.files["recipes"][recipe]),
            },
        }
