"""Labels that are probably wrong, by confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068).

It needs probabilities of models that have not seen the rows: a network's on the validation split, or those of
models that were cross-fitted on the training split. There, a linear model and the nearest rows are asked and
their probabilities averaged: what one of them alone gets wrong by its nature is not held against a label
(of clean handwritten digits, 1,797, the linear model alone doubts 27, both together 4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.formatting import format_count, shorten

FOLDS = 3
NEIGHBOURS = 10
MODELS, MODEL_OF_WORDS = "a linear model and the nearest rows", "naive Bayes"
"""What `cross_fit` asks."""
MOST_CLASSES = 100
MOST_NAMED = 20
LEARNT = 0.5
"""Of what guessing the largest class leaves wrong, the share that a model must have right to be asked."""
SURE = 0.7
"""The margin from which a model is sure: where classes overlap, as in most tables, it is seldom so sure of
what it has wrong."""
CLEAN = 0.02
"""The share of rows that models surely doubt although all labels are right (1.4 % of MNIST, else 0.2 %)."""
SURELY = 0.25
"""The share of what models have wrong that they are sure of, although the labels are right (of MNIST 0.12, of
overlapping classes up to 0.24); where 5 % of the labels are wrong, it is 0.31 of MNIST, more of others, but
less of overlapping classes."""
FEWEST = 5
"""Fewer are no more than chance."""
NEEDED_ROWS = 5
"""Of each class, to be cross-fitted."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Row `row` of a split (from 0), in the user's data at `location`, whose label is probably another one.

    `margin`: what the model gives to `suggested` more than to the label, in 0..1.
    """

    row: int
    location: str
    label: str
    suggested: str
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSuspects:
    """Labels of one split that are probably wrong: `count` of `rows`, the surest of them by name.

    `sure`: how many of these have a margin of `SURE` or more; `model`: what was asked; `accuracy`: how many
    of these rows it names as they are labelled, in 0..1.
    """

    split: str
    rows: int
    count: int
    sure: int
    model: str
    accuracy: float
    suspects: tuple[Suspect, ...]

    @property
    def is_telling(self) -> bool:
        """Return whether they are more than models of clean labels doubt."""
        least = max(CLEAN, SURELY * (1 - self.accuracy)) * self.rows
        return self.sure >= FEWEST and self.sure > least

    def __str__(self) -> str:
        first = self.suspects[0]
        label, suggested = shorten(first.label, 30), shorten(first.suggested, 30)
        return (
            f"{self.count:,} of {format_count(self.rows, 'label')} of the {self.split} split look wrong to "
            f"{self.model} ({first.location}: {label}, rather {suggested})"
        )


def find_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose labels are probably wrong, the surest first, and the class that each rather is.

    `probabilities`: [n, classes], of models that have not seen the row; `labels`: int [n].

    A row is confidently of a class whose probability reaches the mean that this class has among the rows
    labelled so. Where the likeliest of these classes is another one than the label, and the label is not the
    likeliest of all, the label is suspicious.
    """
    classes = probabilities.shape[1]
    is_there = np.bincount(labels, minlength=classes) > 0
    of_class = [probabilities[labels == number, number] for number in range(classes)]
    thresholds = np.array([rows.mean() if len(rows) else np.inf for rows in of_class])
    confident = probabilities >= np.maximum(thresholds, 1e-6) - 1e-6
    likeliest = np.where(confident & is_there, probabilities, -1.0).argmax(axis=1)
    wrong = confident.any(axis=1) & (likeliest != labels) & (probabilities.argmax(axis=1) != labels)
    rows = np.flatnonzero(wrong)
    margins = probabilities[rows, likeliest[rows]] - probabilities[rows, labels[rows]]
    order = rows[np.argsort(-margins, kind="stable")]
    return order, likeliest[order]


def knows_enough(probabilities: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether a model has half of that right which guessing the largest class leaves wrong."""
    if not len(labels):
        return False
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    guessing = float(np.bincount(labels).max() / len(labels))
    return guessing < 1 and (accuracy - guessing) / (1 - guessing) >= LEARNT


def list_suspects(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    *,
    split: str,
    model: str,
    rows: np.ndarray,
    name_place: Callable[[int], str],
) -> LabelSuspects | None:
    """List the labels that are probably wrong; None where there are none, or the model learnt too little.

    `rows`: positions in the split of the rows of `probabilities`; `name_place`: where such a row is in the
    user's data.
    """
    if not knows_enough(probabilities, labels):
        return None
    errors, suggested = find_label_errors(probabilities, labels)
    if not len(errors):
        return None
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    margins = probabilities[errors, suggested] - probabilities[errors, labels[errors]]
    named = [
        Suspect(
            row=int(rows[number]),
            location=name_place(int(rows[number])),
            label=classes[labels[number]],
            suggested=classes[suggestion],
            margin=float(margin),
        )
        for number, suggestion, margin in zip(errors[:MOST_NAMED], suggested, margins, strict=False)
    ]
    return LabelSuspects(
        split=split,
        rows=len(labels),
        count=len(errors),
        sure=int((margins >= SURE).sum()),
        model=model,
        accuracy=accuracy,
        suspects=tuple(named),
    )


def cross_fit(features: Any, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities [n, classes], of each row by models that were fitted without it.

    `features`: numbers [n, columns], or a sparse matrix of counts; two classes and more have rows, each has
    `NEEDED_ROWS`.
    Numbers are asked of a linear discriminant analysis with the shrinkage of Ledoit and Wolf (2004,
    doi 10.1016/S0047-259X(03)00096-4) and of the `NEIGHBOURS` nearest rows, counts of naive Bayes.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import StratifiedKFold
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier

    present, probabilities = np.unique(labels), np.zeros((len(labels), classes))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for fitted, asked in folds.split(np.zeros(len(labels)), labels):
        models: list[Any] = [MultinomialNB()]
        if isinstance(features, np.ndarray):
            linear = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
            models = [linear, KNeighborsClassifier(min(NEIGHBOURS, len(fitted)))]
        for model in models:
            model.fit(features[fitted], labels[fitted])
            probabilities[np.ix_(asked, present)] += model.predict_proba(features[asked]) / len(models)
    return probabilities
