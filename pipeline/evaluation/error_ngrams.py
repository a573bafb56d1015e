"""N-grams that stand out in the texts that a model got wrong."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.data.features import Counts, FrontEnd, Tokens
from pipeline.data.prepared import Split
from pipeline.data.samples import split_into_portions

MIN_TEXTS = 5
"""An n-gram is judged where at least so many texts hold it."""


@dataclass(frozen=True, slots=True)
class ErrorNgram:
    """An n-gram of the test split: texts that hold it, how many of them went wrong, and how unlikely that is.

    `score`: standard deviations above what the model's whole error rate leads one to expect.
    """

    ngram: str
    texts: int
    wrong: int
    score: float


def find_error_ngrams(
    front: FrontEnd | None, test: Split, wrong: tuple[int, ...], limit: int
) -> tuple[ErrorNgram, ...]:
    """Find the n-grams with the highest scores, at most `limit`; none where the samples are no texts.

    Score: (k - n p) / sqrt(n p (1 - p)) with k wrong among n texts and p the share of all that are wrong,
    the normal approximation of a binomial test.
    """
    if not isinstance(front, Counts | Tokens) or not wrong or len(wrong) == len(test):
        return ()
    names = ["", *front.vocabulary] if isinstance(front, Counts) else ["", "", *front.vocabulary]
    missed = np.zeros(len(test), bool)
    missed[list(wrong)] = True
    texts_with, wrong_with = np.zeros(len(names)), np.zeros(len(names))
    for rows in split_into_portions(len(test), len(names)):
        present = _find_present(front, np.asarray(test.features[rows]), len(names))
        texts_with += present.sum(axis=0)
        wrong_with += present[missed[rows]].sum(axis=0)
    share = len(wrong) / len(test)
    enough = (texts_with >= MIN_TEXTS) & np.array([bool(name) for name in names])
    spread = np.sqrt(np.maximum(texts_with, 1) * share * (1 - share))
    scores = np.where(enough, (wrong_with - texts_with * share) / spread, -math.inf)
    best = [index for index in np.argsort(-scores, kind="stable")[:limit] if scores[index] > 0]
    return tuple(
        ErrorNgram(names[index], int(texts_with[index]), int(wrong_with[index]), float(scores[index]))
        for index in best
    )


def _find_present(front: FrontEnd, features: np.ndarray, ngrams: int) -> np.ndarray:
    """Return which n-gram is in which text, bool [texts, ngrams]."""
    if isinstance(front, Counts):
        return np.asarray(features > 0)
    present = np.zeros((len(features), ngrams), bool)
    np.put_along_axis(present, features.astype(np.int64), True, axis=1)
    present[:, 0] = False
    return present
