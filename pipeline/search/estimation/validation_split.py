"""The rows that accuracies are counted on, and how much of an accuracy may be luck. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.models.scores import measure_classes
from pipeline.settings.searching.measures import ACCURACY_MEASURE, BY_CLASS, BY_ORDER, Measure


def _count_rows_of_order(counts: np.ndarray) -> int:
    """Return how many rows a share would need to be as sure as an AUC of classes with `counts` rows each.

    The variance of an area A is at most A (1 - A) / the smaller number of rows, of the class or of the others
    (Birnbaum and Klose 1957, doi 10.1214/aoms/1177706794); that of a mean at most their mean.
    """
    smaller = np.minimum(counts, counts.sum() - counts)
    return max(1, round(len(counts) / float((1 / np.maximum(smaller, 1)).sum())))


@dataclass(frozen=True, slots=True)
class ValidationSplit:
    """The rows that accuracies are counted on: how many they are, and the share 0..1 of the largest class.

    Of a mean over the classes or an order of the rows: how many rows a share would need to be as sure, and
    the value that guessing has.
    """

    rows: int
    majority_share: float

    @classmethod
    def count(cls, labels: np.ndarray, measure: Measure = ACCURACY_MEASURE) -> "ValidationSplit":
        """Count the rows of a split and of its largest class.

        `labels`: numbers of classes [n], n > 0; or quantities as floats, of which guessing explains nothing.
        """
        if labels.dtype.kind == "f":
            return cls(len(labels), 0.0)
        there = np.bincount(np.asarray(labels))
        if measure.name in BY_ORDER:
            return cls(_count_rows_of_order(there[there > 0]), 0.5)
        if measure.name in BY_CLASS:
            is_largest = np.arange(len(there)) == there.argmax()
            right, named = np.where(is_largest, there, 0), np.where(is_largest, len(labels), 0)
            of_classes = there[there > 0]
            rows = len(of_classes) ** 2 / float((1 / of_classes).sum())
            return cls(max(1, round(rows)), measure_classes(right, named, there, measure.name))
        return cls(len(labels), float(there.max() / len(labels)))

    @classmethod
    def read(cls, values: Mapping[str, object] | None) -> "ValidationSplit | None":
        """Read what `to_dict` wrote; None where nothing was, as in studies of earlier releases."""
        if not values:
            return None
        return cls(int(str(values["rows"])), float(str(values["majority_share"])))

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain values."""
        return asdict(self)

    def compute_chance_level(self, measure: Measure = ACCURACY_MEASURE) -> float:
        """Compute the largest accuracy that does not differ from guessing (see `Measure.guess`)."""
        return measure.compute_chance_level(self.majority_share, self.rows)
