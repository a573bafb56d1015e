"""Answers of a trained model for new data, batch by batch, and what they add up to."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.data.quality.columns import measure_columns
from pipeline.data.quality.drift import DriftCounter
from pipeline.data.readers.quantities import parse_quantity
from pipeline.models.serving.answers import PREDICTION, average_excerpts, list_answer_columns, make_answer
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewData

LABEL = "label"
"""The column of labels, where the new data have some."""


@dataclass(slots=True, kw_only=True)
class PredictionCounts:
    """What was predicted, counted on the way.

    `labelled`: samples whose label is a class of the model, or where it answers a quantity a number;
    `unknown`: other labels. `low`, `high`: of quantities; `squares`: of their errors, added up; `drift`: of
    the samples from training, None where the model does not know what training had.
    """

    samples: int = 0
    labelled: int = 0
    right: int = 0
    predictions: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    low: float = math.inf
    high: float = -math.inf
    squares: float = 0.0
    drift: DriftCounter | None = None

    @property
    def accuracy(self) -> float | None:
        """Return the share of the labelled samples that is right; None without labels."""
        return self.right / self.labelled if self.labelled and self.predictions else None

    @property
    def rmse(self) -> float | None:
        """Return the root of the mean squared error of quantities, in their unit; None without labels."""
        return math.sqrt(self.squares / self.labelled) if self.labelled and not self.predictions else None


def list_columns(new: NewData, description: ModelDescription) -> dict[str, type]:
    """Return the columns of the file of predictions, and what is in them."""
    names: dict[str, type] = {new.name: str if new.name == "file" else int}
    return names | ({LABEL: str} if new.has_labels else {}) | list_answer_columns(description)


def predict_all(
    model: Callable[[Any], np.ndarray], new: NewData, description: ModelDescription, counts: PredictionCounts
) -> Iterator[dict[str, Any]]:
    """Yield the answers to each batch of new data, by column; add them up in `counts`.

    `model`: samples -> outputs float32 [rows, classes].
    """
    for batch in new.batches:
        if counts.drift is not None and len(batch.names):
            counts.drift.add(measure_columns(batch.request.samples, description.front))
        outputs = average_excerpts(model(batch.request.samples), batch.request.excerpts)
        answer = make_answer(outputs, description)
        labels = list(batch.labels) if batch.labels is not None else [""] * len(batch.names)
        count = _count if description.classes else _measure
        count(answer[PREDICTION], labels, description, counts)
        yield {new.name: list(batch.names)} | ({LABEL: labels} if new.has_labels else {}) | answer


def _count(
    predictions: np.ndarray, labels: list[str], description: ModelDescription, counts: PredictionCounts
) -> None:
    known = set(description.classes)
    counts.samples += len(predictions)
    counts.predictions.update(predictions.tolist())
    counts.unknown.update(label for label in labels if label and label not in known)
    pairs = [pair for pair in zip(predictions, labels, strict=True) if pair[1] in known]
    counts.labelled += len(pairs)
    counts.right += sum(prediction == label for prediction, label in pairs)


def _measure(
    predictions: np.ndarray, labels: list[str], _description: ModelDescription, counts: PredictionCounts
) -> None:
    counts.samples += len(predictions)
    if len(predictions):
        counts.low = min(counts.low, float(predictions.min()))
        counts.high = max(counts.high, float(predictions.max()))
    for prediction, label in zip(predictions, labels, strict=True):
        number = parse_quantity(label)
        if number is not None:
            counts.labelled += 1
            counts.squares += (float(prediction) - number) ** 2
        elif label:
            counts.unknown[label] += 1
