"""Optuna's distributions as domains of the encoding, and the space that trials have spanned. Pure."""

import math
from collections.abc import Iterable

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.history import Fidelity


def convert_distribution(distribution: BaseDistribution) -> Numeric | Choices:
    """Convert an Optuna distribution to a domain of the encoding.

    Raises:
        ValueError: it is of another kind than float, int or categorical.
    """
    match distribution:
        case FloatDistribution():
            return Numeric(distribution.low, distribution.high, distribution.log, distribution.step)
        case IntDistribution():
            step = None if distribution.step == 1 else float(distribution.step)
            return Numeric(distribution.low, distribution.high, distribution.log, step, integer=True)
        case CategoricalDistribution():
            return Choices(tuple(distribution.choices))
    raise ValueError(
        f"a distribution must be float, int or categorical, got {distribution!r}; use one of these"
    )


def as_tuple(value: object) -> tuple[object, ...]:
    """Return a value as a tuple: a list as its entries, a set in a fixed order, else the one entry."""
    if isinstance(value, set | frozenset):
        return tuple(sorted(value, key=repr))
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def join_distributions(suggested: Iterable[tuple[str, BaseDistribution]]) -> dict[str, BaseDistribution]:
    """Return every parameter that was suggested, in the widest range that was."""
    joined: dict[str, BaseDistribution] = {}
    for name, distribution in suggested:
        before = joined.get(name, distribution)
        joined[name] = distribution if before == distribution else _join_pair(before, distribution)
    return joined


def _join_pair(earlier: BaseDistribution, later: BaseDistribution) -> BaseDistribution:
    """Join two distributions of one name; the later one where they are of different kinds."""
    if isinstance(earlier, IntDistribution) and isinstance(later, IntDistribution):
        low, high = min(earlier.low, later.low), max(earlier.high, later.high)
        step = later.step if earlier.step == later.step and (earlier.low - later.low) % later.step == 0 else 1
        return IntDistribution(low, high, log=earlier.log and later.log, step=step)
    if isinstance(earlier, FloatDistribution) and isinstance(later, FloatDistribution):
        every = later.step if earlier.step == later.step else None
        lowest, highest = min(earlier.low, later.low), max(earlier.high, later.high)
        return FloatDistribution(lowest, highest, log=earlier.log and later.log, step=every)
    return later


def make_fidelity(distribution: IntDistribution) -> Fidelity:
    """Make the range of epochs that a trial may be trained for: at least one."""
    return Fidelity(max(distribution.low, 1), max(distribution.high, 1), chosen=True)


def round_up_epochs(epochs: int, distribution: BaseDistribution) -> int:
    """Round up to the next number of epochs that the step allows."""
    assert isinstance(distribution, IntDistribution)
    steps = math.ceil((epochs - distribution.low) / distribution.step)
    return min(distribution.low + steps * distribution.step, distribution.high)
