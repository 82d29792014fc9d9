"""A study file becomes runs: defaults, `extends`, definitions of its own, paths, and what a job is handed."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from batchscope.config.batch_sizes import BatchSize
from batchscope.config.yaml_files import read_yaml
from batchscope.data.sources import registry
from batchscope.identity.asked import draw
from batchscope.study import model as study
from batchscope.study.definition_files import files

ROOT = Path(__file__).resolve().parents[2]
DATASETS = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text(encoding="utf-8"))
RECIPES = yaml.safe_load((ROOT / "config" / "recipes.yaml").read_text(encoding="utf-8"))
STUDIES = sorted((ROOT / "config" / "studies").glob("*.yaml"))


def load(folder: Path, content: dict[str, Any] | str, **settings: Any) -> study.Study:
    """Load a study that is written to `folder`/mine.yaml, over the registries of the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return study.load({"study": str(folder / "mine.yaml"), **settings}, ROOT)


def minimal(dataset: str = "digits", recipe: str = "task08-mlp", **more: Any) -> dict[str, Any]:
    comparison = {"datasets": [dataset], "recipes": [recipe], "batch_sizes": [8]}
    return {"title": "T", "question": "Q?", "comparisons": [comparison], "seeds": [1], **more}


def budget(**given: object) -> dict[str, object]:
    empty = dict.fromkeys(("epochs", "updates", "evaluations", "first_evaluation_at", "early_stopping"))
    return {**empty, **given}


def resolved_recipe(folder: Path, definition: dict[str, Any]) -> dict[str, Any]:
    return load(folder, minimal(recipe="mine", recipes={"mine": definition})).recipes["mine"].content


def resolved_dataset(folder: Path, definition: dict[str, Any]) -> dict[str, Any]:
    content = minimal("mine", datasets={"mine": definition})
    content["comparisons"][0]["batch_sizes"] = [1]
    return load(folder, content).datasets["mine"].content


MEASURED = [path for path in STUDIES if "\nmeasurements:" in path.read_text()]


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_a_study_of_measurements_finds_its_files_in_the_data_folders(path: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(path.read_text())["measurements"]
    for part in ("runs", "timings"):
        if part in content:
            (tmp_path / content[part]["path"]).write_text(",".join(content[part]["columns"].values()) + "\n")
    with pytest.raises(study.ConfigError, match=r"measurements.runs.path: there is no file .* `data_folders`"):
        study.load({"study": path.stem}, ROOT)
    loaded = study.load({"study": path.stem, "data_folders": [str(tmp_path)]}, ROOT)
    assert loaded.runs == ()
    assert loaded.cells == ()
    assert len(loaded.pairs) == 1
    assert loaded.has_targets(loaded.pairs[0][0])


def test_a_study_of_measurements_may_make_claims_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("size,run,loss\n8,1,0.5\n")
    runs = {
        "path": "own.csv",
        "dataset": "flowers",
        "recipe": "deep",
        "columns": {"batch_size": "size", "seed": "run", "last_test_loss": "loss"},
    }
    claim = {
        "statement": "S.",
        "source": "hope",
        "metric": "last_test_loss",
        "margin": 0.1,
        "test": {"kind": "sizes", "batch_sizes": [8], "direction": "lower", "than": "others"},
    }
    content = {"title": "T", "question": "Q?", "measurements": {"runs": runs}, "claims": {"own": claim}}
    loaded = load(tmp_path, {**content, "verdicts": ["own"]})
    assert list(loaded.claims) == ["own"]
    assert loaded.measured_files == [str(tmp_path / "own.csv")]


@pytest.mark.parametrize("path", [path for path in STUDIES if path not in MEASURED], ids=lambda path: path.stem)
def test_every_study_of_the_repository_loads(path: Path) -> None:
    loaded = study.load({"study": path.stem}, ROOT)
    assert loaded.name == path.stem
    assert loaded.runs
    assert {run.dataset for run in loaded.runs} == set(loaded.datasets)
    assert {run.recipe for run in loaded.runs} == set(loaded.recipes)
    assert {run.seed for run in loaded.runs} == set(loaded.file.seeds)


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_of_the_registry_can_be_selected(name: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, minimal(name))
    assert list(loaded.datasets) == [name]
    assert registry.known_size(loaded.datasets[name].content) is not None


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_of_the_registry_can_be_selected(name: str, tmp_path: Path) -> None:
    assert list(load(tmp_path, minimal("mnist", name)).recipes) == [name]


def test_config_yaml_holds_the_defaults_and_every_key() -> None:
    written = read_yaml(ROOT / "config" / "config.yaml")
    settings = study.load({"study": written["study"]}, ROOT).settings.plain()
    assert settings == written
    assert list(settings) == list(written)


def test_settings_given_in_part_keep_the_other_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, minimal(), timing={"windows": 9}, threads=3).settings.plain()
    defaults = {"warmup_seconds": 0.5, "windows": None, "window_seconds": 0.2, "precision": 0.02, "max_seconds": 7.0}
    assert settings["timing"] == {**defaults, "windows": 9}
    assert settings["threads"] == 3
    assert settings["telemetry"] == {"interval_seconds": 0.25}


