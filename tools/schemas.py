"""What follows from the typed models of what users write: JSON Schemas for editors, and the tables of config/README.md.

`make schemas` writes both, and docs/tables.md; tests keep them in step.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from batchscope.claims import definitions  # noqa: E402
from batchscope.config.sentences import branches, follow  # noqa: E402
from batchscope.config.written import NAME, Schema, json_schema  # noqa: E402
from batchscope.probes.registry import PROBE_COLUMNS, STUDY_TABLES  # noqa: E402
from batchscope.study.datasets import DATASET  # noqa: E402
from batchscope.study.model import STUDY  # noqa: E402
from batchscope.study.recipes import RECIPE  # noqa: E402
from batchscope.study.settings import SETTINGS  # noqa: E402
from batchscope.tables import codebook  # noqa: E402

README = ROOT / "config" / "README.md"
TABLES = ROOT / "docs" / "tables.md"
FOLDER = ROOT / "config" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Documented(Schema):
    """JSON Schema in which the text below a field says what its key means."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of a mapping."""
        found = super().model_schema(schema)
        for key, text in _texts(schema["cls"]).items():
            found["properties"].get(key, {}).setdefault("description", text)
        return found


def _texts(model: type) -> dict[str, str]:
    """The text below each field of a model, or of the model that it inherits the field from."""
    found = {}
    for each in reversed(model.__mro__[:-2]):
        tree = _tree(inspect.getsourcefile(each) or "")
        classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
        for field, text in pairwise(classes.get(each.__name__, [])):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_bytes())


_BRANCHED = ("datasets", "recipes", "claims")  # their keys depend on the source, the model, the optimizer or the test


def schemas() -> dict[str, JsonSchemaValue]:
    """The JSON Schema of each kind of file that users write, by the stem of the schema's file."""
    study = json_schema(STUDY, Documented)
    study |= {"if": {"required": ["measurements"]}, "then": {}, "else": {"required": ["comparisons", "seeds"]}}
    for kind in ("datasets", "recipes", "claims"):
        study["properties"][kind]["allOf"] = [{"$ref": f"{kind}.schema.json"}]
    found = {
        "config": json_schema(SETTINGS, Documented) | {"title": "config.yaml"},
        "study": study | {"title": "A study file"},
        "datasets": _registry(json_schema(DATASET, Documented), "The data sets that studies select by name."),
        "recipes": _registry(json_schema(RECIPE, Documented), "The recipes that studies select by name."),
        "claims": definitions.schema(Documented) | {"title": "claims.yaml"},
    }
    for root in found.values():
        for rule in root["$defs"].values():
            rule.pop("title", None)
    return {kind: {"$schema": DIALECT, **root} for kind, root in found.items()}


def _registry(definition: JsonSchemaValue, says: str) -> JsonSchemaValue:
    """The schema of a file of definitions by name, each whole or a change of one that it extends."""
    rules = definition.pop("$defs")
    kinds = branches(definition, {"$defs": rules})
    every = {key: rule for each in kinds for key, rule in each["properties"].items()}
    some = {key: {"description": description(rule, {"$defs": rules})} for key, rule in every.items()}
    changed = {"type": "object", "required": ["extends"], "additionalProperties": False, "properties": some}
    return {
        "description": says,
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": {
            "if": {"type": "object", "required": ["extends"]},
            "then": {"$ref": "#/$defs/changed"},
            "else": {"$ref": "#/$defs/definition"},
        },
        "$defs": {"definition": definition, "changed": changed, **rules},
    }


