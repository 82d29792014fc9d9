"""Verdicts, advice and the tables of evidence in the report, and what vanishes where a study has none of it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from batchscope.probes.registry import STUDY_FIGURES
from batchscope.probes.section import Figure
from batchscope.report import content, elements, findings, page
from batchscope.report.sections import advice, claims, method, rates, targets
from batchscope.tables import codebook
from unit import fake_evidence, fake_report

PAIR = ("digits", "mlp")
EVIL = "<script>alert(1)</script>"
FIGURE = "gap_vs_batch"


def made(folder: Path, study: fake_evidence.FakeEvidence | None = None, **tables: pd.DataFrame) -> content.Content:
    """The content of a report on made-up evidence; one figure is drawn."""
    frames = fake_evidence.make(study or fake_evidence.FakeEvidence())
    found = {
        each.name: getattr(frames, each.name)
        for each in fields(frames)
        if each.name not in ("dataset", "recipe", "sizes", "all_sizes", "further")
    }
    file = folder / PAIR[0] / PAIR[1] / f"{FIGURE}.svg"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(fake_report.SVG, encoding="utf-8")
    names = ("verdicts", "advice", "tree", "savings", "left_out", "rate_choices")
    empty = {name: codebook.frame(name, []) for name in names}
    return content.Content({"measurements": None}, {}, {**empty, **found, **tables}, folder)


def verdict(claim: str, kind: str, **more: Any) -> dict[str, Any]:
    judged = kind != "not measured"
    row = {
        "claim": claim,
        "statement": f"Statement {claim} holds",
        "source": "a document",
        "dataset": PAIR[0] if judged else None,
        "recipe": PAIR[1] if judged else None,
        "verdict": kind,
        "effect": 0.5 if judged else None,
        "ci_low": 0.4 if judged else None,
        "ci_high": 0.6 if judged else None,
        "unit": "nat",
        "n": 5 if judged else None,
        "p": 0.001 if judged else None,
        "p_adjusted": 0.012 if judged else None,
        "detectable": 0.2 if judged else None,
        "margin": 0.1 if judged else None,
        "budget": "20 epochs",
        "scope": "digits with mlp, sizes 8 to 128",
        "measured": "The loss is 0.5 nat higher." if judged else "",
        "figure": FIGURE if judged else "",
        "reason": "" if judged else "no probe measures it",
    }
    return {**row, **more}


def judged(*rows: dict[str, Any]) -> pd.DataFrame:
    numbers = ("effect", "ci_low", "ci_high", "n", "p", "p_adjusted", "detectable", "margin")
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))


def soup(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def words(html: str) -> str:
    return " ".join(soup(html).get_text(" ").split())


def part(section: page.Section, report: content.Content) -> str:
    """What a section says about the data set and recipe, without the figures."""
    return page.html(report, PAIR, [each for each in section.build(report, PAIR) if not isinstance(each, Figure)])


def column(html: str, heading: str) -> list[str]:
    """The sort values of a column of the first table."""
    table = soup(html).table
    assert table is not None
    heads = [" ".join(head.find_all(string=True, recursive=False)).strip() for head in table.select("thead th")]
    place = heads.index(heading)
    return [str(row.select("th, td")[place]["data-value"]) for row in table.select("tbody tr")]


# Verdicts


def test_verdicts_are_counted_by_statement_and_by_kind() -> None:
    rows = [verdict("C1", "supported"), verdict("C1", "undecided"), verdict("C2", "contradicted")]
    rows += [verdict("C3", "not measured"), verdict("C4", "not measured")]
    text = claims.counted(judged(*rows))
    assert "2 statements were tested, with 3 verdicts" in text
    assert "1 supported, 1 contradicted and 1 undecided" in text
    assert "2 statements could not be tested" in text


def test_a_verdict_says_in_words_what_was_found_how_sure_and_for_what(tmp_path: Path) -> None:
    row = verdict("C3", "undecided", reason="the interval spans the margin")
    html = claims.verdicts(made(tmp_path, verdicts=judged(row)))
    text = words(html)
    for part in (
        "Statement C3 holds",
        "C3, a document",
        "The interval spans the margin.",
        "20 epochs.",
        "0.0120",
        "nat",
    ):
        assert part.replace("0.0120", "0.012") in text
    assert "0.50 [0.40, 0.60]" in text
    assert soup(html).select_one(".badge.undecided").get_text() == "undecided"  # type: ignore[union-attr]
    assert "Undecided is not “no effect”" in text
    assert column(html, "Smallest effect found") == ["0.2"]


def test_a_verdict_links_to_its_figure_only_where_the_page_has_it(tmp_path: Path) -> None:
    there = claims.verdicts(made(tmp_path, verdicts=judged(verdict("C1", "supported"))))
    link = soup(there).select_one("tbody a")
    assert link is not None
    assert link["href"] == f"#figure-{FIGURE}:digits:mlp"
    absent = claims.verdicts(made(tmp_path, verdicts=judged(verdict("C1", "supported", figure="memory"))))
    assert soup(absent).select_one("tbody a") is None


def test_what_was_not_measured_is_folded_and_grouped_by_reason(tmp_path: Path) -> None:
    rows = [verdict(name, "not measured") for name in ("C1", "C2")]
    html = claims.verdicts(made(tmp_path, verdicts=judged(*rows, verdict("C3", "not measured", reason="no GPU"))))
    folded = soup(html).select("details.more")[-1]
    assert folded.summary.get_text() == "Not measured everywhere: 3 statements, with the reasons"  # type: ignore[union-attr]
    assert [paragraph.get_text() for paragraph in folded.select("p")] == ["No probe measures it:", "No GPU:"]
    assert [len(group.select("li")) for group in folded.select("ul")] == [2, 1]
    assert soup(html).table is None


def test_texts_of_a_study_cannot_become_markup(tmp_path: Path) -> None:
    texts = dict.fromkeys(("statement", "source", "measured", "reason", "budget", "scope", "unit"), EVIL)
    rows = [verdict("C1", "supported", **texts), verdict("C2", "not measured", **texts)]
    tree = pd.DataFrame(
        [
            {
                "dataset": "digits",
                "recipe": "mlp",
                "step": 1,
                **dict.fromkeys(("question", "measured", "answer", "next"), EVIL),
            }
        ]
    )
    report = made(tmp_path, verdicts=judged(*rows), tree=tree, advice=advised(words=EVIL))
    for html in (claims.verdicts(report), part(advice.tree, report), advice.advice(report)):
        assert EVIL in soup(html).get_text()
        assert not soup(html).find("script")


# Advice


def advised(**more: Any) -> pd.DataFrame:
    rows = [
        {
            "dataset": "digits",
            "recipe": "mlp",
            "goal": goal,
            "batch_size": None if goal == "energy" else 64,
            "full_batch": None if goal == "energy" else False,
            "value": None if goal == "energy" else 0.5,
            "ci_low": 0.4,
            "ci_high": 0.6,
            "unit": "s" if goal == "time_to_target" else "",
            "not_told_apart": "",
            "decided": goal == "time_to_target",
            "words": f"About {goal}.",
            **more,
        }
        for goal in advice.GOALS
    ]
    return pd.DataFrame(rows).astype({"batch_size": "Int64", "full_batch": "boolean", "value": "float64"})


def test_advice_says_whether_each_goal_is_decided(tmp_path: Path) -> None:
    html = advice.advice(made(tmp_path, advice=advised()))
    facts = [" ".join(item.get_text(" ").split()) for item in soup(html).select(".facts > div")]
    assert facts[0] == "Least time to a target 64 0.500 [0.400, 0.600] s; decided"
    assert facts[1] == "Best test accuracy 64 0.50 [0.40, 0.60]; not decided"
    assert len(facts) == 3  # neither energy, which was not measured, nor the tree, which is no measurement
    assert "Least energy: no size named About energy." in words(html)


def test_no_box_where_no_goal_has_a_size(tmp_path: Path) -> None:
    nothing = advised(batch_size=None, full_batch=None, value=None)
    assert advice.advice(made(tmp_path, advice=nothing)) == ""


# Evidence


def test_targets_show_who_got_there_and_a_mean_only_where_all_did(tmp_path: Path) -> None:
    report = made(tmp_path, fake_evidence.FakeEvidence(budget_epochs=20.0))
    html = part(targets.targets, report)
    table = report.of("targets", PAIR)
    assert column(html, "Reached") == [str(float(count)) for count in table["n_reached"]]
    some = table["n_reached"] < table["n"]
    assert some.any()
    assert [value == "" for value in column(html, "Epochs")] == some.tolist()
    assert [value != "" for value in column(html, "Epochs, cut off")] == some.tolist()
    assert "up to 20.0" in words(html)
    assert "Energy" not in words(soup(html).thead.decode())  # type: ignore[union-attr]


def test_a_refused_fit_shows_its_reason_and_no_number(tmp_path: Path) -> None:
    html = part(targets.critical, made(tmp_path, fake_evidence.FakeEvidence(refused={0.3: "it misfits"})))
    assert column(html, "Critical batch size") == ["60.0", "", "400.0"]
    assert column(html, "Fit") == ["accepted", "refused: it misfits", "accepted"]
    assert "60 [48, 78]" in words(html)


def test_a_refused_fit_says_what_is_known_all_the_same(tmp_path: Path) -> None:
    study = made(tmp_path, fake_evidence.FakeEvidence(refused={0.3: "no bend."}))
    fits = study.tables["critical_batch_size"]
    fits.loc[fits["target"] == 0.3, "at_least"] = 2.0 * fits["max_batch_size"]
    said = words(part(targets.critical, study))
    assert "refused: no bend. It is at least " in said
    assert "larger batches still saved updates up to" in said
    near = {"at_least": 30.0, "at_most": None, "min_batch_size": 8, "max_batch_size": 64}
    assert targets.bound(near) == "at least 30.0"
    most = {"at_least": None, "at_most": 4.0, "min_batch_size": 8, "max_batch_size": 64}
    assert targets.bound(most) == "at most 4.00: from 8 on, the smallest tried, larger batches cost examples"


def test_equal_budgets_name_the_amount_and_the_runs_that_count(tmp_path: Path) -> None:
    html = part(targets.budgets, made(tmp_path))
    assert {"40.0 epochs", "40.0 updates"} <= set(column(html, "After"))
    assert "0 of 5" in words(html)


def test_rates_say_how_the_best_grows_and_fold_the_trials(tmp_path: Path) -> None:
    report = made(tmp_path, fake_evidence.FakeEvidence(edge=(256,)))
    html = part(rates.rates, report)
    assert "to the power 0.52 [0.40, 0.64]" in findings.rate(report, PAIR)
    assert column(html, "Best at the edge").count("yes") == 1
    folded = soup(html).select_one("details.more")
    assert folded is not None
    assert len(folded.select("tbody tr")) == len(report.of("trials", PAIR))
    ends = ("slope", "slope_lowest", "slope_highest", "ci_low", "ci_high")
    unknown = {**dict.fromkeys(ends), "fitted": "32", "bounded": "", "left_out": "8; 128", "n": 3}
    assert "at batch size 32 only; a slope needs two." in rates.slope(unknown, trained=True)
    unknown |= {"fitted": "", "left_out": "8; 32; 128"}
    assert "at no batch size; a slope needs two." in rates.slope(unknown, trained=True)
    bounded = {"slope": None, "slope_lowest": 0.15, "slope_highest": 0.25, "ci_low": 0.1, "ci_high": 0.3}
    bounded |= {"fitted": "2; 4; 8; 16", "bounded": "4; 8; 16", "left_out": "", "n": 3}
    said = rates.slope(bounded, trained=True)
    assert "to a power between 0.15 and 0.25." in said
    assert "With the spread of the seeds" in said
    assert "interval is 0.10 to 0.30." in said
    assert "rests on 4 batch sizes and 3 tuning seeds. At batch sizes 4, 8 and 16 the best rate is only known" in said
    assert "3 runs at each rate" in rates.slope(bounded, trained=False)


@pytest.mark.parametrize(
    ("fitted", "left_out", "words"),
    [
        ("8; 32", "", "rests on batch sizes 8 and 32 and 3 tuning seeds."),
        ("8; 32", "1,168 (full)", "Batch size 1,168 (full) is left out: its best rate may lie beyond those tried."),
        ("8; 16; 32", "1; 2", "Batch sizes 1 and 2 are left out: their best rates may lie beyond those tried."),
        ("64; 128", "1; 2; 4; 8", "4 batch sizes are left out: their best rates may lie beyond those tried."),
    ],
)
def test_a_slope_names_the_sizes_that_it_rests_on_and_those_that_it_leaves_out(
    fitted: str, left_out: str, words: str
) -> None:
    row = {"slope": 0.5, "slope_lowest": 0.5, "slope_highest": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n": 3}
    said = rates.slope({**row, "fitted": fitted, "bounded": "", "left_out": left_out}, trained=True)
    assert said.endswith(words)


def test_rates_that_were_not_tuned_have_no_section(tmp_path: Path) -> None:
    report = made(tmp_path)
    untuned = report.of("rates", PAIR).assign(tuned=False)
    assert part(rates.rates, made(tmp_path, rates=untuned)) == ""


def test_savings_are_those_of_the_table(tmp_path: Path) -> None:
    row = {"dataset": "digits", "recipe": "mlp", "metric": "WER", "target": 40.0, "choice": "both", "batch_size": 32}
    row |= {"power_limit_watts": 100.0, "n": 4, "epochs_mean": 7.0, "joules": 5.5e6, "saving_percent": 42.789}
    html = part(targets.savings, made(tmp_path, savings=pd.DataFrame([row])))
    assert "WER 40" in words(html)
    assert "42.79" in words(html)
    assert column(html, "Energy") == ["5.5"]


# Sections


def test_a_section_without_content_leaves_no_heading(tmp_path: Path) -> None:
    report = made(tmp_path)
    assert elements.section("Title", "", "Introduction") == ""
    assert page.section("Title", "Introduction")(lambda *_: [])(report) == ""
    html = page.section("Title", "Introduction & more")(lambda *_: ["<p>body</p>"])(report)
    assert [tag.name for tag in soup(html).find_all(True)] == [*("details", "summary", "p", "h3", "p")]
    assert "Introduction &amp; more" in html


def test_every_kind_of_evidence_vanishes_where_the_study_has_none(tmp_path: Path) -> None:
    report = made(tmp_path)
    bare = replace(report, tables={name: table.iloc[:0] for name, table in report.tables.items()})
    bare.tables["runs"] = report.tables["runs"]  # type: ignore[index]
    for section in (targets.targets, targets.critical, targets.budgets, targets.savings, rates.rates, advice.tree):
        assert section(bare) == "", section.name
    assert advice.advice(bare) == part(advice.tree, bare) == claims.verdicts(bare) == ""


def test_figures_that_the_study_lacks_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(STUDY_FIGURES[FIGURE], needs=("targets",))
    monkeypatch.setattr(type(spec), "alt", lambda self, frames: "words")
    monkeypatch.setattr(type(spec), "caption", lambda self, frames: "caption")
    monkeypatch.setitem(STUDY_FIGURES, FIGURE, spec)
    report = made(tmp_path)
    blocks = [Figure(FIGURE), Figure("memory")]  # memory was not drawn
    assert len(soup(page.html(report, PAIR, blocks)).select("figure")) == 1
    assert report.svg(FIGURE, PAIR)
    without = replace(report, tables={**report.tables, "targets": report.tables["targets"].iloc[:0]})
    assert page.html(without, PAIR, blocks) == ""
    assert not without.svg(FIGURE, PAIR)


# What was done, and limits


def recipe(rule: str = "none", tuning: Any = None, **budget: Any) -> dict[str, Any]:
    return {"learning_rate_scaling": {"rule": rule}, "tuning": tuning, "budget": {"updates": None, **budget}}


def limits(tmp_path: Path, **recipes: Any) -> str:
    return words(method.limits(replace(made(tmp_path), study={"measurements": None, "recipes": recipes})))


def test_the_limits_say_of_each_recipe_what_was_done_about_the_learning_rate(tmp_path: Path) -> None:
    fixed = limits(tmp_path, plain=recipe())
    assert "With plain the learning rate is the same for all sizes" in fixed
    assert "tuned at every size" not in fixed
    both = limits(tmp_path, tried=recipe(tuning={"seeds": [1, 2]}), scaled=recipe("linear"))
    assert "With tried the learning rate was tuned at every size, on seeds of its own" in both
    assert "With scaled a rule scales the learning rate" in both
    assert "is the same for all sizes" not in both


def test_the_limits_follow_the_kind_of_budget(tmp_path: Path) -> None:
    assert "Every size makes the same number of updates" in limits(tmp_path, steps=recipe(updates=1000))
    mixed = limits(tmp_path, steps=recipe(updates=1000), passes=recipe(epochs=20))
    assert "With a budget in epochs every size trains for the same number of epochs" in mixed
    assert "With a budget in updates every size" in mixed


def test_imported_measurements_are_described_as_such(tmp_path: Path) -> None:
    given = {
        "runs": {"path": "folder/zeus.csv", "shared_seeds": False},
        "timings": {"path": "folder/power.csv"},
        "baseline": {"batch_size": 192, "power_limit_watts": 250.0},
    }
    report = replace(made(tmp_path), study={"measurements": given})
    assert not report.trained
    text = words(method.done(report))
    assert "30 runs at 6 batch sizes, from the file zeus.csv" in text
    assert "folder/" not in text
    assert "Savings are against batch size 192 with a power limit of 250 W" in text
    assert "taken as they are" in words(method.limits(report))
    assert "validation part" not in words(method.terms(report))


def test_links_lead_to_the_tables_that_have_rows(tmp_path: Path) -> None:
    links = {str(link["href"]) for link in soup(method.files(made(tmp_path))).select("a")}
    assert "tables/targets.csv" in links
    assert "tables/verdicts.csv" not in links


def test_many_verdicts_are_first_shown_one_row_per_statement(tmp_path: Path) -> None:
    rows = [verdict(f"C{i}", kind) for i in range(5) for kind in ("supported", "contradicted")]
    html = claims.verdicts(made(tmp_path, verdicts=judged(*rows)))
    overview = soup(html).select_one("#table-verdicts-overview")
    assert overview is not None
    assert len(overview.select("tbody tr")) == 5
    lines = [line.get_text(" ", strip=True) for line in overview.select("tbody tr")[0].select(".line")]
    assert lines == [f"{kind} digits with mlp: 0.50 [0.40, 0.60] nat" for kind in ("supported", "contradicted")]
    assert soup(html).select_one("details #table-verdicts") is not None
    few = claims.verdicts(made(tmp_path, verdicts=judged(*rows[:8])))
    assert soup(few).select_one("#table-verdicts-overview") is None


def test_of_many_verdicts_on_a_statement_the_overview_says_how_often_each_was_given(tmp_path: Path) -> None:
    rows = [verdict("C1", "supported", recipe=f"r{i}", effect=0.1 * (i + 1)) for i in range(6)]
    rows += [verdict("C1", "undecided", recipe=f"s{i}", effect=None) for i in range(3)]
    overview = soup(claims.verdicts(made(tmp_path, verdicts=judged(*rows)))).select_one("#table-verdicts-overview")
    assert overview is not None
    lines = [line.get_text(" ", strip=True) for line in overview.select("tbody .line")]
    assert lines == ["supported 6 of 9 workloads, effect 0.100 to 0.600 nat", "undecided 3 of 9 workloads"]


def test_figures_in_a_row_stand_side_by_side_and_a_single_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "figure_html", lambda *found: "<figure></figure>" if found[-1] == FIGURE else "")
    report = made(tmp_path)
    drawn, absent = Figure(FIGURE), Figure("memory")
    assert len(soup(page.html(report, PAIR, [drawn, absent, drawn])).select(".panels > figure")) == 2
    assert not soup(page.html(report, PAIR, [drawn, absent, "<p>between</p>", drawn])).select(".panels")


def test_of_many_data_sets_and_recipes_all_but_the_first_are_folded(tmp_path: Path) -> None:
    runs = pd.DataFrame({"dataset": "digits", "recipe": ["mlp-0", "mlp-1", "mlp-2"]})
    report = made(tmp_path, runs=runs)
    section = page.section("Title")(lambda _, pair: [f"<p>{pair[1]}</p>"])
    html = section(report)
    folded = soup(html).select("details.under")
    assert [each.select_one("summary h3").get_text() for each in folded] == [f"digits with mlp-{i}" for i in (1, 2)]
    assert soup(html).select_one("h3").get_text() == "digits with mlp-0"  # type: ignore[union-attr]
    few = section(replace(report, tables={"runs": runs[:2]}))
    assert not soup(few).select("details details")
