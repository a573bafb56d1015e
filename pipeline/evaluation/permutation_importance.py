"""Permutation importance: what a model's score loses when one column of a table is shuffled (Breiman 2001).

It is measured on the validation split, which may choose; doi 10.1023/A:1010933404324, for any model Fisher,
Rudin and Dominici 2019 (JMLR 20, 177). Columns that say the same stand in for each other: each seems to
matter little then, although all of them together matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Table, draw_evenly
from pipeline.models.scores import score_answers

REPEATS = 5
MOST_ROWS, MOST_COLUMNS = 2000, 100
"""The bound: so many rows are answered for each of so many columns, `REPEATS` times."""


@dataclass(frozen=True, slots=True)
class ColumnImportance:
    """What the measure of the task loses with the column shuffled: mean and deviation over the shuffles."""

    name: str
    loss: float
    deviation: float


def measure_importances(
    predict: Callable[[Any], np.ndarray], prepared: Prepared, measure: str = "accuracy"
) -> tuple[ColumnImportance, ...]:
    """Measure the columns of a table, the most important first; nothing for what is no table.

    `predict`: columns of n rows -> outputs [n, classes], or quantities [n, 1]; `measure`: what is maximised,
    by its name in `models.scores`: accuracy says nothing of a rare class. Of quantities it is R2.
    """
    split = prepared.validation
    if not isinstance(split.samples, Table) or len(split) < 2:
        return ()
    rows = draw_evenly(len(split), MOST_ROWS)
    batch, labels = split.samples[rows], np.asarray(split.labels)[rows]

    whole = score_answers(predict(batch), labels, measure)
    orders = [np.random.default_rng([0, repeat]).permutation(len(rows)) for repeat in range(REPEATS)]
    measured = []
    for name, column in list(batch.items())[:MOST_COLUMNS]:
        shuffled = ({**batch, name: column[order]} for order in orders)
        losses = [whole - score_answers(predict(some), labels, measure) for some in shuffled]
        measured.append(ColumnImportance(name, float(np.mean(losses)), float(np.std(losses, ddof=1))))
    return tuple(sorted(measured, key=lambda column: -column.loss))