def test_runs_are_every_combination_in_the_order_of_the_file(tmp_path: Path) -> None:
    content = minimal(seeds=[4, 2])
    content["comparisons"] = [
        {"datasets": ["blobs", "digits"], "recipes": ["blobs-mlp"], "batch_sizes": ["full", 2]},
        {"datasets": ["digits"], "recipes": ["task08-mlp"], "batch_sizes": [1168]},
    ]
    loaded = load(tmp_path, content)
    assert loaded.runs[:3] == (
        study.Run("blobs", "blobs-mlp", BatchSize(None), 4),
        study.Run("blobs", "blobs-mlp", BatchSize(None), 2),
        study.Run("blobs", "blobs-mlp", BatchSize(2), 4),
    )
    assert loaded.runs[-1] == study.Run("digits", "task08-mlp", BatchSize(1168), 2)
    assert len(loaded.runs) == 2 * (2 * 2 + 1)
    assert loaded.cells == tuple(dict.fromkeys(run.cell for run in loaded.runs))
    assert len(loaded.cells) == 5
    assert loaded.file.seeds == (4, 2)


def test_study_without_timing_times_nothing(tmp_path: Path) -> None:
    loaded = load(tmp_path, minimal(timing=False))
    assert loaded.cells == ()
    assert len(loaded.runs) == 1


def test_only_what_is_used_is_handed_on(tmp_path: Path) -> None:
    loaded = load(tmp_path, minimal(datasets={"unused": {"extends": "digits"}}))
    assert list(loaded.datasets) == ["digits"]
    assert list(loaded.recipes) == ["task08-mlp"]


def test_data_that_are_not_here_hurt_only_the_studies_that_use_them(tmp_path: Path) -> None:
    gone = {"gone": {"source": "npz", "path": "gone.npz"}}
    assert load(tmp_path, minimal(datasets=gone)).runs
    with pytest.raises(study.ConfigError, match="there is no file"):
        load(tmp_path, minimal("gone", datasets=gone))


def test_a_study_runs_on_another_data_set_by_one_key() -> None:
    loaded = study.load({"study": "task08", "replace_datasets": {"mnist": "fashion-mnist"}}, ROOT)
    assert set(loaded.datasets) == {"fashion-mnist"}
    assert loaded.runs == tuple(
        replace(run, dataset="fashion-mnist") for run in study.load({"study": "task08"}, ROOT).runs
    )
    for wrong, says in (
        ({"digits": "mnist"}, "the study does not name `digits`"),
        ({"mnist": "x"}, "`x` is not defined"),
    ):
        with pytest.raises(study.ConfigError, match=says):
            study.load({"study": "task08", "replace_datasets": wrong}, ROOT)


def test_a_budget_of_another_kind_replaces_the_one_it_extends(tmp_path: Path) -> None:
    recipe = resolved_recipe(tmp_path, {"extends": "task08-mlp", "budget": {"updates": 50, "evaluations": 5}})
    stopping = {"patience": 3, "restore_best": True}
    assert recipe["budget"] == budget(updates=50, evaluations=5, early_stopping=stopping)


def test_a_comparison_may_leave_out_its_timings(tmp_path: Path) -> None:
    content = minimal()
    content["comparisons"].append({**content["comparisons"][0], "batch_sizes": [3], "timing": False})
    loaded = load(tmp_path, content)
    assert [run.batch_size.examples for run in loaded.runs] == [8, 3]
    assert [cell.batch_size.examples for cell in loaded.cells] == [8]


