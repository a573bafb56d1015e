"""A search around the last command line of a diagnosis: it is tried first, and ranges narrow around it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pipeline.errors import BadSetting
from pipeline.search.space import Dimension, SearchSpace, Value, strip_condition
from pipeline.settings.command_line import Overrides, key_of

LOG_RANGE_FACTOR = 4.0
"""A range on a log scale goes from the value divided by this to the value times this."""
RANGE_SHARE = 0.25
"""Any other range goes this share of its length to either side of the value."""


def find_last_words(run: str) -> tuple[str, ...]:
    """Return the last command line of a diagnosis; `run`: its run id.

    Raises:
        BadModel: there is no such run.
        BadSetting: the run is no diagnosis, or one that has not ended.
    """
    from pipeline.tracking import mlflow_store, model_references

    reference = model_references.find_model(run)
    tags = mlflow_store.open_store().get_run(reference.run_id).data.tags if reference.run_id else {}
    if tags.get("stage") != "diagnose" or "ended" not in tags:
        raise BadSetting(
            f"search.from_diagnosis must be the run id of a finished diagnosis, got {run}; "
            "diagnose prints it at its end"
        )
    return reference.overrides


def split_words(
    words: Sequence[str], typed: Sequence[str], searched: Collection[str]
) -> tuple[list[str], list[str]]:
    """Split `words` into those that set what is not searched, and those that set values of the first trial.

    Words that were `typed` take the place of those of the diagnosis.
    """
    rest = Overrides(words).without(*Overrides(typed).keys)
    first = [word for word in rest if key_of(word) in searched]
    return [word for word in rest if word not in first], first


def narrow(space: SearchSpace, values: Mapping[str, Value]) -> SearchSpace:
    """Return `space` with each range narrowed around the value of its key, where that lies in the range.

    A range under a condition that these values do not fulfil stays as it is.
    """
    return SearchSpace(
        tuple(
            _narrow_dimension(dimension, values.get(dimension.key))
            if _is_active(dimension, values)
            else dimension
            for dimension in space.dimensions
        )
    )


def _is_active(dimension: Dimension, values: Mapping[str, Value]) -> bool:
    return dimension.when is None or values.get(strip_condition(dimension.when.key)) == dimension.when.value


def _narrow_dimension(dimension: Dimension, value: Value) -> Dimension:
    if dimension.choices or dimension.step or not dimension.contains(value):
        return dimension
    assert isinstance(value, int | float)
    reach = RANGE_SHARE * (dimension.high - dimension.low)
    low, high = (
        (value / LOG_RANGE_FACTOR, value * LOG_RANGE_FACTOR)
        if dimension.log
        else (value - reach, value + reach)
    )
    if dimension.is_integer:
        low, high = math.floor(low), math.ceil(high)
    return replace(dimension, low=max(dimension.low, low), high=min(dimension.high, high))
