"""What a user gets wrong is refused in one sentence: which file and key, what is wrong, what would be valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from batchscope.study import model

DATASETS = """
digits: {source: digits, split: {validation: 0.15, test: 0.2}}
blobs:
  source: blobs
  split: {train: 800, validation: 200, test: 200}
  classes: 3
  features: 2
  cluster_std: 2.0
  draw: per-seed
"""
RECIPES = """
adam-mlp: {model: {name: mlp}, optimizer: {name: adam}, budget: {epochs: 20}}
cnn: {model: {name: cnn}, optimizer: {name: adam}, budget: {epochs: 20}}
"""
ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "title": "A title",
    "question": "A question?",
    "comparisons": "[{datasets: [digits], recipes: [adam-mlp], batch_sizes: [8]}]",
    "seeds": "[1, 2]",
}
SIZES = "[{{datasets: [digits], recipes: [adam-mlp], batch_sizes: {}}}]"


def refusal(config: Mapping[str, Any], base: Path = Path()) -> str:
    """The sentence with which a configuration is refused."""
    with pytest.raises(model.ConfigError) as caught:
        model.load(config, base)
    return str(caught.value)


def assert_says(message: str, expected: str) -> None:
    """`...` at the end stands for the rest: names and keys that will grow in number."""
    if expected.endswith("..."):
        assert message[: len(expected) - 3] == expected[:-3]
    else:
        assert message == expected


def with_lines(expected: str, **files: str) -> str:
    """A sentence with the line of each key that it names, in files whose first keys hold all else on their own line."""

    def line(match: re.Match[str]) -> str:
        lines = [
            number for number, each in enumerate(files[match[1]].splitlines(), 1) if each.startswith(f"{match[2]}:")
        ]
        return f"{match[1]}.yaml, line {lines[0]}: {match[2]}" if lines else match[0]

    return re.sub(rf"\b({'|'.join(files)})\.yaml: ([\w-]+)", line, expected)


def study_text(**changes: str | None) -> str:
    """A good study as YAML, with some keys changed, added or (None) left out."""
    return "".join(f"{key}: {value}\n" for key, value in {**GOOD, **changes}.items() if value is not None)


def changes(case: Mapping[str, Any]) -> dict[str, str | None]:
    """The keys of the good study that a case of tests/bad_configs/ changes."""
    given: dict[str, str | None] = dict(case.get("study", {}))
    comparisons = SIZES.format(case.get("batch_sizes", "[8]"))
    if "dataset" in case:
        given["datasets"] = f"{{mine: {case['dataset']}}}"
        comparisons = comparisons.replace("digits", "mine")
    recipe = case.get("recipe")
    if "model" in case:
        recipe = f"{{model: {case['model']}, optimizer: {{name: adam}}, budget: {{epochs: 3}}}}"
    if "optimizer" in case:
        recipe = f"{{model: {{name: mlp}}, optimizer: {case['optimizer']}, budget: {{epochs: 3}}}}"
    if recipe is not None:
        given["recipes"] = f"{{mine: {recipe}}}"
        comparisons = comparisons.replace("adam-mlp", "mine").replace("digits", case.get("data", "digits"))
    return {"comparisons": comparisons, **given}


CASES = {
    f"{file.stem}: {case['name']}": case
    for file in sorted((Path(__file__).parents[1] / "bad_configs").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text(encoding="utf-8"))
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with some files of a user."""
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "own.npz", x=np.zeros((12, 3)), y=np.zeros(12, int), short=np.zeros(11, int))
    np.savez(tmp_path / "images.npz", x=np.zeros((12, 1, 8, 8)), y=np.zeros(12, int))
    pd.DataFrame({"length": [1.0, 3.0], "species": ["a", "b"]}, pd.Index([7, 8], name="sample")).to_parquet(
        tmp_path / "indexed.parquet"
    )
    (tmp_path / "own.csv").write_text("length,width,species\n1,2,a\n3,4,b\n")
    (tmp_path / "own.py").write_text(
        "def make(seed, n): ...\ndef seedless(n): ...\ndef network(input_shape, classes): ...\n"
    )
    (tmp_path / "config" / "studies").mkdir(parents=True)
    (tmp_path / "config" / "datasets.yaml").write_text(DATASETS)
    (tmp_path / "config" / "recipes.yaml").write_text(RECIPES)
    (tmp_path / "config" / "claims.yaml").write_text((ROOT / "config" / "claims.yaml").read_text())
    (tmp_path / "config" / "studies" / "first.yaml").write_text(study_text())
    (tmp_path / "broken.py").write_text("\ndef make(:\n")
    return tmp_path