def test_a_comparison_may_take_the_timings_of_another_recipe(tmp_path: Path) -> None:
    content = minimal()
    first = content["comparisons"][0]
    content["recipes"] = {"longer": {"extends": first["recipes"][0], "budget": {"epochs": 90}}}
    content["comparisons"].append({**first, "recipes": ["longer"], "timing": first["recipes"][0]})
    loaded = load(tmp_path, content)
    assert {cell.recipe for cell in loaded.cells} == {first["recipes"][0]}
    assert loaded.borrowed_timings == {(first["datasets"][0], "longer"): first["recipes"][0]}


def test_defaults_are_filled_in_everywhere(tmp_path: Path) -> None:
    recipe = resolved_recipe(
        tmp_path, {"model": {"name": "mlp"}, "optimizer": {"name": "sgd"}, "budget": {"epochs": 2}}
    )
    assert recipe["model"] == {
        "name": "mlp",
        "hidden": [128],
        "activation": "relu",
        "dropout": 0.0,
        "normalization": "none",
    }
    assert recipe["learning_rate_scaling"] == {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0}
    assert recipe["budget"] == budget(epochs=2)
    assert {key: recipe[key] for key in ("micro_batch_size", "last_batch", "shuffle", "evaluation_batch_size")} == {
        "micro_batch_size": None,
        "last_batch": "keep",
        "shuffle": True,
        "evaluation_batch_size": 1000,
    }
    assert resolved_dataset(tmp_path, {"source": "digits"}) == {
        "name": "mine",
        "source": "digits",
        "split": {"validation": 0.15, "test": 0.2},
        "scale": "none",
        "draw": "fixed",
        "split_seed": 0,
        "order": "source",
    }


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimizer_options_and_defaults_are_those_of_keras(name: str, tmp_path: Path) -> None:
    spec = importlib.util.find_spec("keras")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "src" / "optimizers" / f"{name}.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    inits = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    arguments = inits[0].args
    keras = dict(zip([each.arg for each in arguments.args[1:]], map(ast.literal_eval, arguments.defaults), strict=True))
    left_out = {"loss_scale_factor", "gradient_accumulation_steps", "name"}  # precision and accumulation are our own
    definition = {"model": {"name": "mlp"}, "optimizer": {"name": name}, "budget": {"epochs": 1}}
    ours = resolved_recipe(tmp_path, definition)["optimizer"]
    assert ours == {"name": name} | {key: value for key, value in keras.items() if key not in left_out}


