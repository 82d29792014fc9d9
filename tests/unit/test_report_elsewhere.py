"""The card of runs made elsewhere: what its table says, what it leaves open, and what to do next."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from batchscope.jobs.tables import study_tables
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.report import chapters, findings
from batchscope.report.content import Content
from batchscope.report.sections import answer, opening
from unit import fake_report
from unit.fake_external import measured, sweep

PAIR = ("d", "r")


def content(folder: Path, table: pd.DataFrame, **keys: Any) -> Content:
    study = measured(folder, table, **keys)
    return Content({**study, "question": "?"}, {}, study_tables(study), folder)


def words(html: str) -> str:
    return BeautifulSoup(html, "html.parser").get_text(" ", strip=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Content:
    table = sweep(seed=2, rates=(0.05, 0.1, 0.2)).assign(state="finished")
    table.loc[(table["B"] == 128) & (table["rate"] == 0.2), "state"] = "crashed"
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs", "learning_rate": "rate"}
    columns |= {"state": "state", "selected_validation_loss": "loss"}
    return content(tmp_path_factory.mktemp("elsewhere"), table, columns=columns)


def test_the_card_counts_all_runs_and_says_what_was_left_out_and_what_comes_next(made: Content) -> None:
    said = words(answer.card(made, PAIR))
    assert "5 batch sizes · 56 runs · 20 at the best learning rate of their size" in words(opening.scope(made))
    assert "that of the lowest mean validation loss: 20 of 56 runs" in said
    assert "Left out: 8 rows of the table (state crashed)." in said
    assert "The best learning rate is the lowest tried at 8, 16, 32, 64 and 128: try lower ones." in said
    assert "seed" not in said


def test_no_caption_says_that_times_of_others_were_taken_here(made: Content) -> None:
    caption = STUDY_FIGURES["answer"].caption(made.frames(PAIR))
    assert "Time: as measured elsewhere." in caption
    assert "isolation" not in caption


def test_the_card_names_critical_size_time_and_energy(made: Content) -> None:
    fits = made.tables["critical_batch_size"].sort_values("target")
    assert fits["accepted"].all()
    facts = {
        row.select_one("dt").get_text(): row.select_one("dd").get_text(" ")  # type: ignore[union-attr]
        for row in BeautifulSoup(answer.card(made, PAIR), "html.parser").select(".facts > div")
    }
    assert facts["Critical batch size"].startswith(f"{fits['b_crit'].iloc[0]:.0f} [")
    assert facts["Critical batch size"].endswith("at error 0.1")
    assert "Least energy to error 0.1" in facts
    assert "Least time to error 0.1" in facts


@pytest.mark.parametrize(("scale", "unit"), [(1, "J"), (1e5, "MJ")])
def test_energy_has_one_unit_on_a_page(tmp_path: Path, scale: float, unit: str) -> None:
    table = sweep(seed=2, rates=(0.1,))
    table["epochs"] *= scale
    made = content(tmp_path, table)
    page = answer.answers(made) + chapters.time_to_target(made)
    units = {found.get_text() for found in BeautifulSoup(page, "html.parser").select("th .unit")} & {"J", "MJ"}
    assert units == {unit}
    assert f" {unit}" in words(answer.answers(made))
    assert (" MJ" in words(page)) == (unit == "MJ")


def test_what_the_table_cannot_speak_about_is_not_listed(tmp_path: Path, made: Content) -> None:
    none = measured_without_verdicts(made)
    assert chapters.statements(none) == ""
    assert "not measured" not in words(chapters.statements(made)).lower()
    for chapter in (chapters.quality, chapters.time_to_target, chapters.how, chapters.learning_rates):
        said = words(chapter(made)).lower()
        assert "fixed before the runs" not in said
        assert "tuning seed" not in said
        assert "5 seeds" not in said


def measured_without_verdicts(made: Content) -> Content:
    found = made.tables["verdicts"]
    missing = found[found["verdict"] == "not measured"]
    assert len(missing)
    return Content(made.study, made.manifest, {**made.tables, "verdicts": missing}, made.figures)


def test_without_results_and_times_the_critical_size_is_the_answer(tmp_path: Path) -> None:
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs"}
    study = measured(tmp_path, sweep(seed=2, rates=(0.1,)), columns=columns)
    study["measurements"] |= {"timings": None, "baseline": None}
    made = Content({**study, "question": "?"}, {}, study_tables(study), tmp_path)
    card = BeautifulSoup(answer.card(made, PAIR), "html.parser")
    assert card.select_one(".headline span").get_text() == "Critical batch size"  # type: ignore[union-attr]
    assert card.select_one(".headline strong").get_text().isdigit()  # type: ignore[union-attr]
    assert "no size can be recommended" in card.get_text()
    assert "diverged" not in card.get_text()


def test_where_nobody_knows_seconds_the_finding_on_targets_counts_epochs(tmp_path: Path) -> None:
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs"}
    table = sweep(seed=2, rates=(0.1,))
    study = measured(tmp_path, table, columns=columns)
    study["measurements"] |= {"timings": None, "baseline": None}
    made = Content({**study, "question": "?"}, {}, study_tables(study), tmp_path)
    means = table.pivot_table(index="goal", columns="B", values="epochs").dropna().iloc[0]
    said = findings.target(made, PAIR)
    for size in (means.idxmin(), means.idxmax()):
        assert f"{size}" in said
        assert f"{means[size]:.2f} [" in said
    timed = content(tmp_path, table, columns=columns)
    assert " epochs at batch size " not in findings.target(timed, PAIR)


def test_an_answer_that_rests_on_time_stands_beside_the_figure_of_time(tmp_path: Path) -> None:
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs"}
    made = content(tmp_path, sweep(seed=2, rates=(0.1,)), columns=columns)
    assert made.tables["recommendation"]["basis"].tolist() == ["target"]
    assert made.tables["recommendation"]["as_fast"].isna().all()  # times to a target are compared in `not_worse`
    assert not {"nan", "None"} & {*re.findall(r"\w+", BeautifulSoup(answer.card(made, PAIR), "html.parser").get_text())}
    folder = tmp_path / PAIR[0] / PAIR[1]
    folder.mkdir(parents=True)
    for name in ("steps_to_target", "time_to_target"):
        (folder / f"{name}.svg").write_text(fake_report.SVG, encoding="utf-8")
        figure = BeautifulSoup(answer.card(made, PAIR), "html.parser").select_one("figcaption strong")
        assert figure is not None
        assert figure.get_text() == f"{STUDY_FIGURES[name].heading(made.frames(PAIR))}."


def test_a_bend_beyond_the_sizes_is_told_as_a_bound(tmp_path: Path) -> None:
    table = sweep(seed=2, rates=(0.1,))
    table["epochs"] /= 1 + table["B"] / 40
    said = words(answer.card(content(tmp_path, table), PAIR))
    assert "at least 256: larger batches still saved updates up to 128" in said


def test_a_card_without_times_says_how_many_runs_would_show_a_difference_and_where_times_go(tmp_path: Path) -> None:
    table = sweep(seed=2, rates=(0.1,)).drop_duplicates(["B", "run"])
    study = measured(tmp_path, table, columns={"batch_size": "B", "selected_validation_loss": "loss"}, metric=None)
    study["measurements"] |= {"timings": None, "baseline": None}
    made = Content({**study, "question": "?"}, {}, study_tables(study), tmp_path)
    open_ = made.tables["best"].query("status == 'compared' and not told_apart").dropna(subset=["seeds_to_tell"])
    first = open_.sort_values("seeds_to_tell").iloc[0]
    said = words(answer.card(made, PAIR))
    assert f"About {first['seeds_to_tell']:,} runs per size for {first['batch_size']} (" in said
    assert "would show the difference from the best mean in 4 of 5 such studies." in said
    assert (
        "time is not known: seconds per epoch or update of each size go into a file under measurements.timings." in said
    )


def of_rates(folder: Path, losses: dict[float, list[str]]) -> str:
    """What the card says where size 16 has these results by rate: numbers, and `crashed` for a state."""
    lines = ["B,rate,loss,state"]
    for size in (8, 16):
        for rate in (0.1, 0.2, 0.4) if size == 8 else losses:
            given = ["0.5", "0.52"] if size == 8 and rate != 0.2 else ["0.3", "0.31"] if size == 8 else losses[rate]
            lines += [
                f"{size},{rate},{'' if cell == 'crashed' else cell},{'crashed' if cell == 'crashed' else 'finished'}"
                for cell in given
            ]
    (folder / "rates.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return of_table(
        folder, {"batch_size": "B", "learning_rate": "rate", "selected_validation_loss": "loss", "state": "state"}
    )


def of_table(folder: Path, columns: dict[str, str]) -> str:
    """What the card of the runs in `rates.csv` says."""
    study = measured(folder, sweep(seed=2, rates=(0.1,)))
    runs = study["measurements"]["runs"] | {"path": str(folder / "rates.csv"), "columns": columns, "metric": None}
    study["measurements"] |= {"runs": runs, "timings": None, "baseline": None}
    made = Content({**study, "question": "?"}, {}, study_tables(study), folder)
    return words(answer.card(made, PAIR))


HIGHEST = "The best learning rate is the highest tried at 16: try higher ones."
FAILED_BEYOND = "At 16 runs failed at the next higher learning rate: try rates between."


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"]}, HIGHEST),
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"], 0.4: ["crashed", "crashed"]}, FAILED_BEYOND),
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"], 0.4: ["nan", "inf"]}, FAILED_BEYOND),
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"], 0.4: ["0.2", "nan"]}, FAILED_BEYOND),  # passed over
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"], 0.4: ["0.7", "nan"]}, ""),
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"], 0.4: ["0.5", "crashed"]}, ""),
        ({0.1: ["0.2", "nan"], 0.2: ["0.3", "0.4"]}, "At 16 runs failed at the next lower learning rate"),
        ({0.1: ["0.5", "0.6"], 0.2: ["0.3", "0.4"], 0.4: ["crashed"], 0.8: ["0.9", "0.8"]}, ""),
    ],
)
def test_a_rate_beyond_the_best_that_failed_is_not_said_to_be_untried(
    tmp_path: Path, losses: dict[float, list[str]], says: str
) -> None:
    said = of_rates(tmp_path, losses)
    assert says in said
    for other in {HIGHEST, FAILED_BEYOND} - {says}:
        assert other not in said


def test_the_card_says_that_a_rate_with_a_better_mean_lost_a_run(tmp_path: Path) -> None:
    table = sweep(seed=2, rates=(0.05, 0.1))
    table.loc[(table["B"] == 128) & (table["rate"] == 0.05) & (table["run"] == 0), "loss"] = float("inf")
    columns = {"batch_size": "B", "seed": "run", "target": "goal", "epochs": "epochs", "learning_rate": "rate"}
    made = content(tmp_path, table, columns=columns | {"selected_validation_loss": "loss"})
    said = words(answer.card(made, PAIR))
    assert "among the rates at which the largest share of runs succeeded: 20 of 39 runs." in said
    assert "with a better mean: 0.05 (3 of 4 runs) at 128." in said
    assert "Left out: 2 rows of the table" in said


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ({8: "0.001", 16: "0.0010000000000000002"}, "All runs compared had the learning rate 0.001: one for all sizes"),
        ({8: "0.001", 16: "0.002"}, ""),
        ({8: "0.001", 16: ""}, ""),
        ({8: "", 16: ""}, ""),
        ({8: "0.001"}, ""),
    ],
)
def test_the_card_says_that_one_learning_rate_was_that_of_all_sizes(
    tmp_path: Path, rates: dict[int, str], says: str
) -> None:
    lines = [f"{size},{rate},{0.3 + run / 100}" for size, rate in rates.items() for run in range(3)]
    (tmp_path / "rates.csv").write_text("\n".join(["B,rate,loss", *lines]) + "\n", encoding="utf-8")
    said = of_table(tmp_path, {"batch_size": "B", "learning_rate": "rate", "selected_validation_loss": "loss"})
    assert says in said
    assert ("All runs compared had" in said) == bool(says)
