"""Claims: statements about batch size with the tests that decide them, read from claims.yaml and from a study.

Nothing here imports pandas, so that a dry run is instant. `verdicts` judges them.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Union

import pydantic
from pydantic import Field, TypeAdapter
from pydantic.json_schema import JsonSchemaValue

from batchscope.claims.kinds import KINDS, OLD_KINDS
from batchscope.claims.kinds.kind import Fault, Kind
from batchscope.claims.scope import Scope
from batchscope.config.errors import ConfigError, Locate, below, choice, either, shown
from batchscope.config.sentences import refusal
from batchscope.config.spelling import SPELLINGS, SpellingWarning, respelt
from batchscope.config.written import Schema, Text, Written, json_schema, read, valid
from batchscope.config.yaml_files import locate_in, read_yaml
from batchscope.probes.registry import STUDY_FIGURES
from batchscope.tables.metrics import METRICS, OWN

_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_NAME_WORDS = "letters, digits, - and _, starting with a letter or digit"
# What a metric lacks for a kind of test, by what its values are repeated over.
_TOO_FEW = {
    "sizes": "has one value per batch size, with which {} cannot be tested",
    "targets": "has no value per batch size, which {} needs",
    "windows": "is timed once per batch size, not once per seed, which {} needs",
}


class Claim(Written):
    """A statement with the test that decides it, every default filled in."""

    statement: Text = Field(description="What is claimed, in one sentence.")
    source: Text = Field(description="Who says so, in words.")
    scope: Scope = Field(
        default_factory=Scope,
        description="Under which conditions the statement is said to hold: each key a value, or a list of which any "
        "will do. A verdict is given on every data set and recipe of the study that fits.",
    )
    metric: Annotated[Text, valid("the name of a metric")] = Field(
        description="What is compared, by the name of a metric."
    )
    test: Kind = Field(description="What has to be shown; its keys depend on its kind.")
    margin: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Smallest effect that counts, in the unit of the metric: below it the statement is contradicted. A "
        "factor of at least 1 where `scale` is `factor`, and for `spread` and `critical`. Of a trend, per doubling of "
        "the batch size. null for `count`, `ratio` and `value`, whose numbers say themselves what counts.",
    )
    family: Text = Field(
        "study",
        description="Claims of one family are tested together; the chance of any wrong verdict among them is kept "
        "below 5 %.",
    )
    figure: str | None = Field(None, description="Name of the figure of the report that shows it; null for none.")


def adapter() -> TypeAdapter[dict[str, Claim]]:
    """How claims are read, by name: with the kinds of test that are registered now."""
    return _adapter(tuple(KINDS.values()))


def schema(generator: type[Schema] = Schema) -> JsonSchemaValue:
    """The JSON Schema of claims.yaml, for editors and config/README.md."""
    root = json_schema(adapter(), generator)
    root["$defs"]["definition"] = root["$defs"].pop("Claim")
    return {**root, "propertyNames": {"pattern": f"^{_NAME}$"}, "additionalProperties": {"$ref": "#/$defs/definition"}}


def load(
    registry_path: Path, own: Mapping[str, object], study_path: Path, replaced: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Claim]:
    """The claims of the registry and those that a study defines under `claims`, by name, in their order.

    A claim of the study's own follows the data sets that others are `replaced` by.

    Raises:
        ConfigError: one sentence on what the user must change, and in which file.
    """
    registry = _read(read_yaml(registry_path), locate_in(shown(registry_path)))
    locate = locate_in(shown(study_path), ["claims"])
    found = _read(own, locate)
    for name in found:
        if name in registry:
            raise ConfigError(f"{locate([name])}: {shown(registry_path)} has this name already; valid is another name")
    return registry | {name: _renamed(claim, replaced) for name, claim in found.items()}


def resolved(plain: Mapping[str, object]) -> dict[str, Claim]:
    """Claims as `Claim.plain` gave them, by name."""
    return adapter().validate_python(dict(plain))


def _renamed(claim: Claim, replaced: Mapping[str, str]) -> Claim:
    names = tuple(replaced.get(str(name), name) for name in claim.scope.dataset.given().get("name", ()))
    dataset = claim.scope.dataset.model_copy(update={"name": names})
    return claim.model_copy(update={"scope": claim.scope.model_copy(update={"dataset": dataset})})


@functools.cache
def _adapter(kinds: tuple[type[Kind], ...]) -> TypeAdapter[dict[str, Claim]]:
    test = Annotated[Union[kinds], Field(discriminator="kind")]  # type: ignore[valid-type] # noqa: UP007
    described = Field(description=Claim.model_fields["test"].description)
    claim = pydantic.create_model("Claim", __base__=Claim, __module__=__name__, test=(test, described))
    return TypeAdapter(dict[str, claim])  # type: ignore[valid-type]


def _read(content: Mapping[str, object], locate: Locate) -> dict[str, Claim]:
    for name in content:
        if not re.fullmatch(_NAME, name):
            raise ConfigError(f"{locate([])}: {refusal(name, {'x-valid': _NAME_WORDS})}")
    found = read(adapter(), {name: _respelt(claim, below(locate, name)) for name, claim in content.items()}, locate)
    for name, claim in found.items():
        if fault := next(_faults(claim), None):
            raise ConfigError(f"{locate([name, *fault[0]])}: {fault[1]}")
    return found


def _respelt(claim: object, locate: Locate) -> object:
    """A claim with today's keys where it names those of recipes; a direction that was a kind once is refused."""
    if not isinstance(claim, dict):
        return claim
    found, scope, test = dict(claim), claim.get("scope"), claim.get("test")
    if isinstance(scope, dict):
        found["scope"] = respelt(scope, below(locate, "scope"), ["recipe"])
    if not isinstance(test, dict):
        return found
    kind, key = test.get("kind"), test.get("key")
    if isinstance(kind, str) and kind in OLD_KINDS:
        raise ConfigError(f"{locate(['test', 'kind'])}: {kind} is written otherwise now; valid is {OLD_KINDS[kind]}")
    if isinstance(key, str) and key in SPELLINGS:
        warnings.warn(f"{locate(['test', 'key'])}: the key is {SPELLINGS[key]} now", SpellingWarning, stacklevel=2)
        found["test"] = {**test, "key": SPELLINGS[key]}
    return found


