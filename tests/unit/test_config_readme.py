"""config/README.md explains every key that a user may write, its examples work, and schemas for editors fit both."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import referencing
import yaml

from batchscope.claims import definitions
from batchscope.config.yaml_files import read_yaml
from batchscope.study import model
from batchscope.tables.metrics import OWN, QUANTITIES

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "config" / "README.md"
KINDS = ("config", "study", "datasets", "recipes", "claims")
_spec = importlib.util.spec_from_file_location("schemas", ROOT / "tools" / "schemas.py")
assert _spec is not None
assert _spec.loader is not None
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def test_every_metric_of_a_claim_is_named() -> None:
    text = README.read_text(encoding="utf-8")
    quantities = [each.name for each in QUANTITIES]
    assert [name for name in (*OWN, *quantities) if f"`{name}`" not in text] == []


def examples() -> dict[str, Any]:
    """The YAML blocks of the README, by the comment on their first line."""
    blocks = re.findall(r"```yaml\n# ([^\n]+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    return dict(blocks)


def rows(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Every key of a kind of file, as its table names it, and its rule."""
    root = tool.schemas()[kind]
    return [(path, rule) for path, _, rule in tool.keys(root["$defs"].get("definition", root), root)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind: str) -> None:
    root = tool.schemas()[kind]
    assert rows(kind)
    assert [path for path, rule in rows(kind) if not tool.description(rule, root)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_an_example_in_the_readme(kind: str) -> None:
    text = "\n".join(examples().values())
    assert [path for path, _ in rows(kind) if not re.search(rf"\b{path.split('.')[-1]}:", text)] == []


def test_the_generated_files_are_those_of_the_models() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == tool.with_tables(text), "run: make schemas"
    assert text.count("<!-- table:") == len(KINDS)
    for kind, schema in tool.schemas().items():
        assert json.loads((ROOT / f"config/schemas/{kind}.schema.json").read_text(encoding="utf-8")) == schema, kind


SCHEMAS = {path.name: json.loads(path.read_text("utf-8")) for path in (ROOT / "config" / "schemas").glob("*.json")}
REGISTRY: Any = referencing.Registry().with_resources(
    [(name, referencing.Resource.from_contents(schema)) for name, schema in SCHEMAS.items()]
)


def editor(kind: str) -> jsonschema.Draft202012Validator:
    """What an editor checks a file with."""
    return jsonschema.Draft202012Validator(SCHEMAS[f"{kind}.schema.json"], registry=REGISTRY)


FILES = [
    *((f"config/{kind}.yaml", kind) for kind in ("config", "datasets", "recipes", "claims")),
    *((str(path.relative_to(ROOT)), "study") for path in sorted((ROOT / "config" / "studies").glob("*.yaml"))),
]


@pytest.mark.parametrize(("file", "kind"), FILES)
def test_an_editor_finds_the_schema_and_accepts_the_file(file: str, kind: str) -> None:
    first, _, _ = (ROOT / file).read_text(encoding="utf-8").partition("\n")
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert ((ROOT / file).parent / named).resolve() == ROOT / f"config/schemas/{kind}.schema.json"
    assert list(editor(kind).iter_errors(read_yaml(ROOT / file))) == []


@pytest.mark.parametrize(
    ("file", "line", "change"),
    [
        ("studies/quickstart", "\nseeds:", "\nseed:"),
        ("studies/quickstart", "    batch_sizes: [1,", "    batch_sizes: [0,"),
        ("studies/quickstart", "    batch_sizes: [1,", "    batch_sizes: [all,"),
        ("studies/quickstart", "    extends:", "    extend:"),
        ("studies/quickstart", "    budget:", "    budgets:"),
        ("datasets", "  cluster_std: 2.0", "  cluster_std: -1"),
        ("datasets", "  source: digits", "  source: digit"),
        ("datasets", "  features: 1000", "  feature: 1000"),
        ("recipes", "optimizer: {name: adam}", "optimizer: {name: adam, momentum: 0.5}"),
        ("config", "threads: 1", "threads: 0"),
        ("claims", "direction: falls", "direction: fall"),
        ("claims", "equals: 128", "equal: 128"),
    ],
)
def test_an_editor_refuses_a_mistake(file: str, line: str, change: str, tmp_path: Path) -> None:
    text = (ROOT / "config" / f"{file}.yaml").read_text(encoding="utf-8")
    assert line in text
    (tmp_path / "changed.yaml").write_text(text.replace(line, change, 1), encoding="utf-8")
    assert not editor("study" if "/" in file else file).is_valid(read_yaml(tmp_path / "changed.yaml"))


def test_an_editor_refuses_unknown_keys_everywhere() -> None:
    rules = [rule for schema in SCHEMAS.values() for rule in (schema, *schema["$defs"].values())]
    assert [rule for rule in rules if "properties" in rule and rule.get("additionalProperties") is not False] == []


def test_examples_of_the_readme_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = examples()
    (tmp_path / "data").mkdir()
    arrays = {"images": np.zeros((900, 4)), "test_images": np.zeros((90, 4))}
    labels = {"labels": np.zeros(900, int), "test_labels": np.zeros(90, int)}
    np.savez(tmp_path / "data" / "own.npz", **arrays, **labels)
    (tmp_path / "data" / "own.csv").write_text("length,width,species\n" + "1,2,a\n" * 100)
    (tmp_path / "own.py").write_text(
        "def make_rings(seed, rings, noise): ...\ndef make_network(input_shape, classes, depth): ...\n"
    )
    every = "title: t\nquestion: q\nseeds: [1]\ncomparisons:\n" + "".join(
        f"  - {{datasets: [{data}], recipes: [{recipe}], batch_sizes: [4]}}\n"
        for data, recipe in [(name, "own-model") for name in yaml.safe_load(found["data sets"])]
        + [("mnist", name) for name in yaml.safe_load(found["recipes"]) if name != "own-model"]
    )
    for kind in ("data sets", "recipes"):
        every += kind.replace(" ", "") + ":\n" + "".join(f"  {line}\n" for line in found[kind].splitlines())
    (tmp_path / "every.yaml").write_text(every)
    (tmp_path / "mine.yaml").write_text(found["a study"])
    (tmp_path / "measured.yaml").write_text(found["a study of measurements"])
    (tmp_path / "swept.yaml").write_text(found["a study of a sweep"])
    sweep = "config.batch_size,config.seed,epochs_to_target,test_acc,config.dataset,config.arch,config.optimizer"
    settings = ",".join(["cifar10,resnet,sgd", "x7k2p,0.1,finished,0.9", "a"])
    others = f"8,1,,,cifar100,{settings.partition(',')[2]}\n"
    (tmp_path / "sweep.csv").write_text(f"{sweep},Sweep,config.lr,State,best_val_acc,Name\n8,0,,,{settings}\n{others}")
    (tmp_path / "followed.yaml").write_text(found["a study of histories"])
    (tmp_path / "chart.csv").write_text("Step,a - val_loss,a - val_acc\n0,0.9,60\n1,0.45,80\n")
    (tmp_path / "power.csv").write_text("batch_size,seconds,watts,limit\n")
    config = {**yaml.safe_load(found["config.yaml"]), "replace_datasets": {}}
    own = yaml.safe_load(found["claims"])
    assert definitions.load(ROOT / "config" / "claims.yaml", own, Path("mine.yaml")).keys() > own.keys()
    assert len(model.load({**config, "study": "every.yaml"}, ROOT).cells) == 6 + 7 - 1
    mine = model.load({**config, "study": "mine.yaml"}, ROOT)
    assert len(mine.runs) == 2 * 2 * 4 * 5
    assert list(mine.claims) == ["C01", "C02", "C05", "smaller-gap"]
    assert model.load({**config, "study": "measured.yaml"}, ROOT).pairs == (("our-images", "our-network"),)
    followed = model.load({**config, "study": "followed.yaml"}, ROOT)
    assert followed.has_targets("our-images")
    assert followed.measured_files == ["sweep.csv", "chart.csv"]
    assert [target.values for target in followed.file.targets] == [(0.5, 0.4, 0.35)]
    swept = model.load({**config, "study": "swept.yaml"}, ROOT)
    assert swept.pairs == (("cifar10", "resnet · sgd"), ("cifar100", "resnet · sgd"))
