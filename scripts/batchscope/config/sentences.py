"""Sentences about values that a rule of a JSON Schema refuses, and about what it would accept.

The rules are those of the schemas that the typed models give for editors, so a sentence, an editor and
config/README.md say the same. `x-valid` is what the valid values are called where the types alone do not say it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails

from batchscope.config.errors import Key, choice, either


class Problem(NamedTuple):
    """One thing that is refused: problems of a lower rank come first, as others may follow from them."""

    rank: int
    keys: tuple[Key, ...]
    sentence: str


def problem(error: ErrorDetails, root: JsonSchemaValue) -> Problem:
    """What an error of pydantic is in words; `root` is the schema of what was read."""
    loc, kind, value = error["loc"], error["type"], error["input"]
    if kind in ("extra_forbidden", "invalid_key"):
        keys, rule = _walk(loc[:-1], root)
        return Problem(0, (*keys, str(loc[-1])), _unknown(str(loc[-1]), _keys(rule, root), root))
    if loc and loc[-1] == "[key]":
        keys, rule = _walk(loc[:-2], root)
        return Problem(2, keys, refusal(value, rule.get("propertyNames", {})))
    keys, rule = _walk(loc, root)
    if kind == "missing":
        return Problem(1, keys, f"the key is missing; valid is {valid(rule, root)}")
    if kind.startswith("union_tag") and isinstance(value, dict):
        return _kind(keys, value, rule, root)
    if kind == "conflict":
        return Problem(3, (*keys, *error["ctx"]["keys"]), error["ctx"]["sentence"])
    sentence = refusal(value, rule, root)
    if kind == "twice":
        twice = next(item for item in value if value.count(item) > 1)
        sentence = f"{written(twice)} is listed twice; valid is {valid(rule, root)}"
    return Problem(2, keys, sentence)


def refusal(value: object, rule: JsonSchemaValue, root: JsonSchemaValue | None = None) -> str:
    """Why a value is refused where a rule holds."""
    names = _enum(rule)
    if names and isinstance(value, str) and "x-valid" not in rule:
        return f"{written(value)} is not valid{choice(value, names)}"
    hint = " (write it in quotes)" if type(value) in (int, float) and rule.get("type") == "string" else _hint(value)
    return f"{written(value)} is not valid; valid is {valid(rule, root or {})}{hint}"


def written(value: object) -> str:
    """A value as a user wrote it."""
    if value is None:
        return "null (an empty value)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{value}"' if value else "an empty text"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    return str(value)


def valid(rule: JsonSchemaValue, root: JsonSchemaValue) -> str:
    """What a rule accepts, in words."""
    rule = follow(rule, root)
    if "x-valid" in rule:
        return str(rule["x-valid"])
    if names := _enum(rule):
        return either(names)
    if choices := _choices(rule):
        return ", or ".join(dict.fromkeys(valid(each, root) for each in choices))
    words = {"string": "a text", "object": "a mapping", "array": "a list", "boolean": "true or false", "null": "null"}
    words |= {"integer": f"an integer{_bounds(rule)}", "number": f"a number{_bounds(rule)}"}
    return words.get(rule.get("type", ""), "any value")


def follow(rule: JsonSchemaValue, root: JsonSchemaValue) -> JsonSchemaValue:
    """A rule with its `$ref` (into the same schema) replaced by what it refers to; keywords beside it win."""
    if "$ref" not in rule:
        return rule
    return {**follow(root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root), **rule}


def branches(rule: JsonSchemaValue, root: JsonSchemaValue) -> list[JsonSchemaValue]:
    """What a rule is one of; itself where it leaves no choice."""
    rule = follow(rule, root)
    return [each for choice in _choices(rule) for each in branches(choice, root)] or [rule]


def _choices(rule: JsonSchemaValue) -> list[JsonSchemaValue]:
    return [*rule.get("anyOf", ()), *rule.get("oneOf", ())]


def _walk(loc: Sequence[Key], root: JsonSchemaValue) -> tuple[tuple[Key, ...], JsonSchemaValue]:
    """The keys and the rule that a place of pydantic's means; it names the branch of a choice that was taken, too."""
    keys: list[Key] = []
    rule = follow(root, root)
    for part in loc:
        if "oneOf" in rule:
            rule = next((each for each in branches(rule, root) if _takes(each, part)), {})
            continue
        found = next((sub for each in branches(rule, root) for sub in _below(each, part)), None)
        if found is None:
            break
        keys.append(part)
        rule = follow(found, root)
    return tuple(keys), rule


