"""What lies behind the scores of a model: important columns, subgroups, labels that are probably wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.data.group_column import read_groups
from pipeline.data.prepared import Prepared
from pipeline.data.quality.columns import MOST_MEASURED, pick_rows
from pipeline.data.quality.label_errors import LabelSuspects, list_suspects
from pipeline.evaluation.permutation_importance import ColumnImportance, measure_importances
from pipeline.evaluation.subgroups import Subgroups, score_group_errors, score_groups
from pipeline.settings.settings import Settings

FEW_ROWS = 20
"""Fewer validation rows are too few for a threshold by class."""
MODEL = "the trained network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What lies behind the scores. `importances`: the columns of a table, the most important first.

    `subgroups`: of the test split, where `evaluate.groups` names a column; `suspects`: labels of the
    validation split that are probably wrong, None where there are none or the network learnt too little.
    """

    importances: tuple[ColumnImportance, ...] = ()
    subgroups: Subgroups | None = None
    suspects: LabelSuspects | None = None


def check_groups(prepared: Prepared, settings: Settings) -> None:
    """Check that `evaluate.groups` names a column of the data.

    Raises:
        BadInput: it does not.
    """
    if settings.evaluate.groups is not None:
        read_groups(settings.data, settings.evaluate.groups, prepared.test)


def inspect_model(predict: Callable[[Any], np.ndarray], prepared: Prepared, settings: Settings) -> Inspection:
    """Look behind the scores of a model, which `predict` asks: samples [n] -> outputs [n, classes] or [n, 1].

    Raises:
        BadInput: as `check_groups`.
    """
    return Inspection(
        importances=measure_importances(predict, prepared, settings.measure.name),
        subgroups=_score_subgroups(predict, prepared, settings),
        suspects=_find_suspects(predict, prepared),
    )


def _score_subgroups(
    predict: Callable[[Any], np.ndarray], prepared: Prepared, settings: Settings
) -> Subgroups | None:
    column, test = settings.evaluate.groups, prepared.test
    if column is None:
        return None
    groups, outputs = read_groups(settings.data, column, test), predict(test.samples)
    if prepared.target is None:
        return score_groups(column, groups, outputs.argmax(axis=1) == np.asarray(test.labels))
    return score_group_errors(column, groups, outputs[:, 0].astype(np.float64) - np.asarray(test.labels))


def _find_suspects(predict: Callable[[Any], np.ndarray], prepared: Prepared) -> LabelSuspects | None:
    split = prepared.validation
    if prepared.target is not None or len(split) < FEW_ROWS or len(prepared.classes) < 2:
        return None
    rows = pick_rows(split, MOST_MEASURED)
    outputs = predict(split.samples[rows]).astype(np.float64)
    sums = np.maximum(outputs.sum(axis=1, keepdims=True), 1e-12)  # of sigmoids, which need not add up to 1
    return list_suspects(
        outputs / sums,
        np.asarray(split.labels)[rows].astype(np.int64),
        prepared.classes,
        split="validation",
        model=MODEL,
        rows=rows,
        name_place=split.name_place,
    )
