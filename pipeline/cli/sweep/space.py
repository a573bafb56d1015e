"""The words of a sweep, parsed by the grammar of Hydra: what is fixed, and what is searched."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from pipeline.cli import arguments
from pipeline.cli.explain.typed_words import suggest_decimal
from pipeline.cli.loops.words import find_kind
from pipeline.errors import BadSetting
from pipeline.search.space import Condition, Dimension, SearchSpace, Value, format_list
from pipeline.settings.command_line import DATA_OF_TRAINING, WITHOUT_EFFECT, Overrides, group_of, key_of

NEVER_TOGETHER = ("data", "device")
"""Groups of which a study has one option: points of several cannot be compared on one frontier."""

WIDTH, LAYERS = "model.hidden", "model.layers"


def split_words(pairs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split `pairs` into the words with one value and those with several."""
    is_varied = [arguments.parse(pair).is_sweep_override() for pair in pairs]
    fixed = [pair for pair, several in zip(pairs, is_varied, strict=True) if not several]
    return fixed, [pair for pair, several in zip(pairs, is_varied, strict=True) if several]


def add_linear(
    space: Sequence[str], when: Mapping[str, Sequence[str]], typed: Sequence[str]
) -> tuple[Sequence[str], Mapping[str, Sequence[str]]]:
    """Add a linear model, the cheapest there is, to a space of perceptrons; the width is that of a layer.

    The space stays as it is where layers or width are `typed` (keys), or where it does not search the width.
    """
    widths = [pair for pair in space if key_of(pair) == WIDTH]
    keys = {*typed, *map(key_of, chain(space, *when.values()))}
    if not widths or WIDTH in typed or LAYERS in keys:
        return space, when
    others = [pair for pair in space if key_of(pair) != WIDTH]
    return [f"{LAYERS}=0,1", *others], {f"{LAYERS}=1": widths, **when}


def build_space(
    space: Sequence[str], when: Mapping[str, Sequence[str]], fixed: Sequence[str], typed: Sequence[str]
) -> SearchSpace:
    """Build the space of conf/search with the typed words on top.

    A typed key with several values replaces or adds a dimension, a key with one value removes it.

    Raises:
        BadSetting: a word is no range of values, or a condition names what is not searched.
    """
    typed_keys = Overrides((*fixed, *typed)).keys
    dimensions = [parse_dimension(pair) for pair in space if key_of(pair) not in typed_keys]
    dimensions += [parse_dimension(pair) for pair in typed]
    for condition, pairs in when.items():
        conditional = [parse_dimension(pair) for pair in pairs if key_of(pair) not in typed_keys]
        dimensions += _resolve_condition(condition, conditional, dimensions, fixed)
    if not dimensions:
        example = "epochs=5,10,20" if find_kind(fixed) else "model.hidden=16,64,256"
        raise BadSetting(
            f"search.space must vary one key at least, got none; type one, for example {example}"
        )
    _check_keys_differ(dimensions)
    return SearchSpace(tuple(dimensions))


def _check_keys_differ(dimensions: Sequence[Dimension]) -> None:
    """Raise where two dimensions of one key may count at the same time."""
    for first, second in combinations(dimensions, 2):
        if first.key == second.key and not _exclude_each_other(first.when, second.when):
            raise BadSetting(
                f"{first.key} must be searched once, got {first.format()!r} and {second.format()!r}; "
                "leave one out"
            )


def _exclude_each_other(first: Condition | None, second: Condition | None) -> bool:
    """Return whether two conditions exclude each other."""
    return (
        first is not None and second is not None and first.key == second.key and first.value != second.value
    )


def _resolve_condition(
    condition: str, dimensions: Sequence[Dimension], searched: Sequence[Dimension], fixed: Sequence[str]
) -> list[Dimension]:
    """Return `dimensions` under `condition` (`key=value`): all where it is fixed, none where it is false."""
    override = _parse(condition)
    key, value = override.key_or_group, _to_plain_value(override.value(), condition)
    parent = next((dimension for dimension in searched if dimension.key == key), None)
    if parent is None:
        fixed_words = [arguments.parse(pair) for pair in fixed if key_of(pair) == key]
        if not fixed_words:
            raise BadSetting(
                f"search.when must depend on a key that is searched or set, got {condition!r}; "
                f"add {key} to search.space, set {condition}, or write search.when={{}} for no conditions"
            )
        return list(dimensions) if fixed_words[-1].value() == override.value() else []
    if not parent.choices:
        raise BadSetting(
            f"search.when must depend on one of several named values, got {condition!r} and "
            f"{parent.format()!r}; write the values of {key} with commas"
        )
    return [
        replace(dimension, when=Condition(parent.name, value))
        for dimension in dimensions
        if parent.contains(value)
    ]


