"""A search around the command line that a diagnosis came to: it is tried first, and ranges close in on it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pipeline.errors import BadSetting
from pipeline.search.space import Dimension, Space, Value, key_in

TIMES = 4.0
"""How far a range on a log scale goes on either side of the value found."""
SHARE = 0.25
"""How far any other range goes, of its own length."""


def found(run: str) -> tuple[str, ...]:
    """The words of the command line that a diagnosis ended with; `run`: its id.

    Raises:
        BadModel: there is no such run.
        BadSetting: the run is no diagnosis that came to its end.
    """
    from pipeline.tracking import mlflow_store, model_references

    reference = model_references.find(run)
    tags = mlflow_store.open_store().get_run(reference.run_id).data.tags if reference.run_id else {}
    if tags.get("stage") != "diagnose" or "ended" not in tags:
        raise BadSetting(
            f"search.from_diagnosis must be the run id of a finished diagnosis, got {run}; "
            "diagnose prints it at its end"
        )
    return reference.overrides


def split(
    words: Sequence[str], typed: Sequence[str], searched: Collection[str]
) -> tuple[list[str], list[str]]:
    """`words` that settle what is not searched, and those that place the first trial; typed ones win."""
    from pipeline.diagnosis.paired_attempt import remaining

    kept = remaining(tuple(words), tuple(typed))
    first = [word for word in kept if word.partition("=")[0] in searched]
    return [word for word in kept if word not in first], first


def close_in(space: Space, values: Mapping[str, Value]) -> Space:
    """`space` with each range cut down around the value that its key has, where that lies in it.

    A range under a condition that these values do not fulfil stays.
    """
    return Space(
        tuple(
            _near(each, values.get(each.key)) if _counts(each, values) else each for each in space.dimensions
        )
    )


def _counts(each: Dimension, values: Mapping[str, Value]) -> bool:
    return each.when is None or values.get(key_in(each.when.key)) == each.when.value


def _near(each: Dimension, value: Value) -> Dimension:
    if each.choices or each.step or not each.holds(value):
        return each
    assert isinstance(value, int | float)
    reach = SHARE * (each.high - each.low)
    low, high = (value / TIMES, value * TIMES) if each.log else (value - reach, value + reach)
    if each.whole:
        low, high = math.floor(low), math.ceil(high)
    return replace(each, low=max(each.low, low), high=min(each.high, high))
