"""The words of a sweep, parsed by Hydra's own grammar: what is fixed, and what is to be searched."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from pipeline.cli import arguments
from pipeline.errors import BadSetting
from pipeline.search.space import Dimension, Space, Value, When

NEVER_TOGETHER = ("data", "device")
"""Points of several of these never stand on one frontier."""

OF_TRAINING = {"data.fraction"}
"""What changes the training split alone: the validation split, which all points are measured by, stays."""

AROUND = {"search", "pruning", "tracking", "ui", "price", "profile", "evaluate", "claim", "hydra"} | {
    "data_dir",
    "cache_dir",
    "trained",
    "record",
}
"""What changes nothing of a trial's curve."""


def split(pairs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words with one value, and words with several."""
    sweeping = [arguments.parse(pair).is_sweep_override() for pair in pairs]
    fixed = [pair for pair, several in zip(pairs, sweeping, strict=True) if not several]
    return fixed, [pair for pair, several in zip(pairs, sweeping, strict=True) if several]


def build(
    space: Sequence[str], when: Mapping[str, Sequence[str]], fixed: Sequence[str], typed: Sequence[str]
) -> Space:
    """The space of conf/search, with what was typed on top: a key with several values replaces or adds a
    dimension, a key with one value takes it out.

    Raises:
        BadSetting: a word that is no range of values, or a condition on what is not searched.
    """
    taken = {_key(pair) for pair in [*fixed, *typed]}
    dimensions = [dimension(pair) for pair in [*(each for each in space if _key(each) not in taken), *typed]]
    for condition, pairs in when.items():
        own = [dimension(pair) for pair in pairs if _key(pair) not in taken]
        dimensions += _conditional(condition, own, dimensions, fixed)
    if not dimensions:
        raise BadSetting(
            "search.space must vary one key at least, got none; type one, for example model.hidden=16,64,256"
        )
    _check_once(dimensions)
    return Space(tuple(dimensions))


def _key(pair: str) -> str:
    return pair.partition("=")[0]


def _check_once(dimensions: Sequence[Dimension]) -> None:
    """No two dimensions of one key may count at the same time."""
    for one, other in combinations(dimensions, 2):
        if one.key == other.key and not _apart(one.when, other.when):
            raise BadSetting(
                f"{one.key} must be searched once, got {one.text()!r} and {other.text()!r}; leave one out"
            )


def _apart(one: When | None, other: When | None) -> bool:
    """Whether two conditions exclude each other."""
    return one is not None and other is not None and one.key == other.key and one.value != other.value


def _conditional(
    condition: str, own: Sequence[Dimension], before: Sequence[Dimension], fixed: Sequence[str]
) -> list[Dimension]:
    """The dimensions under `key=value`: all of them where that is settled, none where it cannot be."""
    override = _parsed(condition)
    key, value = override.key_or_group, _plain(override.value(), condition)
    parent = next((each for each in before if each.key == key), None)
    if parent is None:
        settled = [arguments.parse(pair) for pair in fixed if _key(pair) == key]
        if not settled:
            raise BadSetting(
                f"search.when must hang on a key that is searched or set, got {condition!r}; "
                f"add {key} to search.space or set {condition}"
            )
        return list(own) if settled[-1].value() == override.value() else []
    if not parent.choices:
        raise BadSetting(
            f"search.when must hang on one of several named values, got {condition!r} and {parent.text()!r}; "
            f"write the values of {key} with commas"
        )
    return [replace(each, when=When(parent.name, value)) for each in own if parent.holds(value)]


def dimension(pair: str) -> Dimension:
    """`model.hidden=tag(log,int(interval(16,1024)))` as a value.

    Raises:
        BadSetting: it gives no values to choose from.
    """
    override = _parsed(pair)
    key, value = override.key_or_group, override.value()
    _check_key(key, pair)
    match value:
        case ChoiceSweep():
            return _of_choices(key, value, pair)
        case IntervalSweep():
            return _of_interval(key, value, pair)
        case RangeSweep():
            return _of_range(key, value, pair)
    raise BadSetting(
        f"{key} must have values to choose from in a search, got {pair!r}; "
        "write a,b,c or interval(low,high) or range(low,high,step)"
    )


def _parsed(pair: str) -> Override:
    try:
        override = arguments.parse(pair)
    except HydraException:
        raise BadSetting(f"a word of the space must be key=value, got {pair!r}; mend it") from None
    key = override.key_or_group
    if key != _key(pair):
        raise BadSetting(f"{key} can only be set in a search, not added or moved, got {pair!r}")
    return override


def _check_key(key: str, pair: str) -> None:
    head = key.partition(".")[0]
    if head in NEVER_TOGETHER and key not in OF_TRAINING:
        raise BadSetting(
            f"{key} must have one value in a search, got {pair!r}; points of several never stand on one "
            f"frontier, so start one search for each {head}"
        )
    if head in AROUND:
        raise BadSetting(
            f"{key} must have one value in a search, got {pair!r}; it changes no curve, so write one"
        )


def _of_choices(key: str, value: ChoiceSweep, pair: str) -> Dimension:
    choices = [_plain(each, pair) for each in value.list]
    _log(key, value.tags, 1, pair)
    if len(set(choices)) < len(choices):
        raise BadSetting(f"{key} must name each value once, got {pair!r}; leave the repeated one out")
    return Dimension(key, choices=tuple(choices))


def _of_interval(key: str, value: IntervalSweep, pair: str) -> Dimension:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    log = _log(key, value.tags, low, pair)
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise BadSetting(
            f"{key} must go from a lower to a higher number, got {pair!r}; write interval(low,high)"
        )
    whole = isinstance(low, int) and isinstance(high, int)
    return Dimension(key, low=low, high=high, log=log, whole=whole)


def _of_range(key: str, value: RangeSweep, pair: str) -> Dimension:
    """`range(low,high,step)` ends before `high`, as Python's does."""
    low, stop, step = value.start, value.stop, value.step
    assert low is not None
    assert stop is not None
    log = _log(key, value.tags, low, pair)
    if not (step > 0 and low + step < stop < math.inf):
        raise BadSetting(
            f"{key} must have two values at least, got {pair!r}; write range(low,high,step), without high"
        )
    whole = all(isinstance(each, int) for each in (low, stop, step))
    last = low + step * (math.ceil(round((stop - low) / step, 9)) - 1)
    if log:
        return Dimension(key, choices=tuple(_steps(low, last, step)))
    return Dimension(key, low=low, high=last, step=step, whole=whole)


def _steps(low: float, high: float, step: float) -> list[Value]:
    return [low + step * number for number in range(round((high - low) / step) + 1)]


def _log(key: str, tags: set[str], low: float, pair: str) -> bool:
    if unknown := tags - {"log"}:
        raise BadSetting(
            f"{key} must have no tag but log, got {', '.join(unknown)} in {pair!r}; leave it out"
        )
    if "log" in tags and low <= 0:
        raise BadSetting(f"{key} must begin above 0 on a log scale, got {low} in {pair!r}; raise it")
    return "log" in tags


def _plain(value: object, pair: str) -> Value:
    if isinstance(value, QuotedString):
        return str(value.text)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise BadSetting(f"{_key(pair)} must have plain values in a search, got {pair!r}; leave lists out")
