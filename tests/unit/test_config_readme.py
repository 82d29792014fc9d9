"""config/README.md explains every key of every schema, and its examples work.

The tables of keys are made from the schemas; after a change of a schema, rewrite them with
`PYTHONPATH=scripts python tests/unit/test_config_readme.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from batchscope.claims import definitions
from batchscope.claims.definitions import METRICS
from batchscope.config.validation import SCHEMAS
from batchscope.study import model

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "config" / "README.md"
KINDS = ("config", "study", "datasets", "recipes", "claims")
BRANCH = ("datasets", "recipes", "claims")  # their keys depend on the source, the model, the optimiser or the test


def test_every_metric_of_a_claim_is_named() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{name}`" not in text] == []


def schema(kind: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((SCHEMAS / f"{kind}.schema.yaml").read_text(encoding="utf-8"))
    return content


def follow(rule: Any, root: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(rule, dict):
        return {}
    if "$ref" not in rule:
        return rule
    return {**follow(root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root), **rule}


def keys(rule: dict[str, Any], root: dict[str, Any], path: str = "", of: str = "") -> Iterator[tuple[str, str, dict]]:
    """(key path, kinds it belongs to, rule) of every key below `rule`, also in the branches of conditions."""
    rule = follow(rule, root)
    for key, sub in rule.get("properties", {}).items():
        if sub is not True:
            here = f"{path}.{key}".removeprefix(".")
            followed = follow(sub, root)
            yield here, of, {**followed, "required": key in rule.get("required", ())}
            yield from keys(followed, root, here, of)
    if "items" in rule:
        yield from keys(rule["items"], root, f"{path}[]", of)
    for branch in (rule, *rule.get("allOf", ())):
        if "if" in branch:
            condition = next(iter(branch["if"].get("properties", {"": {"const": "function"}}).values()))
            kinds = ", ".join(condition.get("enum", [condition.get("const")]))
            for way, name in (("then", kinds), ("else", of)):
                yield from keys(branch.get(way, {}), root, path, name)


def valid(rule: dict[str, Any]) -> str:
    """Valid values of a key, in words."""
    if "x-valid" in rule:
        return str(rule["x-valid"])
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{word} {rule[keyword]}" for keyword, word in words.items() if keyword in rule)
    kinds = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    names = {"object": "mapping", "array": "list", "string": "text", "boolean": "`true` or `false`", "null": "`null`"}
    return " or ".join(
        names.get(kind, kind) + (f" {bounds}" if bounds and kind in ("integer", "number") else "") for kind in kinds
    )


def default(rule: dict[str, Any]) -> str:
    if "default" not in rule:
        return "required" if rule["required"] else "-"
    value = rule["default"]
    return (
        "-"
        if value == {}
        else f"`{'null' if value is None else str(value).lower() if value in (True, False) else value}`"
    )


def table(kind: str) -> str:
    root = schema(kind)
    rows: dict[tuple[str, ...], list[str]] = {}
    for path, of, rule in keys(root["$defs"]["definition"] if kind in BRANCH else root, root):
        rows.setdefault((path, rule["description"], valid(rule), default(rule)), []).append(of)
    branch = kind in BRANCH
    first = {path: position for position, (path, *_) in reversed(list(enumerate(rows)))}
    every = {of for kinds in rows.values() for of in kinds}
    lines = [f"| Key | {'For | ' if branch else ''}Meaning | Valid | Default |", "| --- " * (5 if branch else 4) + "|"]
    for (path, meaning, values, given), kinds in sorted(rows.items(), key=lambda row: first[row[0][0]]):
        whom = "all" if kinds == [""] or {*kinds, ""} == every else ", ".join(kinds)
        cells = [f"`{path}`", *([whom] if branch else []), meaning, values, given]
        lines.append("| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    for kind in KINDS:
        text = re.sub(
            rf"(<!-- table: {kind} -->\n).*?(<!-- end -->)",
            lambda m, k=kind: f"{m[1]}{table(k)}\n{m[2]}",
            text,
            flags=re.S,
        )
    return text


def examples() -> dict[str, Any]:
    """The YAML blocks of the README, by the comment on their first line."""
    blocks = re.findall(r"```yaml\n# ([^\n]+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    return dict(blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described_in_its_schema(kind: str) -> None:
    root = schema(kind)
    found = list(keys(root["$defs"]["definition"] if kind in BRANCH else root, root))
    assert found
    assert [path for path, _, rule in found if not rule.get("description")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_mapping_of_a_schema_refuses_unknown_keys(kind: str) -> None:
    def mappings(rule: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(rule, dict):
            if isinstance(rule.get("properties"), dict) and any(
                isinstance(v, dict) for v in rule["properties"].values()
            ):
                yield path, rule
            for key, sub in rule.items():
                yield from mappings(sub, f"{path}/{key}")
        elif isinstance(rule, list):
            for index, sub in enumerate(rule):
                yield from mappings(sub, f"{path}/{index}")

    # These only choose a branch; the branches are strict.
    choosing = {f"/$defs/definition/properties/{key}" for key in ("model/else", "optimiser", "test")}
    choosing |= {"/additionalProperties/then"} | ({"/$defs/definition"} if kind == "datasets" else set())
    loose = {
        path
        for path, rule in mappings(schema(kind), "")
        if rule.get("additionalProperties") is not False and not path.endswith("/if")
    }
    assert loose <= choosing


def test_tables_of_the_readme_are_those_of_the_schemas() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_tables(text), "run: PYTHONPATH=scripts python tests/unit/test_config_readme.py"
    assert text.count("<!-- table:") == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_an_example_in_the_readme(kind: str) -> None:
    text = "\n".join(examples().values())
    root = schema(kind)
    for path, _, _ in keys(root["$defs"]["definition"] if kind in BRANCH else root, root):
        assert re.search(rf"\b{path.split('.')[-1]}:", text), path


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
    (tmp_path / "sweep.csv").write_text("config.batch_size,config.seed,epochs_to_target,test_acc\n")
    (tmp_path / "power.csv").write_text("batch_size,seconds,watts,limit\n")
    config = {**yaml.safe_load(found["config.yaml"]), "replace_datasets": {}}
    own = yaml.safe_load(found["claims"])
    assert definitions.load(ROOT / "config" / "claims.yaml", own, Path("mine.yaml")).keys() > own.keys()
    assert len(model.load({**config, "study": "every.yaml"}, ROOT).cells) == 6 + 4 - 1
    mine = model.load({**config, "study": "mine.yaml"}, ROOT)
    assert len(mine.runs) == 2 * 2 * 4 * 5
    assert list(mine.claims) == ["C01", "C02", "C05", "smaller-gap"]
    assert model.load({**config, "study": "measured.yaml"}, ROOT).pairs == (("our-images", "our-network"),)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