def _below(rule: JsonSchemaValue, key: Key) -> Iterator[JsonSchemaValue]:
    if isinstance(key, int):
        yield from (rule[keyword] for keyword in ("items",) if keyword in rule)
    elif key in rule.get("properties", {}):
        yield rule["properties"][key]
    elif isinstance(rule.get("additionalProperties"), dict):
        yield rule["additionalProperties"]


def _takes(rule: JsonSchemaValue, kind: Key) -> bool:
    """Whether a branch is that of a kind: by the value of a key that is always the same, or by a key of that name."""
    return kind in rule["properties"] or any(kind in _enum(each) for each in rule["properties"].values())


def _kind(keys: tuple[Key, ...], value: dict[str, object], rule: JsonSchemaValue, root: JsonSchemaValue) -> Problem:
    """A mapping whose keys depend on one that chooses its kind, which is missing or unknown."""
    choosing = rule["discriminator"]["propertyName"]
    every = branches(rule, root)
    kinds = [name for each in every for name in _enum(each["properties"].get(choosing, {}))]
    if choosing in value:
        return Problem(2, (*keys, choosing), refusal(value[choosing], {"enum": kinds}))
    first = list(every[0]["properties"])
    leading = first[: first.index(choosing) + 1]  # keys that every kind has
    for key in value:
        if key not in leading and key not in _all_keys(root):
            return Problem(0, (*keys, key), _unknown(key, leading, root))
    return Problem(1, (*keys, choosing), f"the key is missing; valid is {either(kinds)}")


def _unknown(key: str, keys: Sequence[str], root: JsonSchemaValue) -> str:
    """Why a key is refused where `keys` would be valid."""
    misspelt = difflib.get_close_matches(key, keys, n=1, cutoff=0.9)
    if key in _all_keys(root) and not misspelt:  # misplaced: `momentum` for adam
        return f"the key does not belong here; valid is {either(keys)}"
    return f"unknown key{choice(key, keys)}"


def _keys(rule: JsonSchemaValue, root: JsonSchemaValue) -> list[str]:
    return next((list(each["properties"]) for each in branches(rule, root) if "properties" in each), [])


def _all_keys(root: JsonSchemaValue) -> set[str]:
    """Every key that a schema knows anywhere."""
    return {key for rule in (root, *root.get("$defs", {}).values()) for key in rule.get("properties", {})}


def _enum(rule: JsonSchemaValue) -> list[str]:
    return [rule["const"]] if "const" in rule else list(rule.get("enum", ()))


def _hint(value: object) -> str:
    """What to do about a number that arrived as text."""
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    if number is None or not math.isfinite(number):
        return ""
    if re.fullmatch(r"[-+]?[0-9]+[eE][-+]?[0-9]+", str(value)):
        return f" (it arrived as text, as YAML 1.1 reads it; write {str(value).lower().replace('e', '.0e')})"
    return f" (it arrived as text; write {int(number) if number.is_integer() else number} without quotes)"


def _bounds(rule: JsonSchemaValue) -> str:
    if "minimum" in rule and "maximum" in rule:
        return f" from {rule['minimum']} to {rule['maximum']}"
    words = (
        ("minimum", "of at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "of at most"),
        ("exclusiveMaximum", "below"),
    )
    given = " and ".join(f"{word} {rule[keyword]}" for keyword, word in words if keyword in rule)
    return f" {given}" if given else ""
