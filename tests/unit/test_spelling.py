"""Keys in their old spelling are read as today's, and whoever wrote them is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from batchscope.config.errors import ConfigError
from batchscope.config.spelling import SpellingWarning, respelt
from batchscope.config.yaml_files import locate_in
from batchscope.study import model

ROOT = Path(__file__).resolve().parents[2]
STUDY = {
    "title": "Old",
    "question": "Is it read?",
    "recipes": {
        "old": {
            "model": {"name": "mlp", "hidden": [8], "normalisation": "batch"},
            "optimiser": {"name": "sgd"},
            "budget": {"epochs": 1},
        }
    },
    "comparisons": [{"datasets": ["digits"], "recipes": ["old"], "batch_sizes": [8, 16]}],
    "seeds": [1, 2],
    "claims": {
        "own": {
            "statement": "A larger batch takes fewer updates.",
            "source": "me",
            "scope": {"recipe": {"optimiser": "sgd"}},
            "metric": "selected_validation_loss",
            "margin": 0.01,
            "test": {"kind": "trend", "direction": "falls", "batch_sizes": [8, 16]},
        }
    },
}


def test_old_keys_are_read_and_told(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    with pytest.warns(SpellingWarning) as told:
        study = model.load({"study": str(file)}, ROOT)
    assert study.recipes["old"].value.optimizer.name == "sgd"
    assert study.recipes["old"].content["model"]["normalization"] == "batch"
    assert study.claims["own"].scope.recipe.plain()["optimizer"] == ["sgd"]
    said = [str(each.message).partition("old.yaml, line ")[2] for each in told]
    assert {sentence.partition(": ")[2] for sentence in said} == {
        "recipes.old.model.normalisation: the key is normalization now",
        "recipes.old.optimiser: the key is optimizer now",
        "claims.own.scope.recipe.optimiser: the key is optimizer now",
    }


def test_a_key_in_both_spellings_is_refused() -> None:
    both = {"optimiser": {"name": "sgd"}, "optimizer": {"name": "adam"}}
    with pytest.raises(ConfigError, match=r"^my\.yaml: optimiser: .* valid is optimizer alone"):
        respelt(both, locate_in("my.yaml"))


def test_arguments_of_a_users_function_keep_their_names() -> None:
    content = {"model": {"function": "m.py:build", "arguments": {"optimiser": 1}}}
    assert respelt(content, locate_in("my.yaml"), ["model"]) == content
