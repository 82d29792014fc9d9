"""What still reads claims: JSON Schemas written by hand, and their defaults. It goes once claims are typed values."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from batchscope.config.errors import ConfigError, Key, Locate, choice, either, shown
from batchscope.config.sentences import _bounds, _hint, _is_number, written
from batchscope.config.yaml_files import locate_in, read_yaml

__all__ = ["ConfigError", "Key", "Locate", "check", "choice", "fill", "locate_in", "read_yaml", "shown"]

SCHEMAS = Path(__file__).resolve().parents[3] / "config" / "schemas"


def check(value: object, schema: str, locate: Locate, part: str = "") -> None:
    """Raise `ConfigError` for the first thing in `value` that the schema (or its definition `part`) refuses."""
    problems = sorted(_problems(value, schema, part), key=lambda problem: problem[0])
    if problems:
        _, path, text = problems[0]
        raise ConfigError(f"{locate(path)}: {text}")


def fill(value: Any, schema: str, part: str = "") -> Any:
    """A checked value with every default, keys in the order of the schema, and floats wherever numbers are meant.

    One meaning has one form: Snakemake compares parameters by their `repr`, and Keras refuses an integer as a rate.
    """
    root = _schema(schema)
    return _fill(value, root["$defs"][part] if part else root, root)


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it was compiled
    content = yaml.load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"), Loader=loader)
    assert isinstance(content, dict)
    return content


@functools.cache
def _all_keys(name: str) -> frozenset[str]:
    """Every key that a schema knows anywhere."""

    def keys(rule: Any) -> Iterator[str]:
        if isinstance(rule, dict):
            if isinstance(rule.get("properties"), dict):
                yield from rule["properties"]
            for sub in rule.values():
                yield from keys(sub)
        elif isinstance(rule, list):
            for sub in rule:
                yield from keys(sub)

    return frozenset(keys(_schema(name)))


@functools.cache
def _validator(name: str, part: str) -> jsonschema.Draft202012Validator:
    root = _schema(name)
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, value: type(value) is int, "number": lambda _, value: _is_number(value)}
    )
    strict = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    return strict({"$ref": f"#/$defs/{part}", "$defs": root["$defs"]} if part else root)  # type: ignore[no-any-return]


def _problems(value: object, schema: str, part: str) -> Iterator[tuple[int, list[Key], str]]:
    """(rank, keys, sentence) of everything the schema refuses; an unknown key outranks what may follow from it."""
    for error in _validator(schema, part).iter_errors(value):
        path, rule = list(error.absolute_path), error.schema
        if error.validator == "additionalProperties":
            for key in error.instance:
                if key not in rule["properties"]:
                    yield 0, [*path, str(key)], _unknown(key, rule["properties"], schema)
        elif error.validator == "required":
            described = rule.get("properties", _schema(schema).get("properties", {}))  # a branch has none
            for key in error.instance:  # where the key that is missing chooses the valid ones, no rule refused them
                if key not in described and key not in _all_keys(schema):
                    yield 0, [*path, str(key)], _unknown(key, described, schema)
            for key in rule["required"]:
                if key not in error.instance:
                    missing = _follow(described.get(key, True), _schema(schema))
                    yield 1, [*path, key], f"the key is missing; valid is {_valid(missing)}"
        elif error.validator == "uniqueItems":
            twice = next(item for item in error.instance if error.instance.count(item) > 1)
            yield 2, path, f"{written(twice)} is listed twice; valid is {_valid(rule)}"
        else:
            yield 2, path, _refusal(error.instance, rule)


def _unknown(key: str, keys: Iterable[str], schema: str) -> str:
    """Why a key is refused where `keys` would be valid."""
    misspelt = difflib.get_close_matches(key, keys, n=1, cutoff=0.9)
    if key in _all_keys(schema) and not misspelt:  # misplaced: `momentum` for adam
        return f"the key does not belong here; valid is {either(list(keys))}"
    return f"unknown key{choice(key, keys)}"


def _refusal(value: object, rule: Mapping[str, Any]) -> str:
    if "enum" in rule and isinstance(value, str) and "x-valid" not in rule:
        return f"{written(value)} is not valid{choice(value, rule['enum'])}"
    hint = " (write it in quotes)" if _is_number(value) and rule.get("type") == "string" else _hint(value)
    return f"{written(value)} is not valid; valid is {_valid(rule)}{hint}"


def _valid(rule: Mapping[str, Any]) -> str:
    """What a rule of a schema accepts, in words."""
    if "x-valid" in rule:
        return str(rule["x-valid"])
    if "enum" in rule:
        return either(rule["enum"])
    kinds = rule.get("type", [])
    words = {"string": "a text", "object": "a mapping", "array": "a list", "boolean": "true or false", "null": "null"}
    words |= {"integer": f"an integer{_bounds(dict(rule))}", "number": f"a number{_bounds(dict(rule))}"}
    return ", or ".join(words[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)) or "any value"


def _follow(rule: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with its `$ref` (into the same file) replaced by what it refers to; keywords beside it win."""
    if not isinstance(rule, dict):
        return {}
    if "$ref" not in rule:
        return rule
    return {**_follow(root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root), **rule}


def _applying(value: object, rule: Any, root: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A rule and the branches of its conditions that hold for `value`."""
    followed = _follow(rule, root)
    yield followed
    for branch in (followed, *followed.get("allOf", ())):
        if "if" in branch:
            condition = jsonschema.Draft202012Validator({**branch["if"], "$defs": root["$defs"]})
            yield from _applying(value, branch.get("then" if condition.is_valid(value) else "else", True), root)


def _fill(value: Any, rule: Any, root: Mapping[str, Any]) -> Any:
    rules = list(_applying(value, rule, root))
    if isinstance(value, dict):
        properties: dict[str, Any] = {}
        for each in rules:
            for key, sub in each.get("properties", {}).items():
                if sub is not True:  # true: the key is described where the branches part
                    properties[key] = sub
        if not properties:
            return {key: _fill(value[key], True, root) for key in sorted(value)}
        filled = {}
        for key, sub in properties.items():
            if key in value or "default" in _follow(sub, root):
                given = value[key] if key in value else copy.deepcopy(_follow(sub, root)["default"])
                filled[key] = _fill(given, sub, root)
        return filled
    if isinstance(value, list):
        items = next((each["items"] for each in rules if "items" in each), True)
        return [_fill(item, items, root) for item in value]
    if type(value) is int and any("number" in each.get("type", ()) for each in rules):
        return float(value)
    return value
