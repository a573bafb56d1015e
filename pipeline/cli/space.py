"""The words of a sweep, parsed by Hydra's own grammar: what is fixed, and what is to be searched."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, QuotedString, RangeSweep

from pipeline.cli import arguments
from pipeline.dimensions import Dimension, Space, Value, When
from pipeline.errors import BadSetting


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
    set_keys = {pair.partition("=")[0] for pair in fixed}
    typed_keys = {pair.partition("=")[0] for pair in typed}
    plain = [pair for pair in space if _key(pair) not in set_keys | typed_keys]
    dimensions = [dimension(pair) for pair in [*plain, *typed]]
    settled = dict(pair.split("=", 1) for pair in fixed)
    for condition, pairs in when.items():
        dimensions += _conditional(condition, pairs, dimensions, settled, set_keys | typed_keys)
    if not dimensions:
        raise BadSetting(
            "search.space must vary one key at least, got none; type one, for example model.hidden=16,64,256"
        )
    return Space(tuple(dimensions))


def _key(pair: str) -> str:
    return pair.partition("=")[0]


def _conditional(
    condition: str,
    pairs: Sequence[str],
    before: Sequence[Dimension],
    settled: Mapping[str, str],
    taken: set[str],
) -> list[Dimension]:
    """The dimensions under `key=value`: all of them where that is settled, none where it cannot be."""
    override = arguments.parse(condition)
    key, value = override.key_or_group, _plain(override.value())
    own = [dimension(pair) for pair in pairs if _key(pair) not in taken]
    parent = next((each for each in before if each.key == key), None)
    if parent is None:
        if key not in settled:
            raise BadSetting(
                f"search.when must hang on a key that is searched or set, got {condition!r}; "
                f"add {key} to search.space or set {condition}"
            )
        return own if settled[key] == str(value) else []
    if value not in parent.choices:
        return []
    return [replace(each, when=When(parent.name, value)) for each in own]


def dimension(pair: str) -> Dimension:
    """`model.hidden=tag(log,int(interval(16,1024)))` as a value.

    Raises:
        BadSetting: it gives no values to choose from.
    """
    override = arguments.parse(pair)
    key, value = override.key_or_group, override.value()
    match value:
        case ChoiceSweep():
            return _of_choices(key, [_plain(each) for each in value.list], pair)
        case IntervalSweep():
            return _of_interval(key, value, pair)
        case RangeSweep():
            return _of_range(key, value, pair)
    raise BadSetting(
        f"{key} must have values to choose from in a search, got {pair!r}; "
        "write a,b,c or interval(low,high) or range(low,high,step)"
    )


def _of_choices(key: str, choices: Sequence[Value], pair: str) -> Dimension:
    if len(set(choices)) < len(choices):
        raise BadSetting(f"{key} must name each value once, got {pair!r}; leave the repeated one out")
    return Dimension(key, choices=tuple(choices))


def _of_interval(key: str, value: IntervalSweep, pair: str) -> Dimension:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    log = _log(key, value.tags, low, pair)
    if not low < high:
        raise BadSetting(f"{key} must go from a lower to a higher value, got {pair!r}; exchange the ends")
    whole = isinstance(low, int) and isinstance(high, int)
    return Dimension(key, low=low, high=high, log=log, whole=whole)


def _of_range(key: str, value: RangeSweep, pair: str) -> Dimension:
    """`range(low,high,step)` ends before `high`, as Python's does."""
    low, stop, step = value.start, value.stop, value.step
    assert low is not None
    assert stop is not None
    log = _log(key, value.tags, low, pair)
    whole = all(isinstance(each, int) for each in (low, stop, step))
    last = low + step * max(0, -(-(stop - low) // step) - 1) if step > 0 else low
    if not low < last:
        raise BadSetting(f"{key} must have two values at least, got {pair!r}; widen the range")
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


def _plain(value: object) -> Value:
    if isinstance(value, QuotedString):
        return str(value.text)
    assert value is None or isinstance(value, str | int | float | bool)
    return value
