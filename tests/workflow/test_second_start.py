"""What a second start of a study does: after a change, a damage, with time stamps that are wrong."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import command, edit, lasting, planned, refused, snakemake, start


@pytest.fixture
def faster(edited):
    """The finished study, whose file now asks for another learning rate."""
    edit(edited / "tiny.yaml", "learning_rate: 0.1,", "learning_rate: 0.2,")
    return edited


def test_nothing_is_left_to_do_whatever_the_time_stamps_say(small, edited):
    assert planned(small) == {}
    with np.load(edited / "results/datasets/flowers/fixed.npz") as arrays:  # too large for Snakemake's own digests
        padded = {**arrays, "padding": np.random.default_rng(0).random(200_000)}
    np.savez(edited / "results/datasets/flowers/fixed.npz", **padded)
    for file in [*edited.glob("*.*"), *edited.glob("results/**/*.npz"), *edited.glob("results/runs/**/*.parquet")]:
        os.utime(file, (4e9, 4e9))
    assert planned(edited) == {}


def test_no_job_reads_a_file_of_the_future(small, edited):
    for file in [edited / "flowers.npz", *edited.glob("results/runs/**/*.*")]:
        os.utime(file, (4e9, 4e9))
    (edited / "results/tiny/tables/summary.parquet").unlink()
    done = snakemake(edited, "tables")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lasting(edited, "summary").equals(lasting(small, "summary"))
    (edited / "results/datasets/flowers/fixed.npz").unlink()
    kept = {path: path.stat().st_mtime for path in edited.glob("results/**/*.*")}
    output = refused(edited, "results/datasets/flowers/fixed.npz")
    assert any("flowers.npz" in line and "2096-10-02" in line for line in output.splitlines())
    assert {path: path.stat().st_mtime for path in edited.glob("results/**/*.*")} == kept


def test_what_was_trained_with_another_rate_never_enters_a_table(faster):
    before = {path: path.read_bytes() for path in faster.glob("results/runs/**/*.parquet")}
    for blind in (["--rerun-triggers", "mtime"], ["--rerun-triggers", "mtime", "--forcerun", "tabulate"], []):
        if not blind:  # neither is anything known of results that came without this folder
            shutil.rmtree(faster / ".snakemake")
        assert "results/runs/flowers/own/bs8/seed1/manifest.json" in refused(faster, *blind)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("without", ["metadata", "params"])
def test_tables_and_report_of_another_question_are_never_taken_for_this_ones(edited, without):
    if without == "metadata":
        shutil.rmtree(edited / ".snakemake")
    blind = ["--rerun-triggers", "mtime"] if without == "params" else []
    assert planned(edited, *blind) == {}
    edit(edited / "tiny.yaml", "title: ", "title: Another ")
    assert "results/tiny/tables/made_from.json" in refused(edited, "--dry-run", *blind)
    assert planned(edited, *blind, "--forcerun", "tabulate", "describe")["render_report"] == 1


def test_touching_and_forcing_the_report_do_not_make_old_runs_pass_for_new_ones(faster):
    for options in (["--touch"], ["--rerun-triggers", "mtime", "--forcerun", "describe", "render_report"]):
        assert "results/runs/flowers/own/bs8/seed1/manifest.json" in refused(faster, *options)
    assert planned(faster)["train"] == 6


def test_results_of_another_engine_are_announced_before_any_job(edited):
    done = start(edited, [*command("--dry-run"), "engine=jax"])
    assert "results/runs/flowers/own were made with another engine than jax" in done.stdout + done.stderr


def test_other_data_are_refused_or_announced_before_any_job(edited):
    with np.load(edited / "flowers.npz") as arrays:
        x, y = arrays["x"].copy(), arrays["y"]
    made = (edited / "results/datasets/flowers/fixed.npz").read_bytes()
    x[3] = np.nan
    np.savez(edited / "flowers.npz", x=x, y=y)
    assert "data set flowers: flowers.npz: array `x`" in refused(edited)
    assert (edited / "results/datasets/flowers/fixed.npz").read_bytes() == made
    np.savez(edited / "flowers.npz", x=np.nan_to_num(x), y=y)
    announced = snakemake(edited, "--dry-run")
    assert "results/runs/flowers/own were made with another data set" in announced.stdout + announced.stderr


def test_a_damaged_figure_or_page_is_made_again_and_a_damaged_table_too(small, edited):
    report, figure = edited / "results/tiny/report.html", edited / "results/tiny/figures/flowers/own/memory.svg"
    page, drawn = report.read_bytes(), figure.read_bytes()
    report.write_bytes(page[:1000])
    assert planned(edited) == {"all": 1, "render_report": 1, "total": 2}
    assert report.with_name("report.html.damaged").read_bytes() == page[:1000]
    figure.write_bytes(drawn.replace(b"</svg>", b"</svg >"))
    assert "flowers/own/memory.svg" in refused(edited)
    assert not report.exists()
    again = snakemake(edited)
    assert again.returncode == 0, again.stdout + again.stderr
    assert figure.read_bytes() == drawn
    assert report.exists()
    cut = edited / "results/tiny/tables/runs.parquet"
    stamps, content = cut.stat(), cut.read_bytes()
    cut.write_bytes(content[:-1])
    os.utime(cut, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    again = snakemake(edited, "tables")
    assert again.returncode == 0, again.stdout + again.stderr
    pd.testing.assert_frame_equal(lasting(edited, "runs"), lasting(small, "runs"))
