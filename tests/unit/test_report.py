"""The report's numbers, elements and sentences, and how its notebook becomes a page."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jupytext
import nbformat
import pandas as pd
import papermill
import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from nbformat.notebooknode import NotebookNode
from small import recipe

from batchscope.figures import FIGURES, sheets
from batchscope.report import chapters, content, describe, elements, fields, page
from batchscope.report.cells import ENGINE
from batchscope.report.render import contents, render
from batchscope.report.sections import answer, opening, quality, speed, stability
from batchscope.study import model
from unit import fake_report

PAIR = ("digits", "task08-mlp")


# Elements


def test_table_cells_carry_the_value_that_they_sort_by() -> None:
    columns = [sheets.Column("Batch size"), sheets.Column("Loss", "nat"), sheets.Column("Verdict", kind="text")]
    sizes = [sheets.value(1168, "1,168 (full)"), sheets.value(32)]
    losses = [sheets.spread(0.0622, 0.0601, 0.0643), sheets.value(None)]
    verdicts = [sheets.text("told apart"), sheets.text("lowest")]
    made = sheets.Sheet("t", "caption", list(zip(columns, (sizes, losses, verdicts), strict=True)))
    page = _soup(elements.sheet("t", made))
    cells = [[cell["data-value"] for cell in row.select("th, td")] for row in page.select("tbody tr")]
    assert cells == [["1168.0", "0.0622", "told apart"], ["32.0", "", "lowest"]]
    assert [head["data-kind"] for head in page.select("thead th")] == ["number", "number", "text"]
    assert page.select_one("tbody th")["scope"] == "row"  # type: ignore[index]


def test_columns_of_different_length_are_refused() -> None:
    columns = [(sheets.Column("a"), [sheets.text(1)]), (sheets.Column("b"), [sheets.text(1), sheets.text(2)])]
    with pytest.raises(ValueError, match="longer"):
        elements.sheet("t", sheets.Sheet("t", "", columns))


def test_text_cannot_become_markup(tmp_path: Path) -> None:
    evil = '<script>alert(1)</script>" onload="alert(1)'
    svg = tmp_path / "f.svg"
    svg.write_text(fake_report.SVG, encoding="utf-8")
    remarked = sheets.Cell(evil, evil, evil, (evil,))
    for html in (
        elements.heading(2, evil, evil),
        elements.paragraph(evil),
        elements.bullets([evil]),
        elements.terms([(evil, evil)]),
        elements.facts([(evil, evil, evil)]),
        elements.mapping({evil: {"inner": evil, "many": [evil]}}, evil, evil),
        elements.sheet(evil, sheets.Sheet("t", evil, [(sheets.Column(evil, evil), [remarked])], evil)),
        elements.figure(evil, svg, evil, evil, evil),
    ):
        page = _soup(html)
        assert not page.find("script")
        assert not page.select("[onload]")
        assert evil in page.get_text()


def test_figures_are_embedded_with_their_size_and_alternative_text(tmp_path: Path) -> None:
    svg = tmp_path / "f.svg"
    svg.write_text(fake_report.SVG, encoding="utf-8")
    image = _soup(elements.figure("f", svg, "Title", "falls from 2 to 1", "Caption")).find("img")
    assert isinstance(image, Tag)
    assert (image["width"], image["height"], image["alt"]) == ("576", "288", "falls from 2 to 1")
    assert str(image["src"]).startswith("data:image/svg+xml;charset=utf-8,")
    assert unquote(str(image["src"]).partition(",")[2]).replace("'", '"') == fake_report.SVG


def test_a_phone_gets_its_own_drawing_of_a_figure(tmp_path: Path) -> None:
    wide, narrow = tmp_path / "f.svg", tmp_path / "f_narrow.svg"
    wide.write_text(fake_report.SVG, encoding="utf-8")
    narrow.write_text(fake_report.NARROW, encoding="utf-8")
    picture = _soup(elements.figure("f", wide, "Title", "falls from 2 to 1", "Caption", narrow)).find("picture")
    assert isinstance(picture, Tag)
    source, image = picture.find_all(True)
    assert (source.name, image.name, image["width"], source["width"]) == ("source", "img", "576", "336")
    assert " " not in source["srcset"]
    assert unquote(str(source["srcset"]).partition(",")[2]).replace("'", '"') == fake_report.NARROW


def test_a_figure_without_alternative_text_or_size_is_refused(tmp_path: Path) -> None:
    svg = tmp_path / "f.svg"
    svg.write_text("<svg></svg>", encoding="utf-8")
    with pytest.raises(ValueError, match="needs an alternative text"):
        elements.figure("f", svg, "Title", " ", "Caption")
    with pytest.raises(ValueError, match=r"f\.svg is not an SVG with a width and a height"):
        elements.figure("f", svg, "Title", "words", "Caption")


def test_different_names_never_share_an_id() -> None:
    names = [("a", "b"), ("a-b",), ("a b",), ("a.b",), ("ab",), ("a_b",), ("a--b", "c"), ("a", "b--c"), ("a:b",)]
    assert len({elements.slug(*name) for name in names}) == len(names)


def test_a_manifest_of_any_shape_is_laid_out() -> None:
    shape = {
        "hosts": [{"name": "a", "memory_bytes": (16e9).__int__()}, {"name": "b", "gpu": None}],
        "versions": {"numpy": "2"},
    }
    page = _soup(elements.mapping(shape, "Where from", "manifest"))
    rows = {row.th.get_text(): row.td.get_text() for row in page.select("tr")}  # type: ignore[union-attr]
    assert rows == {
        "hosts 1 › name": "a",
        "hosts 1 › memory": "16.0 GB",
        "hosts 2 › name": "b",
        "hosts 2 › gpu": "not available",
        "versions › numpy": "2",
    }


def test_the_bar_links_to_the_answer_and_to_the_chapters() -> None:
    chapters = elements.chapter("A & B", "<p>x</p>", []) + elements.chapter("Empty", "", [""])
    page = _soup(contents(chapters + elements.chapter("Folds", "", [elements.folded("more", "<h2>inner</h2>")])))
    assert [(link["href"], link.get_text()) for link in page.select("a")] == [
        ("#answer", "Answer"),
        ("#a-b", "A & B"),
        ("#folds", "Folds"),
    ]


def test_a_column_is_written_as_the_codebook_declares_it() -> None:
    names = ["seconds_per_update", "seconds_per_epoch", "seconds_per_epoch_ci_low", "seconds_per_epoch_ci_high"]
    names += [
        "memory_kind",
        "updates_per_epoch",
        "n_ok",
        "n_runs",
        "gap_mean",
        "gap_ci_low",
        "gap_ci_high",
        "memory_bytes",
    ]
    row = dict(zip(names, [0.002, 1.5, 1.25, 1.75, None, 1168, 2, 3, 0.25, 0.2, 0.3, 2e6], strict=True))
    made = (
        fields.Field("a", "seconds_per_update", "ms"),
        fields.Field("b", "seconds_per_epoch", form="digits"),
        fields.Field("c", "memory_kind"),
        fields.Field("d", "updates_per_epoch"),
        fields.Field("e", "n_ok", of="n_runs"),
        fields.Field("f", "gap"),
        fields.Field("g", "memory_bytes", "MB"),
        fields.Field("h", "memory_kind", optional=True),
    )
    (sheet,) = fields.sheet("t", "summary", pd.DataFrame([row]), made, "caption")
    assert [(column.unit, column.kind) for column, _ in sheet.columns[:4]] == [
        ("ms", "number"),
        ("s", "number"),
        ("", "text"),
        ("", "number"),
    ]
    assert [(cell.shown, cell.bounds, cell.value) for _, (cell,) in sheet.columns] == [
        ("2.00", "", 2.0),
        ("1.50", "[1.25, 1.75]", 1.5),
        ("", "", None),
        ("1,168", "", 1168.0),
        ("2 of 3", "", 2.0),
        ("0.25", "[0.20, 0.30]", 0.25),
        ("2.00", "", 2.0),
    ]
    assert fields.sheet("t", "summary", pd.DataFrame(columns=names), made, "caption") == []


# Sentences


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> content.Content:
    return fake_report.load(tmp_path_factory.mktemp("report"))


def test_a_clean_study_says_that_nothing_was_lost(report: content.Content) -> None:
    assert "all 9 runs and 3 timings finished" in stability.outcomes(report)


def test_a_gpu_that_was_not_used_is_said_first_with_what_mends_it(report: content.Content) -> None:
    def said(numerics: list[dict[str, Any]]) -> str:
        return opening.question(replace(report, manifest={"numerics": numerics}))

    assert "caution" not in said([{"unused_gpus": []}, {"device": "cpu"}])
    assert "caution" not in opening.question(replace(report, manifest={}))
    (box,) = _soup(said([{"unused_gpus": ["NVIDIA A"]}, {"unused_gpus": ["NVIDIA A"]}])).select(".caution")
    assert box.get_text().count("NVIDIA A") == 1
    assert "make report DEVICE=gpu" in box.get_text()


def test_every_null_is_listed_with_its_reason(report: content.Content) -> None:
    text = _soup(stability.not_measured(report)).get_text()
    assert "no NVIDIA GPU on this machine" in text
    assert "9 of 9" in text
    assert "3 of 3" in text


def test_energy_is_a_column_where_measured_and_a_reason_where_not(report: content.Content, tmp_path: Path) -> None:
    assert "Energy per epoch" not in part(speed.resources, report)
    assert "Energy: not measured (GPU: no NVIDIA GPU" in part(speed.resources, report)
    measured = fake_report.load(tmp_path, gpu=True)
    assert "Energy per epoch" in part(speed.resources, measured)
    assert "Energy: GPU." in part(speed.resources, measured)


def test_summary_shows_the_numbers_of_the_table(report: content.Content) -> None:
    frame = report.of("summary", PAIR)
    rows = _soup(part(quality.summary, report)).select("tbody tr")
    shown = [float(row.select("td")[3]["data-value"]) for row in rows]  # type: ignore[arg-type]
    assert shown == pytest.approx(frame["validation_loss_mean"].tolist())
    assert [row.th.get_text() for row in rows] == ["1", "32", "1,168 (full)"]  # type: ignore[union-attr]
    assert all(re.fullmatch(r"0\.\d+ \[0\.\d+, 0\.\d+\]", row.select("td")[4].get_text()) for row in rows)


def test_every_data_set_and_recipe_of_the_registries_can_be_put_into_words(tmp_path: Path) -> None:
    registry = {
        kind: yaml.safe_load((fake_report.REPOSITORY / "config" / f"{kind}.yaml").read_text())
        for kind in ("datasets", "recipes")
    }
    flat = [name for name, recipe in registry["recipes"].items() if recipe.get("model", {}).get("name") != "cnn"]
    images = [name for name in registry["recipes"] if name not in flat]
    text = {
        "title": "t",
        "question": "q",
        "seeds": [1],
        "comparisons": [
            {"datasets": ["random-labels"], "recipes": flat, "batch_sizes": [32]},
            {
                "datasets": [name for name in registry["datasets"] if name != "random-labels"],
                "recipes": flat[:1],
                "batch_sizes": [32],
            },
            {"datasets": ["mnist"], "recipes": images, "batch_sizes": [32, "full"]},
        ],
    }
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    whole = model.load({**fake_report.CONFIG, "study": str(file)}, fake_report.REPOSITORY).describe()
    words = {name: describe.recipe(recipe) for name, recipe in whole["recipes"].items()}
    assert set(words) == set(registry["recipes"])
    assert "Adam with learning rate 0.001" in words["task08-mlp"]
    assert "scaled in proportion to the batch size" in words["explained-mlp"]
    assert "momentum 0.9" in words["blobs-mlp"]
    assert "32 and 64 filters of 5×5" in words["cnn"]
    for name, dataset in whole["datasets"].items():
        assert "1,168 examples to train on" in describe.dataset(dataset, (1168, 270, 359)), name
    assert describe.comparisons(whole["cells"])[-1].startswith("mnist with cnn: batch sizes 32 and full (full is")


@pytest.mark.parametrize(
    ("first", "words"), [(None, "6 times, evenly spread over them"), (0.002, "in the logarithm from 0.2 % of them on")]
)
def test_a_recipe_says_when_its_runs_are_evaluated(first: float | None, words: str) -> None:
    assert words in describe.recipe(recipe(budget={"evaluations": 6, "first_evaluation_at": first}))


# Rendering


def _notebook(folder: Path, code: str) -> Path:
    template = folder / "template"
    template.symlink_to(fake_report.REPORT.parent / "template")
    file = folder / "notebook.py"
    file.write_text(
        f'# %% tags=["parameters"]\nwho = ""\n\n# %% [markdown]\n# ## A heading\n\n# %%\n{code}\n', encoding="utf-8"
    )
    return file


def test_the_notebook_runs_in_this_interpreter_and_changes_nothing_of_it(tmp_path: Path) -> None:
    before = dict(os.environ)
    notebook = _notebook(tmp_path, "import sys\nfrom batchscope import text\nprint(who, sys.executable)")
    render(notebook, {"who": Path("there")}, tmp_path / "a.html", tmp_path / "log.ipynb", "<b>Title</b>")
    render(notebook, {"who": Path("there")}, tmp_path / "b.html", tmp_path / "log.ipynb", "<b>Title</b>")
    page = _soup((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert page.select_one("pre.stream").get_text().strip() == f"{Path('there').resolve()} {sys.executable}"  # type: ignore[union-attr]
    assert page.title.string == page.h1.string == "<b>Title</b>"  # type: ignore[union-attr]
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nprint('told')\nprint('warned', file=sys.stderr)\nlen(who)",
        "from IPython.display import HTML\nHTML('<b>bold</b>')",
        "{'value': [1.5, None]}",
        "found = 1",
        "None",
    ],
)
def test_cells_have_the_outputs_of_a_kernel(tmp_path: Path, code: str) -> None:
    notebook = jupytext.read(_notebook(tmp_path, code))
    here, there = (
        papermill.execute_notebook(
            deepcopy(notebook), None, {"who": "me"}, progress_bar=False, language="python", **how
        )
        for how in ({"engine_name": ENGINE, "kernel_name": "python3"}, {"kernel_name": "python3"})
    )
    assert [_outputs(cell) for cell in here.cells] == [_outputs(cell) for cell in there.cells]


def _outputs(cell: NotebookNode) -> list[tuple[object, ...]]:
    """What a cell shows, in the order of its kinds: a kernel sends what is printed when it likes to."""
    found = [
        (each.output_type, each.get("name"), each.get("text"), each.get("data")) for each in cell.get("outputs", [])
    ]
    return sorted(found, key=str)


def test_a_failing_cell_fails_the_report_and_leaves_the_executed_notebook(tmp_path: Path) -> None:
    notebook = _notebook(tmp_path, "1 / 0")
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        render(notebook, {}, tmp_path / "page.html", tmp_path / "log.ipynb", "Title")
    assert not (tmp_path / "page.html").exists()
    assert "ZeroDivisionError" in (tmp_path / "log.ipynb").read_text(encoding="utf-8")


def test_a_parameter_that_the_notebook_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"notebook\.py has no parameter whom; it has who"):
        render(_notebook(tmp_path, "pass"), {"whom": 1}, tmp_path / "page.html", tmp_path / "log.ipynb", "Title")


def test_the_notebook_shows_tables_and_a_figure_that_the_page_leaves_to_it(tmp_path: Path) -> None:
    parameters = fake_report.write(tmp_path)
    render(fake_report.REPORT, parameters, tmp_path / "report.html", tmp_path / "report.ipynb", "Title")
    notebook = nbformat.read(tmp_path / "report.ipynb", as_version=4)
    outputs = {cell.source: cell.outputs[0].data for cell in notebook.cells if cell.get("outputs")}
    assert "dataframe" in outputs["show.recommended(content)"]["text/html"]
    assert outputs['show.figure(content, "answer")']["image/svg+xml"].startswith("<svg")
    assert all(source.startswith("show.") for source in outputs)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "dataframe" not in page
    assert "cell by cell" not in page


def test_the_report_shows_every_figure_once() -> None:
    folder = Path(chapters.__file__).parent
    sources = [
        file.read_text(encoding="utf-8") for file in (folder / "chapters.py", *(folder / "sections").glob("*.py"))
    ]
    named = re.compile(
        r'Figure\("(\w+)"\)|_chapter\(content, [^,]+, [\w.]+, "(\w+)"'
        r'|(?:content\.svg\(|figure_html\(content, pair, )"(\w+)"'
    )
    in_turn = re.compile(r"^_CURVES = \((.*)\)$", re.MULTILINE)
    source = "".join(sources)
    shown = Counter(next(filter(None, found)) for found in named.findall(source))
    shown += Counter(name for found in in_turn.findall(source) for name in re.findall(r"\w+", found))
    assert shown == Counter(list(FIGURES))  # those of probes stand in their sections


def part(section: page.Section, made: content.Content) -> str:
    return page.html(made, PAIR, section.build(made, PAIR))


def _soup(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def test_timings_that_did_not_have_their_core_to_themselves_are_pointed_out(tmp_path: Path) -> None:
    made = fake_report.load(tmp_path)
    timings = made.tables["timings"]
    timings["cpu_percent_mean"] = [99.0, 31.4, 88.0]
    text = _soup(speed.disturbed(made, PAIR)).get_text()
    assert "2 of 3 timings got less than 90 % of the core they had reserved (the least 31 %)" in text
    assert text in _soup(answer.card(made, PAIR)).get_text()
    timings["cpu_percent_mean"] = 99.0
    assert speed.disturbed(made, PAIR) == ""
    timings["cpu_percent_mean"], timings["threads"] = 30.0, 4  # four threads may well be idle part of the time
    assert speed.disturbed(made, PAIR) == ""
