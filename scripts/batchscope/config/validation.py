"""Reading configuration files strictly: YAML without its traps, JSON Schemas, defaults, and errors in one sentence."""

from __future__ import annotations

import copy
import difflib
import functools
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMAS = Path(__file__).resolve().parents[3] / "config" / "schemas"

Key = str | int
Locate = Callable[[Sequence[Key]], str]  # where the user wrote a value: "file: key.path"


class ConfigError(ValueError):
    """What a user must change: one sentence with the file, the key, what is wrong and what would be valid.

    A file may hold any text: what cannot be printed is escaped, and a word that nobody would write is cut.
    """

    def __init__(self, sentence: str) -> None:
        printed = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in sentence
        )
        super().__init__(re.sub(r"(\S{100})\S{200,}", r"\1…", printed))


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars (1e-3 is a number; yes, 010, 1:30 and 2024-01-01 are texts); a key given twice is an error."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if found := _UNWRITABLE.search(node.value):
            raise yaml.composer.ComposerError(
                None, None, f"a text holds U+{ord(found[0]):04X}, which no file can hold; leave it out", node.start_mark
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.composer.ComposerError(None, None, "a key is not a text; write it in quotes", key.start_mark)
            if key.tag not in _KEY_TAGS:
                raise yaml.composer.ComposerError(
                    None, None, f"the key `{key.value}` is not a text; write it in quotes", key.start_mark
                )
            if key.value in seen:
                raise yaml.composer.ComposerError(
                    None, None, f"the key `{key.value}` is given twice; valid is once", key.start_mark
                )
            seen.add(key.value)
        return node


_Loader.yaml_constructors = {  # what JSON knows, too: no dates, sets or bytes through explicit tags
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}
_Loader.yaml_implicit_resolvers = {}
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # escapes make them in quoted texts
_DEPTH, _VALUES = 50, 100_000  # aliases make endless trees of short files
_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}
for _kind, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.inf|\.nan)$",
        list("-+.0123456789"),
    ),
    ("merge", r"^<<$", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), _first)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; raise `ConfigError` where it cannot be read or is not a mapping."""
    name = shown(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{name}: the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: the file is not text in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        unreadable = isinstance(error, (yaml.scanner.ScannerError, yaml.parser.ParserError))
        valid = (
            "; valid are spaces, no tabs, quotes that end, and quotes round a text with a colon" if unreadable else ""
        )
        raise ConfigError(f"{name}{line}: {error.problem or 'this is not YAML'}{valid}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{name}: this is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(_too_large(name)) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: the file holds {_value(content)}; valid is a mapping of keys to values")
    _require_small(content, name)
    return content


def _require_small(content: object, name: str) -> None:
    """Refuse what cannot be walked through: values that hold themselves, or each other a thousand times."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > _DEPTH or seen > _VALUES:
            raise ConfigError(_too_large(name))
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting.extend((part, depth + 1) for part in parts)


def _too_large(name: str) -> str:
    return f"{name}: values lie too deep or are too many; valid are {_DEPTH} levels and {_VALUES:,} values"


def shown(path: Path) -> str:
    """A path as messages and jobs name it: relative to the working directory where it lies below it, else absolute."""
    absolute = Path(os.path.normpath(Path.cwd() / path.expanduser()))
    return (absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute).as_posix()


def refuse_braces(path: str | Path, place: str) -> None:
    """Raise `ConfigError` for a path that Snakemake would take for one with wildcards."""
    if set("{}") & set(str(path)):
        raise ConfigError(f"{place}: Snakemake fills in the braces of {path}; valid is a path without braces")


def key_path(keys: Sequence[Key]) -> str:
    """Keys as messages write them: `comparisons[0].batch_sizes[2]`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def locate_in(file: str, prefix: Sequence[Key] = ()) -> Locate:
    """Say where a value is, for values that all stand in one file."""
    return lambda keys: f"{file}: {key_path([*prefix, *keys])}" if (*prefix, *keys) else file


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


def choice(value: object, valid: Iterable[str]) -> str:
    """The end of a sentence that refuses a name: the nearest valid one, and all of them."""
    names = list(valid)
    near = difflib.get_close_matches(str(value), names, n=1)
    return (f" (did you mean `{near[0]}`?)" if near else "") + f"; valid is {_either(names)}"


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


def _is_number(value: object) -> bool:
    """An int or a finite float: neither true nor NaN, and no integer beyond what a float can hold."""
    try:
        return type(value) in (int, float) and math.isfinite(float(value))  # type: ignore[arg-type]
    except OverflowError:
        return False


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
            yield 2, path, f"{_value(twice)} is listed twice; valid is {_valid(rule)}"
        else:
            yield 2, path, _refusal(error.instance, rule)


def _unknown(key: str, keys: Iterable[str], schema: str) -> str:
    """Why a key is refused where `keys` would be valid."""
    misspelt = difflib.get_close_matches(key, keys, n=1, cutoff=0.9)
    if key in _all_keys(schema) and not misspelt:  # misplaced: `momentum` for adam
        return f"the key does not belong here; valid is {_either(list(keys))}"
    return f"unknown key{choice(key, keys)}"


def _refusal(value: object, rule: Mapping[str, Any]) -> str:
    if "enum" in rule and isinstance(value, str) and "x-valid" not in rule:
        return f"{_value(value)} is not valid{choice(value, rule['enum'])}"
    hint = " (write it in quotes)" if _is_number(value) and rule.get("type") == "string" else _hint(value)
    return f"{_value(value)} is not valid; valid is {_valid(rule)}{hint}"


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


def _value(value: object) -> str:
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


def _valid(rule: Mapping[str, Any]) -> str:
    """What a rule of a schema accepts, in words."""
    if "x-valid" in rule:
        return str(rule["x-valid"])
    if "enum" in rule:
        return _either(rule["enum"])
    kinds = rule.get("type", [])
    words = {"string": "a text", "object": "a mapping", "array": "a list", "boolean": "true or false", "null": "null"}
    words |= {"integer": f"an integer{_bounds(rule)}", "number": f"a number{_bounds(rule)}"}
    return ", or ".join(words[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)) or "any value"


def _bounds(rule: Mapping[str, Any]) -> str:
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


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "one of " + ", ".join(map(str, names))


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