def test_good_study_is_accepted(folder: Path) -> None:
    assert len(model.load({"study": "first"}, Path()).runs) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfdef make(seed): ...\n",
        b"# -*- coding: latin-1 -*-\n# Gr\xf6\xdfe\ndef make(seed): ...\n",
        b"# coding: utf-8\r\ndef make(seed): ...\r\n",
    ],
)
def test_a_python_file_may_say_how_it_is_encoded(folder: Path, content: bytes) -> None:
    (folder / "own.py").write_bytes(content)
    (folder / "my.yaml").write_text(study_text(**changes({"dataset": "{source: function, function: 'own.py:make'}"})))
    assert model.load({"study": "my.yaml"}, Path()).datasets["mine"].content["function"] == "own.py:make"


@pytest.mark.parametrize("name", CASES)
def test_bad_study_is_refused(name: str, folder: Path) -> None:
    text = study_text(**changes(CASES[name]))
    (folder / "my.yaml").write_text(text)
    assert_says(refusal({"study": "my.yaml"}), with_lines(CASES[name]["says"], my=text, recipes=RECIPES))


BLOCKS = """\
title: A title
question: >
  A question
  of two lines?
recipes:
  longer:
    extends: adam-mlp

    budget: {epochs: 30}
  wider: &wider
    extends: longer
    model:
      hidden:
        - 12
        - 13
comparisons:
  - datasets: [digits]
    recipes:
      - longer
      - wider
    batch_sizes: [8,
      16]
seeds: [1, 2]
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("- 13", "- 0"), "my.yaml, line 15: recipes.wider.model.hidden[1]: 0 is"),
        (("epochs: 30", "epoch: 30"), "my.yaml, line 9: recipes.longer.budget.epoch: unknown key"),
        (
            ("    extends: adam-mlp", "    optimizer: {name: sgd}"),
            "my.yaml, line 6: recipes.longer.model: the key is m",
        ),
        (("      16]", "      0]"), "my.yaml, line 22: comparisons[0].batch_sizes[1]: 0 is not valid"),
        (("      - wider", "      - widest"), "my.yaml, line 20: comparisons[0].recipes[1]: `widest` is not defined"),
        (("seeds: [1, 2]\n", ""), "my.yaml: seeds: the key is missing"),
        (("title: A title", "timing: false"), "my.yaml: title: the key is missing"),
        (("seeds: [1, 2]", "seeds: [1, 2]\nseed: 1"), "my.yaml, line 24: seed: unknown key"),
        (
            ("  - datasets: [digits]", "  - datasets: [blobs]"),
            "config/recipes.yaml, line 2: adam-mlp.tracked_weight[0]: 2",
        ),
        (("    model:\n", "    model:\n      <<: {hidden: 3}\n"), None),
        (
            ("      hidden:\n        - 12\n        - 13", "      <<:\n        hidden: [0]"),
            "my.yaml, line 14: recipes.wider.m",
        ),
        (
            ("question: >", "claims: {mine: {statement: s}}\nquestion: >"),
            "my.yaml, line 2: claims.mine.source: the key",
        ),
    ],
)
def test_a_sentence_names_the_line(change: tuple[str, str], expected: str | None, folder: Path) -> None:
    assert BLOCKS.count(change[0]) == 1
    (folder / "my.yaml").write_text(BLOCKS.replace(*change))
    recipes = RECIPES.replace("epochs: 20}}", "epochs: 20}, tracked_weight: [2, 0]}", 1)
    (folder / "config" / "recipes.yaml").write_text(recipes)
    if expected is None:
        assert model.load({"study": "my.yaml"}, Path()).recipes["wider"].content["model"]["hidden"] == [12, 13]
    else:
        assert_says(refusal({"study": "my.yaml"}), f"{expected}...")


CONFIG = "config (config/config.yaml or --config): "


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"study": None},
            "study: null (an empty value) is not valid; valid is a name from config/studies/, or the path of",
        ),
        (
            {"study": "frist"},
            "study: there is no study `frist` (did you mean `first`?); valid is one of first, the path of",
        ),
        (
            {"study": "none.yaml"},
            "study: there is no file none.yaml; valid is the path of a study file, or a study's name",
        ),
        (
            {"study": 2024},
            "study: 2024 is not valid; valid is a name from config/studies/, or the path of a .yaml file (write",
        ),
        ({"studi": "first"}, "studi: unknown key (did you mean `study`?); valid is one of study, runs"),
        (
            {"engine": "tensorflwo"},
            'engine: the text "tensorflwo" is not valid (did you mean `tensorflow`?); valid is one of tens',
        ),
        ({"engine": "torch"}, 'engine: the text "torch" is not valid; valid is one of tensorflow, jax, numpy'),
        ({"loop": "eager"}, 'loop: the text "eager" is not valid; valid is one of fused, fit'),
        ({"device": "cuda"}, 'device: the text "cuda" is not valid; valid is one of auto, cpu, gpu'),
        (
            {"device": "gpu", "engine": "numpy"},
            "device: engine numpy computes on the CPU alone; valid is auto or cpu",
        ),
        ({"threads": 0}, "threads: 0 is not valid; valid is an integer of at least 1"),
        ({"threads": True}, "threads: true is not valid; valid is an integer of at least 1"),
        ({"step_records": 2.5}, "step_records: 2.5 is not valid; valid is an integer of at least 1"),
        ({"data_folders": "data"}, 'data_folders: the text "data" is not valid; valid is a list of folders'),
        (
            {"data_folders": ["config", "gone"]},
            "data_folders[1]: there is no folder gone; valid is the path of a folder",
        ),
        (
            {"telemetry": {"interval": 1}},
            "telemetry.interval: unknown key (did you mean `interval_seconds`?); valid is int",
        ),
        (
            {"telemetry": {"interval_seconds": 0}},
            "telemetry.interval_seconds: 0 is not valid; valid is a number from 0.01",
        ),
        ({"telemetry": None}, "telemetry: null (an empty value) is not valid; valid is a mapping"),
        # --config 'timing={windows: 5}' arrives like this.
        (
            {"timing": {"windows": "5"}},
            'timing.windows: the text "5" is not valid; valid is an integer of at least 3, or null (it a',
        ),
        # Snakemake's own YAML reads a number like this as text.
        (
            {"timing": {"window_seconds": "1e-1"}},
            'timing.window_seconds: the text "1e-1" is not valid; valid is a numbe',
        ),
        ({"timing": {"window_seconds": 10**400}}, "timing.window_seconds: 1000000"),
    ],
)
def test_bad_config_is_refused(settings: dict[str, Any], expected: str, folder: Path) -> None:
    message = refusal({"study": "first", **settings})
    assert message.startswith(CONFIG + expected)


def test_a_probe_of_a_loop_that_the_engine_lacks_is_refused(folder: Path) -> None:
    recipe = "{model: {name: mlp, hidden: []}, optimizer: {name: sgd}, budget: {epochs: 1}}"
    probed = changes({"recipe": recipe, "study": {"probes": "{overheads: {recipes: [mine]}}"}})
    (folder / "my.yaml").write_text(study_text(**probed))
    assert model.load({"study": "my.yaml"}, Path()).probes.keys() == {"overheads"}
    message = refusal({"study": "my.yaml", "engine": "numpy"})
    assert_says(message, with_lines("my.yaml: probes.overheads.recipes[0]: ...", my=study_text(**probed)))
    assert "numpy has no loop fit; valid is " in message


def test_missing_study_is_refused(folder: Path) -> None:
    assert_says(
        refusal({}), CONFIG + "study: the key is missing; valid is a name from config/studies/, or the path of ..."
    )


def test_number_that_yaml_reads_as_text_comes_with_what_to_write(folder: Path) -> None:
    message = refusal({"study": "first", "timing": {"window_seconds": "1E-1"}})
    assert message.endswith("(it arrived as text, as YAML 1.1 reads it; write 1.0e-1)")


def test_key_twice_in_config_yaml_is_refused(folder: Path) -> None:
    (folder / "config" / "config.yaml").write_text("study: first\nthreads: 1\nthreads: 2\n")
    message = refusal({"study": "first", "threads": 2})
    assert message == "config/config.yaml, line 3: the key `threads` is given twice; valid is once"


@pytest.mark.parametrize(
    ("registry", "content", "expected"),
    [
        (
            "datasets",
            DATASETS + "digits: {source: digits}\n",
            "config/datasets.yaml, line 10: the key `digits` is given twice; ...",
        ),
        (
            "datasets",
            DATASETS + "unused: {extends: digits, splt: {}}\n",
            "config/datasets.yaml, line 10: unused.splt: unknown key (did you ...",
        ),
        (
            "datasets",
            DATASETS + "a/b: {source: digits}\n",
            'config/datasets.yaml: the text "a/b" is not valid; valid is lower-...',
        ),
        (
            "datasets",
            "",
            "config/datasets.yaml: the file holds null (an empty value); valid is a mapping of keys to values",
        ),
        (
            "datasets",
            "- digits\n",
            "config/datasets.yaml: the file holds a list of 1; valid is a mapping of keys to values",
        ),
        (
            "recipes",
            RECIPES + "unused: {extends: mine}\n",
            "config/recipes.yaml, line 4: unused.extends: there is no recipe `mine`; ...",
        ),
        (
            "recipes",
            RECIPES.replace("epochs: 20", "epochs: many", 1),
            'config/recipes.yaml, line 2: adam-mlp.budget.epochs: the text "many" ...',
        ),
    ],
)
def test_bad_registry_is_refused_wherever_the_mistake_is(
    registry: str, content: str, expected: str, folder: Path
) -> None:
    (folder / "config" / f"{registry}.yaml").write_text(content)
    assert_says(refusal({"study": "first"}), expected)


def test_mistake_below_extends_is_placed_where_it_was_written(folder: Path) -> None:
    (folder / "config" / "recipes.yaml").write_text(RECIPES.replace("{name: adam}", "{name: adam, clipnorm: 1}", 1))
    (folder / "my.yaml").write_text(study_text(recipes="{mine: {extends: adam-mlp, optimizer: {clipvalue: 1}}}"))
    assert refusal({"study": "my.yaml"}) == (
        "my.yaml, line 5: recipes.mine.optimizer.clipvalue: clipnorm and clipvalue exclude each other; valid is one of "
        "them"
    )


def test_registry_entry_may_not_extend_one_of_a_study(folder: Path) -> None:
    (folder / "config" / "datasets.yaml").write_text(DATASETS + "broken: {extends: mine}\n")
    (folder / "my.yaml").write_text(study_text(datasets="{mine: {source: digits}}"))
    assert_says(
        refusal({"study": "my.yaml"}), "config/datasets.yaml, line 10: broken.extends: there is no data set `mine`; ..."
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "My Study.yaml",
            study_text(),
            "My Study.yaml: a study is named like its file, and `My Study` is no name; valid are ...",
        ),
        ("runs.yaml", study_text(), "runs.yaml: results/runs/ is not free for a study; valid is another file name"),
        (
            "first.yaml",
            study_text(),
            "first.yaml: a study of this name comes with Batchscope, and both would write to results/first/; valid is "
            "another file name",
        ),
        (
            "empty.yaml",
            "# nothing\n",
            "empty.yaml: the file holds null (an empty value); valid is a mapping of keys to values",
        ),
        ("two.yaml", "a: 1\n---\nb: 1\n", "two.yaml, line 2: but found another document"),
        (
            "tab.yaml",
            "title:\n\t- x\n",
            "tab.yaml, line 2: found character '\\t' that cannot start any token; valid are spaces, ...",
        ),
        (
            "date.yaml",
            "title: !!timestamp 2024-01-01\n",
            "date.yaml, line 1: could not determine a constructor for the tag ...",
        ),
        ("number.yaml", "seeds: [!!int one]\n", "number.yaml: this is not YAML: invalid literal for int() ..."),
        ("list-key.yaml", "[1, 2]: x\n", "list-key.yaml, line 1: a key is not a text; write it in quotes"),
    ],
)
def test_bad_study_file_is_refused(name: str, content: str, expected: str, folder: Path) -> None:
    (folder / name).write_text(content)
    assert_says(refusal({"study": name}), expected)


def test_study_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes("title: Größe\n".encode("latin-1"))
    assert refusal({"study": "latin.yaml"}) == "latin.yaml: the file is not text in UTF-8"


def test_micro_batches_are_refused_in_the_fit_loop(folder: Path) -> None:
    (folder / "my.yaml").write_text(study_text(**changes({"recipe": "{extends: adam-mlp, micro_batch_size: 4}"})))
    assert model.load({"study": "my.yaml"}, Path()).recipes["mine"].content["micro_batch_size"] == 4
    assert refusal({"study": "my.yaml", "loop": "fit"}) == (
        CONFIG
        + "loop: fit cannot accumulate the micro batches of 4 that my.yaml, line 5: recipes.mine.micro_batch_size asks "
        "for; valid is loop: fused, or micro_batch_size: null"
    )
