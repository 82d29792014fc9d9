"""Tables of gradients, noise scale and sharpness in the report show the numbers of the tables of the study."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from fake_probes import FakeProbes, tables

from batchscope.report import probes
from batchscope.report.content import Content
from batchscope.report.page import html as html_of
from batchscope.tables.cells import CHECKPOINT
from batchscope.training.checkpoints import END

PAIR = ("digits", "mlp")
SECTIONS = {each.name: each for probe in ("gradients", "sharpness") for each in probes.sections_of(probe)}


def content(study: FakeProbes) -> Content:
    return Content({"measurements": None, "recipes": {}}, {}, tables(study), Path("figures"))


def html(made: Content, section: str) -> str:
    """What a section says; the figures are not drawn here."""
    return html_of(made, PAIR, SECTIONS[section].build(made, PAIR))


def column(page: str, name: str) -> list[str]:
    """The sort values of the column whose head begins with `name`, of the first table."""
    table = BeautifulSoup(page, "html.parser").select("table")[0]
    heads = [" ".join(head.get_text(" ").split()) for head in table.select("thead th")]
    place = next(i for i, head in enumerate(heads) if head.startswith(name))
    return [str(row.select("th, td")[place]["data-value"]) for row in table.select("tbody tr")]


def floats(page: str, name: str) -> list[float]:
    return [float(value) if value else float("nan") for value in column(page, name)]


def test_the_noise_scale_stands_beside_that_of_the_examples_themselves():
    made = content(FakeProbes(not_estimable=((256, END),)))
    page = html(made, "noise-scale")
    frame = made.tables["noise_scale"]
    known = frame["noise_scale"].dropna()
    found = pd.Series(floats(page, "Noise scale"))
    assert sorted(found.dropna()) == pytest.approx(sorted(known))
    assert found.isna().sum() == 3
    length = frame["gradient_norm_squared"] + frame["covariance_trace"] / frame["examples"]
    expected = frame["covariance_trace"] / length
    assert sorted(floats(page, "tr(Σ)/|G|²")) == pytest.approx(sorted(expected))
    assert f"3 rows of {len(frame)}: " in BeautifulSoup(page, "html.parser").get_text()


def test_gradients_are_means_over_the_seeds():
    made = content(FakeProbes())
    frame = made.tables["gradients"]
    keys = ["batch_size", "checkpoint_fraction", "drawn_batch_size"]
    expected = frame.groupby(keys)["gradient_variance"].mean()
    assert sorted(floats(html(made, "gradients"), "Variance")) == pytest.approx(sorted(expected))


def test_sharpness_is_a_mean_over_the_seeds_of_a_size_at_a_checkpoint():
    made = content(FakeProbes())
    frame = made.tables["sharpness"]
    expected = frame.groupby(["batch_size", *CHECKPOINT, "interpolated"], dropna=False)["lambda_max"].mean()
    assert sorted(floats(html(made, "sharpness"), "λ_max")) == pytest.approx(sorted(expected))


def finding(made: Content, section: str) -> list[float]:
    """The numbers in the finding of a section."""
    find = SECTIONS[section].finding
    assert find is not None
    words = find(made, PAIR).replace(",", "").replace("−", "-")
    return [float(each) for each in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", words)]


def test_findings_hold_the_numbers_of_the_tables():
    made = content(FakeProbes())
    slopes = made.tables["gradient_slopes"]
    last = slopes[slopes["metric"] == "gradient_variance"].iloc[-1]
    numbers = finding(made, "gradients")
    assert numbers == pytest.approx([*last[["slope", "ci_low", "ci_high", "expected"]]], abs=0.0051)
    scales = made.tables["noise_scale_means"].sort_values("batch_size")["noise_scale"].dropna()
    size, first, *_ = finding(made, "noise-scale")
    assert size == made.tables["noise_scale_means"]["batch_size"].min()
    assert first == pytest.approx(scales.iloc[0], rel=0.01)
    means = made.tables["sharpness_means"]
    compared = means[means["interpolated"]]
    (low, small), (high, large) = compared[["lambda_max_mean", "batch_size"]].iloc[[0, -1]].to_numpy()
    assert finding(made, "sharpness")[1:] == pytest.approx([low, small, high, large], rel=0.01)
