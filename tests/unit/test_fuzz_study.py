"""Whatever a study file holds, it gives a study or one sentence."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from batchscope.identity.digests import fingerprint
from batchscope.study import model

ROOT = Path(__file__).resolve().parents[2]
MINE = """\
title: A study that uses most keys
question: What is a study that nobody would write?
datasets:
  flowers: {source: npz, path: own.npz, split: {validation: 20, test: 0.2}, scale: standardise, order: by-class}
  again: {source: random-labels, split: {train: 60, validation: 20, test: 20}, classes: 3, features: 2, draw: per-seed}
recipes:
  own:
    model: {name: mlp, hidden: [6], dropout: 0.2}
    optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}
    budget: {epochs: 3, evaluations: 6, early_stopping: {patience: 2}}
    snapshots: {at: [0, 1], train_losses: [1.0]}
    last_batch: drop
  tuned:
    extends: own
    tuning: {learning_rates: [0.01, 0.1, 1.0], seeds: [11, 12], widen: 1}
comparisons:
  - {datasets: [flowers], recipes: [own], batch_sizes: [8, full]}
  - {datasets: [flowers, again], recipes: [tuned], batch_sizes: [8], timing: own}
  - {datasets: [again], recipes: [own], batch_sizes: [8]}
seeds: [1, 2]
targets:
  - {datasets: [flowers], metric: train_loss, values: [1.0, 0.5, 0.1], evaluations_in_a_row: 1}
probes:
  gradients: {recipes: [own], trained_with: [8], batch_sizes: [1, 8], batches: 20, examples: 32}
  sharpness: {recipes: [own], examples: 32}
  rates: {recipes: [tuned], updates: 50, lowest: 0.0001, highest: 10}
  modes: {recipes: [own], trained_with: [8], batch_sizes: [1, 20]}
  accumulation: {recipes: [own], batch_size: 8, micro_batch_size: 4, updates: 3}
  overheads: {recipes: [own]}
claims:
  counted:
    statement: Sixty flowers make eight updates of eight.
    source: arithmetic
    metric: updates_per_epoch
    test: {kind: count, cases: [{examples: 60, batch_size: 8, updates: 8}]}
  higher:
    statement: Thirty-two is better than eight.
    source: hope
    metric: selected_test_accuracy
    scope: {dataset: {name: [flowers]}}
    test: {kind: value, batch_size: 8, at_least: 1}
verdicts: [counted, higher, C07]
published:
  - {metric: selected_test_accuracy, value: 0.9, plus_minus: 0.1, source: somewhere, batch_size: 8}
"""
ELSEWHERE = """\
title: Runs made elsewhere
question: Does a table of results give a report?
measurements:
  runs:
    path: sweep.csv
    dataset: elsewhere
    recipe: theirs
    n_train: 1000
    metric: error
    target: 0.1
    columns: {batch_size: B, seed: run, epochs: epochs}
verdicts: [C20]
"""
VALID = [yaml.safe_load(text) for text in (MINE, ELSEWHERE)]
Keys = tuple[str | int, ...]


def places(content: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Where a value lies in a study, for every value."""
    yield keys
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*keys, key))


def at(content: Any, keys: Keys) -> Any:
    for key in keys:
        content = content[key]
    return content


