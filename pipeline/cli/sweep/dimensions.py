"""Whether the dimensions of a search fit what is fixed: their values are composed before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.cli.compose import find_mistake
from pipeline.errors import BadSetting
from pipeline.search.space import (
    Condition,
    Dimension,
    SearchSpace,
    Value,
    format_value,
    strip_condition,
)
from pipeline.settings.command_line import Overrides, group_of
from pipeline.settings.rows_defaults import BATCH, choose_batch


def check_dimensions(space: SearchSpace, fixed: Sequence[str]) -> tuple[SearchSpace, tuple[str, ...]]:
    """Check the keys and values of the dimensions before anything runs, by composing their ends.

    Returns the space without the choices that what is fixed excludes, and a line about each.

    Raises:
        BadSetting: the first that is wrong by itself; or nothing of a dimension fits what is fixed.
    """
    parents: dict[str, tuple[str, ...]] = {}
    kept: list[Dimension] = []
    left_out: list[str] = []
    for dimension in space.dimensions:
        if dimension.when and not _has_choice(kept, dimension.when):
            continue  # the choice that it is a condition of is left out
        parents[dimension.name] = _list_condition_words(dimension, parents)
        excluded = _find_excluded(dimension, parents[dimension.name], fixed)
        for value, error in excluded.items():
            left_out.append(
                f"{dimension.key}={dimension.format_value(value)} is left out of the search: {error}"
            )
        choices = tuple(choice for choice in dimension.choices if choice not in excluded)
        kept.append(replace(dimension, choices=choices) if excluded else dimension)
    return SearchSpace(tuple(kept)), tuple(left_out)


def fit_batches(space: SearchSpace, typed: Sequence[str], rows: int) -> Overrides:
    """Return the word of the batch sizes to search where some of the space are more than the training rows.

    The batch that suits so many rows is one of them. There is no word where all fit.

    Raises:
        BadSetting: one that is `typed` (keys) is too large.
    """
    dimensions = [dimension for dimension in space.dimensions if dimension.key == BATCH]
    sizes = {size for dimension in dimensions for size in dimension.choices or (dimension.high,)}
    too_large = sorted(size for size in sizes if isinstance(size, int | float) and size > rows)
    if not too_large:
        return Overrides()
    named = ",".join(format_value(size) for size in too_large)
    if BATCH in typed:
        raise BadSetting(f"{BATCH} must be <= {rows} (rows of the training split), got {named}; leave it out")
    fitting = {size for size in sizes.difference(too_large) if isinstance(size, int)}
    return Overrides((f"{BATCH}={','.join(map(str, sorted({choose_batch(rows), *fitting})))}",))


def _has_choice(dimensions: Sequence[Dimension], condition: Condition) -> bool:
    """Return whether a condition can hold."""
    return any(each.name == condition.key and each.contains(condition.value) for each in dimensions)


def _find_excluded(
    dimension: Dimension, condition: Sequence[str], fixed: Sequence[str]
) -> dict[Value, BadSetting]:
    """Find the choices of a dimension that what is fixed excludes, such as one of another optimizer.

    Raises:
        BadSetting: a value is wrong by itself, or none is left.
    """
    probes, excluded = _choose_probes(dimension), dict[Value, BadSetting]()
    for value in probes:
        words = [*condition, f"{dimension.key}={dimension.format_value(value)}"]
        error = find_mistake([*fixed, *words])
        # A pair of values that exclude each other is no trial; one value alone is a mistake.
        if error is None or not str(error).startswith(group_of(dimension.key)):
            continue
        if not dimension.choices or find_mistake(words) is not None:
            raise _explain(dimension, value, error)
        excluded[value] = error
    if len(excluded) == len(probes):
        raise next(iter(excluded.values()))
    return excluded


def _list_condition_words(dimension: Dimension, parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the words of the condition under which a dimension counts."""
    if dimension.when is None:
        return ()
    key = strip_condition(dimension.when.key)
    return (*parents[dimension.when.key], f"{key}={format_value(dimension.when.value)}")


def _choose_probes(dimension: Dimension) -> Sequence[Value]:
    """Return the values to check: all choices, or the ends of a range and a value inside a continuous one."""
    if dimension.choices:
        return dimension.choices
    inside = (
        ()
        if dimension.is_integer or dimension.step
        else (dimension.low + 0.382 * (dimension.high - dimension.low),)
    )
    return (dimension.low, dimension.high, *inside)


def _explain(dimension: Dimension, value: Value, error: BadSetting) -> BadSetting:
    is_range = not dimension.choices and isinstance(value, float) and not value.is_integer()
    if is_range and "must be a whole number" in str(error):
        ends = f"{format_value(dimension.low)},{format_value(dimension.high)}"
        return BadSetting(
            f"{dimension.key} must be a whole number, got {dimension.format()!r}; "
            f"write {dimension.key}=int(interval({ends}))"
        )
    return error