def _faults(claim: Claim) -> Iterator[Fault]:
    """What types cannot say, each with the keys of its place."""
    yield from _faults_of_metric(claim)
    yield from _faults_of_margin(claim)
    for keys, sentence in claim.test.faults(claim.metric):
        yield ("test", *keys), sentence
    condition = claim.test.condition()
    if condition and condition[0] in claim.scope.recipe.given():
        sentence = f"the compared recipes differ in {condition[0]}; valid is to leave it out"
        yield ("scope", "recipe", condition[0]), sentence
    if claim.figure is not None and claim.figure not in STUDY_FIGURES:
        others = choice(claim.figure, [*STUDY_FIGURES, "null"])
        yield ("figure",), f"there is no figure `{claim.figure}`{others}"


def _faults_of_metric(claim: Claim) -> Iterator[Fault]:
    """Whether there is such a metric, and what it is repeated over is enough for the kind of test."""
    kind, name = claim.test.kind, claim.metric
    if name not in METRICS:
        yield ("metric",), f"there is no metric `{name}`{choice(name, OWN)}"
    if claim.test.about not in ("", name):
        yield ("metric",), f"a test of the kind {kind} is about {claim.test.about}; valid is {claim.test.about}"
    of = METRICS[name].of
    if of not in claim.test.takes:
        others = [each for each, known in KINDS.items() if of in known.takes and known.about in ("", name)]
        yield ("test", "kind"), f"{name} {_TOO_FEW[of].format(kind)}; valid is {either(others)}"


def _faults_of_margin(claim: Claim) -> Iterator[Fault]:
    test, margin = claim.test, claim.margin
    if not test.needs_margin:
        if margin is not None:
            yield ("margin",), f"a test of the kind {test.kind} names itself what counts; valid is null"
        return
    lowest = 1 if test.log else 0
    valid = f"a {'factor' if lowest else 'number'} {'above' if test.is_near else 'of at least'} {lowest}"
    if margin is None:
        yield ("margin",), f"a test of the kind {test.kind} needs the smallest effect that counts; valid is {valid}"
    elif margin < lowest or (test.is_near and margin == lowest):
        yield ("margin",), f"{margin:g} is not valid; valid is {valid}"