def keys(rule: JsonSchemaValue, root: JsonSchemaValue, path: str = "", of: str = "") -> Iterator[tuple[str, str, Any]]:
    """(key path, kinds it belongs to, rule) of every key below `rule`, also of what it leaves a choice between."""
    rule = follow(rule, root)
    if choosing := rule.get("discriminator", {}).get("propertyName", ""):
        kinds = branches(rule, root)
        names = [_names(kind["properties"].get(choosing, {})) for kind in kinds]
        first = list(kinds[0]["properties"])
        leading = {key: kinds[0]["properties"][key] for key in first[: first.index(choosing) + 1]}
        leading[choosing] = {**leading[choosing], "enum": [each for name in names for each in name]}
        yield from keys({"properties": leading, "required": [choosing]}, root, path, of)
        for kind, name in zip(kinds, names, strict=True):
            below = {key: sub for key, sub in kind["properties"].items() if key not in leading}
            yield from keys({**kind, "properties": below}, root, path, ", ".join(name) or next(iter(below)))
        return
    for key, sub in rule.get("properties", {}).items():
        if sub is not True:
            here = f"{path}.{key}".removeprefix(".")
            yield here, of, {**follow(sub, root), "required": key in rule.get("required", ())}
            yield from keys(sub, root, here, of)
    if "items" in rule:
        yield from keys(rule["items"], root, f"{path}[]", of)
    for each in rule.get("anyOf", ()):
        yield from keys(each, root, path, of)


def table(kind: str) -> str:
    """The table of all keys of a kind of file, in Markdown."""
    root = schemas()[kind]
    branched = kind in _BRANCHED
    rows: dict[tuple[str, ...], list[str]] = {}
    for path, of, rule in keys(root["$defs"].get("definition", root), root):
        rows.setdefault((path, description(rule, root), _valid(rule, root), _default(rule)), []).append(of)
    first = {path: position for position, (path, *_) in reversed(list(enumerate(rows)))}
    every = {of for kinds in rows.values() for of in kinds}
    lines = [f"| Key | {'For | ' if branched else ''}Meaning | Valid | Default |", "| --- " * (4 + branched) + "|"]
    for (path, meaning, valid, default), kinds in sorted(rows.items(), key=lambda row: first[row[0][0]]):
        whom = "all" if kinds == [""] or {*kinds, ""} == every | {""} else ", ".join(kinds)
        cells = [f"`{path}`", *([whom] if branched else []), meaning, valid, default]
        lines.append("| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |")
    return "\n".join(lines)


def description(rule: JsonSchemaValue, root: JsonSchemaValue) -> str:
    """What a key means, by its own description or that of the mapping that it may hold; empty where nothing says it."""
    return str(next((each["description"] for each in (rule, *branches(rule, root)) if "description" in each), ""))


def with_tables(text: str) -> str:
    """The text of config/README.md with its tables as the models give them."""
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{table(m[2])}\n{m[3]}", text, flags=re.S
    )


def _names(rule: JsonSchemaValue) -> list[str]:
    return list(rule["enum"]) if "enum" in rule else [rule["const"]] if "const" in rule else []


def _valid(rule: JsonSchemaValue, root: JsonSchemaValue) -> str:
    """Valid values of a key, in words."""
    rule = follow(rule, root)
    if "x-valid" in rule:
        return str(rule["x-valid"])
    if names := _names(rule):
        return ", ".join(f"`{name}`" for name in names)
    if choices := [*rule.get("anyOf", ()), *rule.get("oneOf", ())]:
        return " or ".join(dict.fromkeys(_valid(each, root) for each in choices))
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{word} {rule[keyword]}" for keyword, word in words.items() if keyword in rule)
    kinds = {"object": "mapping", "array": "list", "string": "text", "boolean": "`true` or `false`", "null": "`null`"}
    types = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    return " or ".join(kinds.get(kind, f"{kind} {bounds}".strip()) for kind in types)


def _default(rule: JsonSchemaValue) -> str:
    if "default" not in rule:
        return "required" if rule["required"] else "-"
    value = rule["default"]
    if value in ({}, ""):
        return "-"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def main() -> None:
    for kind, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{kind}.schema.json").write_text(text, encoding="utf-8")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    TABLES.write_text(codebook.page(STUDY_TABLES, PROBE_COLUMNS), encoding="utf-8")


if __name__ == "__main__":
    main()
