"""Scores of the groups that the values of a column make, with intervals: whom a model serves worse."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.evaluation.intervals import LEVEL, Figure, compute_mean, compute_share
from pipeline.formatting import format_count

FEW_ROWS = 10
"""The worst group is one of those with so many rows, or else with most: one row alone is right or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupScore:
    """The score of one group of `rows` test rows, with its 95 % interval.

    `is_worse`: it is worse than all rows by more than chance, all groups considered together.
    """

    name: str
    rows: int
    score: Figure
    is_worse: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """The groups of the test split by one column, the worst first.

    `value` of each is its accuracy with the interval of Wilson (1927, doi 10.1080/01621459.1927.10502953);
    where the model answers a quantity, the mean absolute error, with Student's interval. `overall`: of
    all rows.
    """

    column: str
    is_error: bool
    overall: float
    groups: tuple[GroupScore, ...]

    @property
    def worst(self) -> GroupScore:
        """Return the worst of the groups with enough rows, or of the largest where none has."""
        return self._list_compared()[0]

    def describe_worst(self) -> str:
        """Say among how many groups the worst one is the worst, and how many have too few rows to be it."""
        compared = len(self._list_compared())
        few = len(self.groups) - compared
        aside = f" ({few:,} of fewer rows left aside)" if few else ""
        return f"the worst of {format_count(compared, 'group')}{aside}"

    def _list_compared(self) -> list[GroupScore]:
        enough = min(FEW_ROWS, max(group.rows for group in self.groups))
        return [group for group in self.groups if group.rows >= enough]


def score_groups(column: str, groups: np.ndarray, right: np.ndarray) -> Subgroups:
    """Score groups by accuracy. `groups`: the name of each row's, [n]; `right`: bool [n]."""
    return _collect(column, groups, right.astype(np.float64), is_error=False)


def score_group_errors(column: str, groups: np.ndarray, errors: np.ndarray) -> Subgroups:
    """Score groups by mean absolute error. `errors`: answers less quantities, [n]."""
    return _collect(column, groups, np.abs(errors), is_error=True)


def _collect(column: str, groups: np.ndarray, values: np.ndarray, is_error: bool) -> Subgroups:
    overall, names = float(values.mean()), np.unique(groups.astype(str))
    strict = 1 - (1 - LEVEL) / len(names)  # Bonferroni: the worst of many is far off by chance
    scores = []
    for name in names:
        of_group = values[groups == name]
        score, bound = (_score(of_group, level, is_error) for level in (LEVEL, strict))
        # Of quantities, an interval of few rows holds for normal errors alone.
        is_far = bound.low > overall if is_error else bound.high < overall
        is_worse = is_far and (not is_error or len(of_group) >= FEW_ROWS)
        scores.append(GroupScore(name=str(name), rows=len(of_group), score=score, is_worse=is_worse))
    ranked = sorted(
        scores, key=lambda group: (-group.score.value if is_error else group.score.value, -group.rows)
    )
    return Subgroups(column=column, is_error=is_error, overall=overall, groups=tuple(ranked))


def _score(values: np.ndarray, level: float, is_error: bool) -> Figure:
    if is_error:
        figure = compute_mean(values, level)
        return replace(figure, low=max(0.0, figure.low))
    return compute_share(float(values.mean()), len(values), level)
