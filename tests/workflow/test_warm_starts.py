"""A cold start gives what a warm one gave: the tiny study of TensorFlow was made warm."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import command, lasting, start, table


@pytest.fixture(scope="module")
def cold(finished, tmp_path_factory):
    """The study once more: one job of each kind, each in a process that imports TensorFlow itself."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("cold") / "study")
    results = folder / "results"
    probes = [*results.glob("tiny/probes/*/flowers/*/bs8/seed1"), results / "tiny/probes/overheads"]
    for made in (*(results / name for name in ("tunings", "timings", "runs/flowers/tuned", "tiny/tables")), *probes):
        shutil.rmtree(made)
    done = start(folder, [*command("tables"), "warm_starts=false"])
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.long
def test_every_number_is_the_same_to_the_bit(finished, cold):
    names = sorted(path.stem for path in (finished / "results/tiny/tables").glob("*.parquet"))
    assert names == sorted(path.stem for path in (cold / "results/tiny/tables").glob("*.parquet"))
    # Also in rows, counts and words: what took how long, and whether the machine was shared meanwhile.
    of_clocks = {"advice", "best", "equal_budget", "metrics", "overheads", "timings", "windows"}
    of_clocks |= {"recommendation", "tree", "verdicts"}
    for name in set(names) - of_clocks:
        pd.testing.assert_frame_equal(lasting(cold, name), lasting(finished, name), check_exact=True)


@pytest.mark.long
def test_weights_are_the_same_bytes(finished, cold):
    path = "results/runs/flowers/tuned/bs8/seed1/weights.npz"
    assert (cold / path).read_bytes() == (finished / path).read_bytes()


@pytest.mark.long
def test_memory_means_the_same(finished, cold):
    here, there = (table(folder, "runs").query("recipe == 'tuned'") for folder in (cold, finished))
    for column in ("host_memory_peak_bytes", "host_memory_baseline_bytes"):
        np.testing.assert_allclose(here[column], there[column], rtol=0.1)


def test_figures_are_the_same_bytes(small, edited):
    place = "results/tiny/figures/flowers/own"
    (edited / place / "outcomes.svg").unlink()
    done = start(edited, [*command(f"{place}/outcomes.svg"), "warm_starts=false"])
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = {file.name: file.read_bytes() for file in (edited / place).iterdir()}
    assert drawn == {file.name: file.read_bytes() for file in (small / place).iterdir()}
