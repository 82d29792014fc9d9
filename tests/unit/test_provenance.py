"""Records that are damaged or were made for something else never enter a table; time stamps decide nothing alone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchscope.identity.asked import Ask, Asked
from batchscope.identity.digests import fingerprint, is_sealed_markup, sealed, sealed_markup
from batchscope.jobs import job, provenance

SIZES = {"digits": {"draw": "fixed", "source": "digits"}, "blobs": {"draw": "per-seed", "source": "blobs"}}
ASKED = Asked(
    study={
        "datasets": SIZES,
        "recipes": {
            "plain": {"name": "plain", "tuning": None, "optimizer": {"learning_rate": 0.1}},
            "tuned": {"name": "tuned", "tuning": {"seeds": [7, 8]}, "optimizer": {"learning_rate": 0.1}},
        },
        "seeds": [1, 2],
        "probes": {"gradients": {"recipes": ["plain"], "trained_with": None, "batches": 20}},
        "settings": {
            "engine": "tensorflow",
            "loop": "fused",
            "device": "cpu",
            "threads": 1,
            "step_records": 2000,
            "telemetry": {"interval_seconds": 0.25},
            "timing": {"windows": 7},
        },
    },
    code={name: f"code of {name}" for name in ("make_dataset", "tune_cell", "train", "time_cell", "probe_gradients")},
    software="pins",
    files={"datasets": {"digits": {}, "blobs": {}}, "recipes": {"plain": {"model.py": "a"}, "tuned": {}}},
    environment={},
    probes={"gradients": "weights"},
)
RUN = ("digits", "plain", "8", 1)


def write(folder: Path, ask: Ask, content: bytes = b"rows") -> tuple[Path, Path]:
    """A record and its manifest, as a job writes them."""
    folder.mkdir(parents=True)
    table, manifest = folder / "run.parquet", folder / "manifest.json"
    table.write_bytes(content)
    job.write_manifest({"not_measured": {}}, {**ask, "data": "d"}, ask, {"run": str(table), "manifest": str(manifest)})
    return table, manifest


def test_a_run_of_a_version_that_spelt_a_key_otherwise_is_one_of_another_recipe(tmp_path: Path) -> None:
    run = ("digits", "tuned", "8", 1)
    ask = ASKED.run(*run)
    _, manifest = write(place(tmp_path, run), ask)
    assert provenance.changed(manifest, ASKED) == []
    earlier = {name: value for name, value in ask["recipe"].items() if name != "optimizer"}
    _, manifest = write(
        place(tmp_path / "earlier", run), {**ask, "recipe": {**earlier, "optimiser": ask["recipe"]["optimizer"]}}
    )
    assert provenance.changed(manifest, ASKED) == ["recipe"]
    assert provenance.others(ASKED, {"run": [manifest]}) == [manifest]


def test_a_manifest_of_a_version_that_had_other_keys_does_not_fit(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(sealed({"files": {}, "written_by": "another version"})))
    assert provenance.others(ASKED, {"run": [manifest]}) == [manifest]


def place(root: Path, run: tuple[Any, ...] = RUN) -> Path:
    return root.joinpath("results/runs", *run[:2], f"bs{run[2]}", f"seed{run[3]}")


def test_runs_of_another_engine_are_told_of_before_they_are_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "results/runs/digits/plain"
    (folder / "bs8").mkdir(parents=True)
    assert provenance.replaced(folder, ASKED) is None
    write(folder / "bs8/seed1", ASKED.run(*RUN))
    assert provenance.replaced(folder, ASKED) is None
    said = provenance.replaced(folder, changed(lambda f: f["study"]["settings"].update(engine="jax")))
    assert said is not None
    assert f"{folder} were made with another engine than jax:" in said
    assert "--directory" in said


def changed(change: Callable[[dict[str, Any]], Any]) -> Asked:
    """The same study with one thing changed."""
    fields = copy.deepcopy(vars(ASKED))
    change(fields)
    return Asked(**fields)


def test_what_fits_is_taken_and_stays(tmp_path: Path) -> None:
    table, manifest = write(place(tmp_path), ASKED.run(*RUN))
    provenance.check(ASKED, {"run": [manifest]}, [table])
    assert table.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f["study"]["recipes"]["plain"]["optimizer"].update(learning_rate=0.2),
        lambda f: f["study"]["datasets"]["digits"].update(split_seed=1),
        lambda f: f["study"]["settings"].update(threads=2),
        lambda f: f["code"].update(train="other"),
        lambda f: f["code"].update(make_dataset="other"),
        lambda f: f["files"]["recipes"]["plain"].update({"model.py": "b"}),
        lambda f: f["files"]["recipes"]["plain"].update({"beside.py": "c"}),
        lambda f: f.update(software="other pins"),
        lambda f: f["environment"].update(TF_ENABLE_ONEDNN_OPTS="0"),
        lambda f: f["study"]["datasets"].pop("digits"),
    ],
)
def test_a_record_of_something_else_is_refused_by_name_and_kept(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    table, manifest = write(place(tmp_path), ASKED.run(*RUN))
    with pytest.raises(provenance.RecordError, match=r"manifest\.json was made from another definition"):
        provenance.check(changed(change), {"run": [manifest]}, [table])
    assert table.exists()
    assert manifest.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f["study"]["recipes"]["tuned"]["optimizer"].update(learning_rate=0.2),
        lambda f: f["code"].update(time_cell="other", tune_cell="other", probe_gradients="other"),
        lambda f: f["files"]["recipes"]["tuned"].update({"other.py": "b"}),
        lambda f: f["study"]["seeds"].append(3),
    ],
)
def test_what_a_run_does_not_follow_from_may_change(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    table, manifest = write(place(tmp_path), ASKED.run(*RUN))
    provenance.check(changed(change), {"run": [manifest]}, [table])


def test_a_run_follows_from_its_tuning_and_a_probe_from_its_run() -> None:
    tuned = ("digits", "tuned", "8", 1)
    other = changed(lambda f: f["code"].update(tune_cell="other"))
    assert fingerprint(ASKED.run(*tuned)) != fingerprint(other.run(*tuned))
    assert fingerprint(ASKED.run(*RUN)) == fingerprint(other.run(*RUN))
    other = changed(lambda f: f["code"].update(train="other"))
    assert fingerprint(ASKED.probe("gradients", *RUN)) != fingerprint(other.probe("gradients", *RUN))


def test_data_drawn_per_seed_are_told_apart_and_fixed_data_are_not() -> None:
    data = {name: [ASKED.run(name, "plain", "8", seed)["sources"]["data"] for seed in (1, 2)] for name in SIZES}
    assert data["digits"][0] == data["digits"][1]
    assert data["blobs"][0] != data["blobs"][1]


@pytest.mark.parametrize("names", [("seeds", "plain"), ("digits", "seed1"), ("seed1", "seed1")])
def test_names_that_look_like_folders_are_names(tmp_path: Path, names: tuple[str, str]) -> None:
    asked = changed(
        lambda f: (
            f["study"]["datasets"].update({names[0]: SIZES["digits"]}),
            f["study"]["recipes"].update({names[1]: {**f["study"]["recipes"]["plain"], "name": names[1]}}),
            f["files"]["datasets"].update({names[0]: {}}),
            f["files"]["recipes"].update({names[1]: {}}),
        )
    )
    run = (*names, "8", 1)
    table, manifest = write(place(tmp_path, run), asked.run(*run))
    provenance.check(asked, {"run": [manifest]}, [table])


def test_a_record_in_the_folder_of_another_job_is_refused(tmp_path: Path) -> None:
    table, manifest = write(place(tmp_path, ("digits", "plain", "8", 2)), ASKED.run(*RUN))
    with pytest.raises(provenance.RecordError, match="was made from another definition"):
        provenance.check(ASKED, {"run": [manifest]}, [table])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_or_cut_is_noticed_and_the_file_set_aside(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    table, manifest = write(place(folder), ASKED.run(*RUN), b"some rows")
    victim = data.draw(st.sampled_from([table, manifest]))
    content = bytearray(victim.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[where] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[where:]
    same = victim == manifest and _says_the_same(content, victim)
    victim.write_bytes(content)
    if same:  # white space of JSON
        return
    with pytest.raises(provenance.RecordError, match=rf"{re.escape(victim.name)} is not as its job wrote it"):
        provenance.check(ASKED, {"run": [manifest]}, [table])
    assert not victim.exists()
    assert victim.with_name(f"{victim.name}.damaged").read_bytes() == content


def _says_the_same(content: bytearray, file: Path) -> bool:
    try:
        return bool(json.loads(content) == json.loads(file.read_bytes()))
    except ValueError:
        return False


def test_tables_are_made_again_when_records_are_others_whatever_their_time_stamps_say(tmp_path: Path) -> None:
    _, manifest = write(place(tmp_path), ASKED.run(*RUN))
    made_from = tmp_path / "made_from.json"
    assert provenance.token(made_from, [manifest]) == ""
    made_from.write_text(json.dumps(provenance.stamp("", "", [manifest], [])))
    assert provenance.token(made_from, [manifest]) == ""
    content = manifest.read_text()
    manifest.write_text(content + " ")
    changed = provenance.token(made_from, [manifest])
    assert changed != ""
    made_from.write_text(json.dumps(provenance.stamp(changed, "", [manifest], [])))
    assert provenance.token(made_from, [manifest]) == changed  # nothing is made a second time
    manifest.write_text(content)
    assert provenance.token(made_from, [manifest]) not in ("", changed)
    manifest.unlink()  # a job that runs again is a reason of its own
    assert provenance.token(made_from, [manifest]) == changed


def test_tables_are_made_again_when_they_are_not_as_they_were_written(tmp_path: Path) -> None:
    _, manifest = write(place(tmp_path), ASKED.run(*RUN))
    made_from, table = tmp_path / "made_from.json", tmp_path / "summary.parquet"
    table.write_bytes(b"rows")
    made_from.write_text(json.dumps(provenance.stamp("", "", [manifest], [table])))
    token = ""
    for _ in range(2):  # the same damage a second time is a reason, too
        assert provenance.token(made_from, [manifest]) == token
        table.write_bytes(b"rowz")
        again = provenance.token(made_from, [manifest])
        assert again != token
        table.write_bytes(b"rows")
        made_from.write_text(json.dumps(provenance.stamp(again, "", [manifest], [table])))
        token = again
    made_from.write_text(made_from.read_text().replace("records", "recordz"))
    assert provenance.token(made_from, [manifest]) != again


def test_a_record_that_another_job_set_aside_is_refused_by_name(tmp_path: Path) -> None:
    table, manifest = write(place(tmp_path), ASKED.run(*RUN))
    assert provenance.require_whole(table, manifest) == table
    for file in (table, manifest):
        file.unlink()
        with pytest.raises(provenance.RecordError, match=f"{file.name} is not there"):
            provenance.require_whole(table, manifest)


def test_every_damaged_record_is_set_aside_at_once(tmp_path: Path) -> None:
    places = [("digits", "plain", "8", seed) for seed in (1, 2)]
    tables, manifests = zip(*(write(place(tmp_path, run), ASKED.run(*run)) for run in places), strict=True)
    other = write(place(tmp_path, ("blobs", "plain", "8", 1)), ASKED.run("blobs", "plain", "8", 1))
    for file in (*manifests, other[0]):
        file.write_bytes(b"x" + file.read_bytes())
    with pytest.raises(provenance.RecordError, match="and 2 more"):
        provenance.check(ASKED, {"run": [*manifests, other[1]]}, [*tables, other[0]])
    assert not any(file.exists() for file in (*manifests, other[0]))
    assert all(file.exists() for file in (*tables, other[1]))  # a job without its manifest writes all anew


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_a_drawing_that_was_changed_is_known(text: str, data: st.DataObject) -> None:
    content = bytearray(sealed_markup(text).encode())
    assert is_sealed_markup(bytes(content))
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] ^= 1 << data.draw(st.integers(0, 7))
    assert not is_sealed_markup(bytes(content))
    assert not is_sealed_markup(bytes(content[:where]))