PLACES = [list(places(content))[1:] for content in VALID]
VALUES = [at(content, keys) for content, found in zip(VALID, PLACES, strict=True) for keys in found]
KEYS = sorted({str(key) for found in PLACES for keys in found for key in keys})
NAMES = ["", " ", ".", "..", "../x", "a/b", "/", "~", "~nobody/x", "{seed}", "{", "{}", "CON", "-x", "a b", "é", "٣"]
NAMES += ["null", "full", "__class__", "%s", "$(id)", "𝟙"]
NAMES += ["\u202e", "\ufeff", "\ud800", "\x00", "\x1b[2J", "\n", "a\nb", "x" * 300, "x" * 5000]
NUMBERS = [0, -1, 1, 2, 7, 2**31 - 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**400, -(10**400), True, False]
NUMBERS += [0.0, -0.0, 1e-320, 1e308, -1.5, 0.1 + 0.2, float("inf"), float("-inf"), float("nan")]
hostile = st.one_of(
    st.sampled_from([None, [], {}, [[]], [{}], {"": None}, [None]]),
    st.sampled_from(NUMBERS),
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
    st.text(max_size=20),
    st.lists(st.sampled_from([*NUMBERS, *NAMES]), max_size=3),
    st.dictionaries(st.sampled_from([*KEYS, *NAMES]), st.sampled_from([*NUMBERS, *NAMES, *VALUES]), max_size=3),
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid study of which one to three values were removed, replaced, renamed, repeated, wrapped or moved."""
    which = draw(st.sampled_from([0, 0, 0, 1]))
    content = copy.deepcopy(VALID[which])
    for _ in range(draw(st.integers(1, 3))):
        *keys, last = draw(st.sampled_from(PLACES[which]))
        try:
            holder = at(content, tuple(keys))
            value = holder[last]
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
        change = draw(st.sampled_from(["remove", "replace", "replace", "replace", "rename", "repeat", "wrap", "add"]))
        if change == "remove":
            del holder[last]
        elif change == "replace":
            holder[last] = draw(hostile)
        elif change == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from([*KEYS, *NAMES]))] = holder.pop(last)
        elif change == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(value))
        elif change == "wrap":
            holder[last] = draw(st.sampled_from([[value], {"name": value}, str(value), [value, value]]))
        elif change == "add" and isinstance(value, dict):
            value[draw(st.sampled_from([*KEYS, *NAMES]))] = draw(hostile)
    return content


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with the files that the studies name."""
    made = tmp_path_factory.mktemp("fuzz")
    np.savez(made / "own.npz", x=np.zeros((100, 3)), y=np.arange(100) % 3)
    (made / "sweep.csv").write_text("B,run,epochs\n" + "".join(f"{b},{r},{b + r}\n" for b in (8, 16) for r in (1, 2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


def assert_a_study_or_a_sentence(folder: Path, content: bytes, name: str = "mine.yaml") -> None:
    (folder / name).write_bytes(content)
    before = sorted(folder.iterdir())
    try:
        loaded = model.load({"study": name}, ROOT)
    except model.ConfigError as error:
        sentence = str(error)
        assert 20 < len(sentence) < 3000
        assert "\n" not in sentence
    else:
        assert fingerprint(loaded.describe())
        assert loaded.pairs
    assert sorted(folder.iterdir()) == before


def test_the_studies_that_are_changed_are_valid(folder: Path) -> None:
    for text in (MINE, ELSEWHERE):
        (folder / "mine.yaml").write_text(text)
        model.load({"study": "mine.yaml"}, ROOT)


@settings(max_examples=150, deadline=None)
@given(mutated())
def test_any_change_of_a_study(folder: Path, content: Any) -> None:
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    assert_a_study_or_a_sentence(folder, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_to_the_text_of_a_study(folder: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([MINE, ELSEWHERE])).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 30)))
        piece = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from([b"\t", b"*a", b"&a", b"!!", b"? ", b"- ", b"<<: "]))
        )
        content[start:end] = piece
    assert_a_study_or_a_sentence(folder, bytes(content))


LAUGHS = "\n".join(f"{chr(name)}: &{chr(name)} [{f'*{chr(name - 1)}, ' * 9}]" for name in range(ord("b"), ord("j")))
CHAIN = "\n".join(f"k{index}: &k{index} [*k{index - 1}]" for index in range(1, 3000))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("[" * 5000 + "]" * 5000, "levels"),
        ("{a: " * 5000 + "}" * 5000, "levels"),
        ("&a [*a]", "levels"),
        ("{width: &a {b: *a}}", "levels"),
        (f"&a [x]\n{LAUGHS}", "values"),
        (f"&k0 [x]\n{CHAIN}", "levels"),
        ('"\\ud800"', "U+D800"),
        ('"\\0"', "U+0000"),
        ("9" * 5000, "digits"),
    ],
    ids=["lists", "mappings", "itself", "part of itself", "laughs", "chain", "surrogate", "null byte", "digits"],
)
def test_texts_that_no_walk_ends_in(folder: Path, value: str, says: str) -> None:
    (folder / "mine.yaml").write_text(f"title: {value}\n{MINE.partition(chr(10))[2]}")
    with pytest.raises(model.ConfigError, match=re.escape(says)):
        model.load({"study": "mine.yaml"}, ROOT)