def test_numbers_are_floats_wherever_keras_wants_floats(tmp_path: Path) -> None:
    content = """
    title: T
    question: Q?
    seeds: [1]
    comparisons: [{datasets: [digits], recipes: [mine], batch_sizes: [8]}]
    recipes:
      mine:
        model: {name: mlp, dropout: 0}
        optimizer: {name: sgd, learning_rate: 1, momentum: 0, weight_decay: 1e-3, clipnorm: 2}
        learning_rate_scaling: {warmup_epochs: 1}
        budget: {epochs: 3}
    """
    recipe = load(tmp_path, content).recipes["mine"].content
    wanted = {"learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.001, "clipnorm": 2.0}
    got = {key: recipe["optimizer"][key] for key in wanted}
    assert got == wanted
    assert {type(value) for value in got.values()} == {float}
    assert type(recipe["model"]["dropout"]) is float
    assert type(recipe["learning_rate_scaling"]["warmup_epochs"]) is float
    assert type(recipe["budget"]["epochs"]) is int


def test_extends_merges_mapping_by_mapping_along_the_chain(tmp_path: Path) -> None:
    recipes = {
        "one": {"extends": "task08-mlp", "budget": {"early_stopping": {"patience": 9}}},
        "two": {"extends": "one", "model": {"hidden": [7, 5]}, "optimizer": {"beta_1": 0.5}},
    }
    recipe = load(tmp_path, minimal(recipe="two", recipes=recipes)).recipes["two"].content
    assert recipe["name"] == "two"
    assert "extends" not in recipe
    stopping = {"patience": 9, "restore_best": True}
    assert recipe["budget"] == budget(epochs=20, early_stopping=stopping)
    assert recipe["model"]["hidden"] == [7, 5]
    assert recipe["model"]["dropout"] == 0.1
    assert (recipe["optimizer"]["name"], recipe["optimizer"]["beta_1"]) == ("adam", 0.5)


def test_null_takes_an_inherited_mapping_away(tmp_path: Path) -> None:
    recipe = resolved_recipe(tmp_path, {"extends": "task08-mlp", "budget": {"early_stopping": None}})
    assert recipe["budget"] == budget(epochs=20)


def test_another_optimizer_or_model_replaces_the_inherited_one(tmp_path: Path) -> None:
    optimizer = resolved_recipe(tmp_path, {"extends": "blobs-mlp", "optimizer": {"name": "adam"}})["optimizer"]
    assert optimizer["learning_rate"] == 0.001
    assert "momentum" not in optimizer
    cnn = {"name": "cnn", "filters": [4]}
    assert resolved_recipe(tmp_path, {"extends": "task08-mlp", "model": cnn})["model"]["dropout"] == 0.4


def test_naming_the_same_optimizer_again_keeps_its_options(tmp_path: Path) -> None:
    definition = {"extends": "blobs-mlp", "optimizer": {"name": "sgd", "learning_rate": 0.5}}
    optimizer = resolved_recipe(tmp_path, definition)["optimizer"]
    assert (optimizer["learning_rate"], optimizer["momentum"]) == (0.5, 0.9)


def test_arguments_that_look_like_kinds_are_merged(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def make(seed, name, n): ...\n")
    datasets = {
        "base": {"source": "function", "function": "own.py:make", "arguments": {"name": "a", "n": 3}},
        "mine": {"extends": "base", "arguments": {"name": "b"}},
    }
    loaded = load(tmp_path, minimal("mine", datasets=datasets))
    assert loaded.datasets["mine"].content["arguments"] == {"n": 3, "name": "b"}


def test_inherited_reference_is_dropped_with_the_rule(tmp_path: Path) -> None:
    definition = {"extends": "explained-mlp", "learning_rate_scaling": {"rule": "none"}, "tracked_weight": None}
    scaling = resolved_recipe(tmp_path, definition)["learning_rate_scaling"]
    assert scaling == {"rule": "none", "reference_batch_size": None, "warmup_epochs": 0.0}


def test_registry_entry_and_its_copy_in_a_study_resolve_alike(tmp_path: Path) -> None:
    inherited = resolved_recipe(tmp_path, {"extends": "cnn"})
    assert inherited == resolved_recipe(tmp_path, RECIPES["cnn"])


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "studies" / "one"
    folder.mkdir(parents=True)
    np.savez(tmp_path / "studies" / "data.npz", x=np.zeros((20, 2)), y=np.zeros(20, int))
    (folder / "own.py").write_text("def net(input_shape, classes, *, depth=2): ...\n")
    model = {"function": "own.py:net", "arguments": {"depth": 3}, "outputs": "logits"}
    content = minimal(
        "mine",
        "mine",
        datasets={"mine": {"source": "npz", "path": "../data.npz"}},
        recipes={"mine": {"model": model, "optimizer": {"name": "sgd"}, "budget": {"epochs": 1}}},
    )
    loaded = load(folder, content)
    assert loaded.path == Path("studies/one/mine.yaml")
    assert loaded.datasets["mine"].content["path"] == "studies/data.npz"
    assert loaded.recipes["mine"].content["model"]["function"] == "studies/one/own.py:net"
    assert files(loaded.datasets["mine"]) == ["studies/data.npz"]
    assert files(loaded.recipes["mine"]) == ["studies/one/own.py"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(folder, content).datasets["mine"].content["path"] == str(tmp_path / "studies" / "data.npz")


def test_modules_beside_the_file_that_a_link_leads_to_are_files_of_the_recipe(tmp_path: Path) -> None:
    for folder in ("shared", "study"):
        (tmp_path / folder).mkdir()
    (tmp_path / "shared/helper.py").write_text("width = 6\n")
    (tmp_path / "shared/model.py").write_text("from helper import width\ndef net(input_shape, classes): ...\n")
    (tmp_path / "study/model.py").symlink_to(tmp_path / "shared/model.py")
    model = {"function": "study/model.py:net", "outputs": "logits"}
    recipe = {"model": model, "optimizer": {"name": "sgd"}, "budget": {"epochs": 1}}
    loaded = load(tmp_path, minimal(recipe="mine", recipes={"mine": recipe}))
    assert files(loaded.recipes["mine"]) == [str(tmp_path / "study/model.py"), str(tmp_path / "shared/helper.py")]


def test_built_in_definitions_depend_on_no_file_of_the_user(tmp_path: Path) -> None:
    loaded = load(tmp_path, minimal())
    assert files(loaded.datasets["digits"]) == []
    assert files(loaded.recipes["task08-mlp"]) == []


def test_npz_with_test_arrays_has_no_test_split(tmp_path: Path) -> None:
    arrays = {"x": np.zeros((20, 2)), "y": np.zeros(20, int), "a": np.zeros((5, 2)), "b": np.zeros(5, int)}
    np.savez(tmp_path / "d.npz", **arrays)
    definition = {"source": "npz", "path": "d.npz"}
    assert resolved_dataset(tmp_path, definition)["split"] == {"validation": 0.15, "test": 0.2}
    assert resolved_dataset(tmp_path, {**definition, "x_test": "a", "y_test": "b"})["split"] == {"validation": 0.15}


def test_batch_size_may_be_as_large_as_the_data_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,b,kind\n" + "1,2,x\n" * 20)
    table = {"source": "table", "path": "own.csv", "target": "kind", "split": {"validation": 5, "test": 5}}
    content = minimal("mine", datasets={"mine": table})
    content["comparisons"][0]["batch_sizes"] = [10]
    assert load(tmp_path, content).runs[0].batch_size == BatchSize(10)
    content["comparisons"][0]["batch_sizes"] = [11]
    with pytest.raises(study.ConfigError, match="11 is larger than the 10 training examples of mine"):
        load(tmp_path, content)


@pytest.mark.parametrize(
    "code",
    [
        "def make(seed, n=1): ...",
        "def make(*, seed, n): ...",
        "def make(seed, **options): ...",
        "import functools\n@functools.cache\ndef make(anything): ...",
    ],
)
def test_functions_that_can_be_called_are_accepted_unimported(code: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(f"raise SystemExit('imported')\n{code}\n")
    definition = {"source": "function", "function": "own.py:make", "arguments": {"n": 2}}
    assert resolved_dataset(tmp_path, definition)["arguments"] == {"n": 2}


def test_draw_says_which_data_a_seed_sees(tmp_path: Path) -> None:
    assert draw(load(tmp_path, minimal("blobs")).datasets["blobs"].content, 7) == "seed7"
    assert draw(load(tmp_path, minimal()).datasets["digits"].content, 7) == "fixed"


def test_study_of_the_repository_is_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study.load({"study": "quickstart"}, ROOT).path == ROOT / "config" / "studies" / "quickstart.yaml"


def plain(value: Any) -> bool:
    """Whether a value is made of built-in scalars, lists and dicts with text keys only."""
    if type(value) is dict:
        return all(type(key) is str and plain(item) for key, item in value.items())
    return all(map(plain, value)) if type(value) is list else type(value) in (str, int, float, bool, type(None))


def shuffled(value: Any, random: Any) -> Any:
    """A copy with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key], random) for key in keys}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


@settings(max_examples=15, deadline=None, database=None)
@given(random=st.randoms(use_true_random=False))
def test_order_of_keys_never_changes_what_a_job_is_handed(tmp_path_factory: Any, random: Any) -> None:
    folder = tmp_path_factory.mktemp("study")
    (folder / "own.py").write_text("def make(seed, a, b): ...\n")
    own = {"source": "function", "function": "own.py:make", "arguments": {"a": {"x": 1, "y": [2.5]}, "b": None}}
    content = minimal(
        "own",
        "slow",
        datasets={"own": {**own, "split": {"test": 0.3, "validation": 9}}},
        recipes={"slow": {"extends": "blobs-mlp", "optimizer": {"learning_rate": 0.001, "nesterov": True}}},
    )
    first, second = load(folder, content), load(folder, shuffled(content, random))
    assert repr(first.describe()) == repr(second.describe())
    assert plain(first.describe())


def test_a_dry_run_loads_no_framework_and_no_pandas(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from batchscope.study import model as study;"
        f"study.load({{'study': 'quickstart'}}, Path({str(ROOT)!r}));"
        "slow = {'tensorflow', 'keras', 'pandas', 'pyarrow', 'sklearn', 'scipy'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT / "scripts"), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
