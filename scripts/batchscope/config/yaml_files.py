"""Reading YAML without its traps, and finding the line that a value stands on."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from batchscope.config.errors import ConfigError, Key, Locate, key_path, shown
from batchscope.config.sentences import written

_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # escapes make them in quoted texts
_DEPTH, _VALUES = 50, 100_000  # aliases make endless trees of short files
_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


class _Composer(yaml.composer.Composer):
    """Refuses a key that is given twice or is no text, and texts that no file can hold."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if found := _UNWRITABLE.search(node.value):
            raise _error(f"a text holds U+{ord(found[0]):04X}, which no file can hold; leave it out", node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error("a key is not a text; write it in quotes", key)
            if key.tag not in _KEY_TAGS:
                raise _error(f"the key `{key.value}` is not a text; write it in quotes", key)
            if key.value in seen:
                raise _error(f"the key `{key.value}` is given twice; valid is once", key)
            seen.add(key.value)
        return node


def _error(problem: str, node: yaml.Node) -> yaml.composer.ComposerError:
    return yaml.composer.ComposerError(None, None, problem, node.start_mark)


class _Loader(_Composer, yaml.SafeLoader):
    """YAML 1.2 scalars: 1e-3 is a number; yes, 010, 1:30 and 2024-01-01 are texts."""


_Loader.yaml_constructors = {  # what JSON knows, too: no dates, sets or bytes through explicit tags
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
}
_Loader.yaml_implicit_resolvers = {}
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

_LOADERS: list[type[Any]] = [_Loader]
if yaml.__with_libyaml__:

    class _FastLoader(_Composer, yaml.CSafeLoader):
        """The same over the parser in C; nodes are composed in Python, where a deep file cannot end the process."""

        yaml_constructors = _Loader.yaml_constructors
        yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

        def __init__(self, stream: str) -> None:
            yaml.CSafeLoader.__init__(self, stream)
            yaml.composer.Composer.__init__(self)

    _LOADERS.insert(0, _FastLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; raise `ConfigError` where it cannot be read or is not a mapping."""
    name, text = shown(path), ""
    try:
        text = path.read_text(encoding="utf-8")
        content = _load(text)
    except OSError as error:
        raise ConfigError(f"{name}: the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: the file is not text in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{name}{_unreadable(error, text)}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{name}: this is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(_too_large(name)) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: the file holds {written(content)}; valid is a mapping of keys to values")
    _require_small(content, name)
    return content


def typed(value: Any, given: object) -> Any:
    """A `value` of the configuration in which texts that were `given` on the command line are the numbers they say.

    Of what lies in braces or brackets there, and of true and false, Snakemake makes texts.
    """
    if isinstance(value, Mapping) and isinstance(given, Mapping):
        return {key: typed(each, given.get(key)) for key, each in value.items()}
    if isinstance(value, list) and value == given:
        return [typed(each, each) for each in value]
    if not isinstance(value, str) or value != given:
        return value
    try:
        read = _load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(read, (dict, list)) else read


def _unreadable(error: yaml.MarkedYAMLError, text: str) -> str:
    """Where a text is not YAML, and why; where all of it was read in vain, the line on which that began."""
    mark, problem, lines = error.problem_mark, error.problem or "this is not YAML", text.splitlines()
    if mark and error.context_mark and not "".join(lines[mark.line :])[mark.column :].strip():
        mark, problem = error.context_mark, "what begins here does not end"
    at_fault = isinstance(error, (yaml.scanner.ScannerError, yaml.parser.ParserError))
    valid = "spaces, no tabs, quotes and brackets that end, and quotes round a text with a colon"
    return f"{f', line {mark.line + 1}' if mark else ''}: {problem}{f'; valid are {valid}' if at_fault else ''}"


def locate_in(file: str, prefix: Sequence[Key] = ()) -> Locate:
    """Say where a value is, for values that all stand in one file, below the keys `prefix`.

    The line is that of the value's key, or of the nearest key above it where the value itself was not written; where
    `file` is none that can be read, or no key of it is concerned, there is no line.
    """

    @functools.cache
    def root() -> yaml.Node | None:
        try:
            return _nodes(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return None

    def locate(keys: Sequence[Key]) -> str:
        every = [*prefix, *keys]
        if not every:
            return file
        line = _line(root(), every)
        return f"{file}{'' if line is None else f', line {line}'}: {key_path(every)}"

    return locate


def _line(node: yaml.Node | None, keys: Sequence[Key]) -> int | None:
    line = None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(
                (each for each in reversed(node.value) if each[0].value == key), None
            )  # own keys follow merged ones
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            pair = (node.value[key], node.value[key])
        else:
            pair = None
        if pair is None:
            return line
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def _load(text: str) -> Any:
    """The content of a YAML text."""
    node = _nodes(text)
    return None if node is None else _Loader("").construct_document(node)


@functools.lru_cache(maxsize=8)
def _nodes(text: str) -> yaml.Node | None:
    """The nodes of a YAML text; those of the last few are kept, as what is wrong is found after they were read."""
    for loader in _LOADERS:
        try:
            return loader(text).get_single_node()  # type: ignore[no-any-return]
        except yaml.YAMLError:
            if loader is _LOADERS[-1]:  # whose sentences say more
                raise
    return None


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