def parse_dimension(pair: str) -> Dimension:
    """Return the dimension of a word such as `model.hidden=tag(log,int(interval(16,1024)))`.

    Raises:
        BadSetting: the word gives no values to choose from.
    """
    override = _parse(pair)
    key, value = override.key_or_group, override.value()
    _check_key(key, pair)
    match value:
        case ChoiceSweep():
            return _read_choices(key, value, pair)
        case IntervalSweep():
            return _read_interval(key, value, pair)
        case RangeSweep():
            return _read_range(key, value, pair)
    raise BadSetting(
        f"{key} must have values to choose from in a search, got {pair!r}; "
        "write a,b,c or interval(low,high) or range(low,high,step)"
    )


def _parse(pair: str) -> Override:
    try:
        override = arguments.parse(pair)
    except HydraException:
        raise BadSetting(f"a word of the space must be key=value, got {pair!r}; correct it") from None
    key = override.key_or_group
    if key != key_of(pair):
        raise BadSetting(f"{key} can only be set in a search, not added or moved, got {pair!r}")
    return override


def _check_key(key: str, pair: str) -> None:
    group = group_of(key)
    if (group in NEVER_TOGETHER and key not in DATA_OF_TRAINING) or key == "trial":
        raise BadSetting(
            f"{key} must have one value in a search, got {pair!r}; points of several cannot be "
            f"compared on one frontier, so start one search for each {group}"
        )
    if group in WITHOUT_EFFECT:
        remedy = suggest_decimal(pair) or "; it does not change the curve, so write one"
        raise BadSetting(f"{key} must have one value in a search, got {pair!r}{remedy}")


def _read_choices(key: str, value: ChoiceSweep, pair: str) -> Dimension:
    choices = [_to_plain_value(choice, pair) for choice in value.list]
    _read_log_tag(key, value.tags, 1, pair)
    if len(set(choices)) < len(choices):
        raise BadSetting(f"{key} must name each value once, got {pair!r}; leave the repeated one out")
    lists = [isinstance(choice, list) for choice in value.list]
    if any(lists) != all(lists):
        raise BadSetting(
            f"{key} must have lists alone or no list in a search, got {pair!r}; write [64],[64,64]"
        )
    return Dimension(key=key, choices=tuple(choices), are_lists=all(lists))


def _read_interval(key: str, value: IntervalSweep, pair: str) -> Dimension:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    log = _read_log_tag(key, value.tags, low, pair)
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise BadSetting(
            f"{key} must go from a lower to a higher number, got {pair!r}; write interval(low,high)"
        )
    is_integer = isinstance(low, int) and isinstance(high, int)
    return Dimension(key=key, low=low, high=high, log=log, is_integer=is_integer)


def _read_range(key: str, value: RangeSweep, pair: str) -> Dimension:
    """Read `range(low,high,step)`, which ends before `high`, as that of Python does."""
    low, stop, step = value.start, value.stop, value.step
    assert low is not None
    assert stop is not None
    log = _read_log_tag(key, value.tags, low, pair)
    if not (step > 0 and low + step < stop < math.inf):
        raise BadSetting(
            f"{key} must have two values at least, got {pair!r}; write range(low,high,step), without high"
        )
    is_integer = all(isinstance(number, int) for number in (low, stop, step))
    last = low + step * (math.ceil(round((stop - low) / step, 9)) - 1)
    if log:
        return Dimension(key=key, choices=tuple(_list_steps(low, last, step)))
    return Dimension(key=key, low=low, high=last, step=step, is_integer=is_integer)


def _list_steps(low: float, high: float, step: float) -> list[Value]:
    return [low + step * number for number in range(round((high - low) / step) + 1)]


def _read_log_tag(key: str, tags: set[str], low: float, pair: str) -> bool:
    if unknown := tags - {"log"}:
        raise BadSetting(
            f"{key} must have no tag but log, got {', '.join(unknown)} in {pair!r}; leave it out"
        )
    if "log" in tags and low <= 0:
        raise BadSetting(f"{key} must begin above 0 on a log scale, got {low} in {pair!r}; raise it")
    return "log" in tags


def _to_plain_value(value: object, pair: str) -> Value:
    """Return a choice as the space has it: a list as its text."""
    plain = _to_plain(value, pair)
    return format_list(plain) if isinstance(plain, list) else plain


def _to_plain(value: object, pair: str) -> Value | list[object]:
    if isinstance(value, QuotedString):
        return str(value.text)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list):
        return [_to_plain(item, pair) for item in value]
    raise BadSetting(
        f"{key_of(pair)} must have plain values in a search, or lists, got {pair!r}; leave others out"
    )
