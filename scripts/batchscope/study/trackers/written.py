"""The study file that an export becomes: YAML with comments, to be read and edited."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from batchscope.study.trackers.histories import History
from batchscope.study.trackers.recognise import Recognised
from batchscope.tables.foreign import short

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "nan", "inf"}
_MARK = re.compile(r"\(mark ([0-9a-f]{12})\)")
DATASET, RECIPE = "unnamed-data", "unnamed-recipe"


def study(name: str, runs: str, found: Recognised, histories: tuple[str, History] | None) -> str:
    """The text of a study file.

    Args:
        name: of the table, for its title.
        runs: path of the table, from the folder of the study file.
        found: what the table was taken for.
        histories: path of the file of histories and what it was taken for; None without one.
    """
    lines = [
        f"title: {text(f'Runs of {name}')}",
        "question: Which batch size is best in these runs, and how large may it be?",
        "measurements:",
        "  runs:",
        *_indented(_runs(runs, found), 4),
    ]
    if histories is not None:
        lines += ["  histories:", *_indented(_histories(*histories), 4)]
    sentences = [*found.sentences(), *(histories[1].sentences(Path(histories[0]).name) if histories else ())]
    lines += ["  notes: # the report says them", *(f"    - {text(sentence)}" for sentence in sentences)]
    body = "\n".join(lines) + "\n"
    return _head(name, body) + body


def is_edited(content: str) -> bool:
    """Whether a study file is no longer as it was written."""
    head, _, body = content.partition("\ntitle: ")
    mark = _MARK.search(head)
    return mark is None or mark[1] != _digest(f"title: {body}")


def text(value: str) -> str:
    """A text as YAML writes it, whatever its characters."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    escaped = "".join(char if char.isprintable() and char not in '"\\' else _escaped(char) for char in value)
    return f'"{escaped}"'


def _head(name: str, body: str) -> str:
    return (
        f"# Batchscope wrote this study from {short(name)} (mark {_digest(body)}). Until it is edited it is written "
        "anew whenever\n# the table is read; once edited it is kept as it is. config/README.md explains every key.\n"
    )


def _runs(path: str, found: Recognised) -> Iterator[str]:
    yield f"path: {text(path)}"
    yield f"dataset: {_column(found.dataset) if found.dataset else f'{DATASET} # what the report calls the data'}"
    recipe = f"{{columns: {_list(found.recipe)}}}" if found.recipe else f"{RECIPE} # what the report calls the training"
    yield f"recipe: {recipe}"
    if found.n_train is not None:
        yield f"n_train: {found.n_train}"
    yield "shared_seeds: false # true: runs with the same seed share what it decides, and are compared in pairs"
    if found.percent:
        yield f"percent: {_list(found.percent)} # given as percentages"
    for key, question in found.questions.items():
        if not key.startswith("columns."):
            yield f"# {key}: {question}"
    yield "columns:"
    for ours, (theirs, why) in found.columns.items():
        yield f"  {ours}: {text(theirs)}{f' # {why}' if why else ''}"
    for key, question in found.questions.items():
        if key.startswith("columns."):
            yield f"  # {key.replace('columns.', '')}: {question}"


def _histories(path: str, found: History) -> Iterator[str]:
    yield f"path: {text(path)}"
    yield f"columns: {_mapping(found.columns)}"
    for key, question in found.questions.items():
        yield f"# {key}: {question}"
    if found.metrics:
        yield f"metrics: {_mapping(found.metrics)}"
    if found.offset:
        yield f"offset: {found.offset} # the first has the number 0"
    if found.percent:
        yield f"percent: {_list(found.percent)}"


def _column(name: str) -> str:
    return f"{{column: {text(name)}}}"


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(text, values))}]"


def _mapping(values: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{ours}: {text(theirs)}' for ours, theirs in values.items())}}}"


def _indented(lines: Iterator[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:12]


def _escaped(char: str) -> str:
    code = ord(char)
    if char in '"\\':
        return f"\\{char}"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
