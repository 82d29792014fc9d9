"""Whatever becomes of a record on disk, it is read as it was written, or refused in a sentence and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_provenance import ASKED, RUN, place

from batchscope.data import facts
from batchscope.data.dataset import ARRAYS, DataError, digest
from batchscope.identity import files
from batchscope.identity.digests import sealed
from batchscope.jobs import job, provenance, saved
from batchscope.tables import codebook, records
from batchscope.training import snapshots
from batchscope.training.checkpoints import END

moderate = settings(max_examples=60, deadline=None)


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What may happen to the bytes of a file: cut short, bits turned, a part of zeros, or other bytes at all."""
    kind = draw(st.sampled_from(["cut", "bits", "bits", "zeros", "other", "empty", "twice"]))
    where, bit, size = draw(st.floats(0, 1)), draw(st.integers(0, 7)), draw(st.integers(1, 600))
    other = draw(st.binary(max_size=40))

    def change(content: bytes) -> bytes:
        start = int(where * (len(content) - 1))
        if kind == "bits":
            return content[:start] + bytes([content[start] ^ 1 << bit]) + content[start + 1 :]
        parts = {"cut": content[:start], "zeros": content[:start] + bytes(size) + content[start + size :]}
        return {**parts, "other": other, "empty": b"", "twice": content * 2}[kind]

    return change


def row(table: str) -> dict[str, Any]:
    """A row of a table with some value in every column."""
    values = {"string": "a", "integer": 3, "number": 0.5, "boolean": True}
    return {name: values[column.kind] for name, column in records.TABLES[table].items()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_refused_and_kept(file: Path, content: bytes, read: Callable[[], Any]) -> None:
    """`read` refuses the file in a sentence that names it, and its bytes are still there."""
    with pytest.raises((provenance.RecordError, records.TableError, DataError, job.JobError)) as caught:
        read()
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 2000
    kept = file if file.exists() else file.with_name(f"{file.name}.damaged")
    assert kept.read_bytes() == content


@moderate
@given(change=damage(), table=st.sampled_from(sorted(records.TABLES)), data=st.data())
def test_any_table_and_manifest_of_a_job(
    tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes], table: str, data: st.DataObject
) -> None:
    folder = place(tmp_path_factory.mktemp("fuzz"))
    file, manifest = folder / f"{table}.parquet", folder / "manifest.json"
    records.write_table(table, [row(table)] * data.draw(st.integers(0, 3)), file)
    ask = ASKED.run(*RUN)
    job.write_manifest({}, {**ask, "data": "d"}, ask, {table: str(file), "manifest": str(manifest)})
    before, said = records.read_table(table, file), provenance.read(manifest)
    victim = data.draw(st.sampled_from([file, manifest]))
    content = change(victim.read_bytes())
    if content == victim.read_bytes():
        return
    victim.write_bytes(content)
    if victim == manifest and _reads(lambda: provenance.read(manifest)) == said:  # white space of JSON
        return
    victim.write_bytes(content)
    manifest.with_name("manifest.json.damaged").unlink(missing_ok=True)
    assert provenance.token(folder / "none", [manifest]) == ""
    assert provenance.changed(manifest, ASKED) == []
    manifest.with_name("manifest.json.damaged").unlink(missing_ok=True)
    victim.write_bytes(content)
    assert_refused_and_kept(victim, content, lambda: provenance.check(ASKED, {"run": [manifest]}, [file]))
    victim.write_bytes(content)
    assert_refused_and_kept(victim, content, lambda: provenance.require_whole(file, manifest))
    if victim == file:  # and where nobody looked at the manifest before
        file.write_bytes(content)
        found = _reads(lambda: records.read_table(table, file))
        assert found is None or found.schema == before.schema
    assert names(folder) <= {file.name, manifest.name, f"{victim.name}.damaged"}


def _reads(read: Callable[[], Any]) -> Any:
    """What `read` gives; None where it refuses in a sentence."""
    try:
        return read()
    except (provenance.RecordError, records.TableError):
        return None


@moderate
@given(change=damage())
def test_any_table_of_a_study(tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes]) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    file, made_from = folder / "summary.parquet", folder / "made_from.json"
    saved.save("not_measured", codebook.frame("not_measured", []), file, folder / "summary.csv")
    files.write_json(provenance.stamp("", "", [], [file, folder / "summary.csv"]), made_from)
    assert provenance.token(made_from, []) == ""
    for victim in (file, made_from):
        whole = victim.read_bytes()
        victim.write_bytes(change(whole))
        again = provenance.token(made_from, [])
        assert (again != "") == (victim.read_bytes() != whole) or victim == made_from
        if victim == file and again:
            _reads(lambda: saved.load(file))
        victim.write_bytes(whole)


@moderate
@given(change=damage())
def test_any_data_set_file_and_its_facts(
    tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    file, beside = folder / "fixed.npz", folder / "fixed.json"
    arrays = {name: np.arange(6, dtype=np.float32 if name[0] == "x" else np.int32) for name in ARRAYS}
    meta = f'{{"digest": "{digest(arrays)}", "name": "mine"}}'
    np.savez(file, **arrays, meta=np.array(meta))
    known = {"asked": "this", "n_train": 6, "arrays": digest(arrays)}
    files.write_json(sealed(known), beside)
    content = change(file.read_bytes())
    file.write_bytes(content)
    try:
        read = job.load_data(str(file), str(beside), {"sources": {"data": ["this"]}})
    except job.JobError:
        assert file.with_name("fixed.npz.damaged").read_bytes() == content
    else:
        assert all(np.array_equal(getattr(read, name), array) for name, array in arrays.items())
        assert read.meta["name"] == "mine"
    beside.write_bytes(change(beside.read_bytes()))
    found = facts.known(beside)
    assert found == known or (found == {} and provenance.set_damaged_aside([beside]))


@moderate
@given(change=damage())
def test_any_file_of_weights(tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes]) -> None:
    folder = place(tmp_path_factory.mktemp("fuzz"))
    folder.mkdir(parents=True)
    file, manifest = folder / "weights.npz", folder / "manifest.json"
    snapshots.write([snapshots.Snapshot(END, 1.0, 8, 0.5, [np.ones((2, 3))])], file)
    ask = ASKED.run(*RUN)
    job.write_manifest({}, {**ask, "data": "d"}, ask, {"weights": str(file), "manifest": str(manifest)})
    whole = file.read_bytes()
    content = change(whole)
    file.write_bytes(content)
    if content == whole:
        assert list(snapshots.read(provenance.require_whole(file, manifest))) == [END]
    else:
        assert_refused_and_kept(file, content, lambda: provenance.require_whole(file, manifest))
