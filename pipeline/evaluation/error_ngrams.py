"""Which words stand out in the texts that a model got wrong."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.data.features import Counts, Front, Tokens
from pipeline.data.prepared import Split
from pipeline.data.samples import split_into_portions

FEWEST_TEXTS = 5
"""Texts that must hold an n-gram before it says anything."""


@dataclass(frozen=True, slots=True)
class Telling:
    """An n-gram of the test split: texts that hold it, how many of them went wrong, and how unlikely that is.

    `score`: standard deviations above what the model's whole error rate leads one to expect.
    """

    ngram: str
    texts: int
    wrong: int
    score: float


def telling(front: Front | None, test: Split, wrong: tuple[int, ...], most: int) -> tuple[Telling, ...]:
    """The n-grams with the highest scores, at most `most`; none where the samples are no texts.

    Score: (k - n p) / sqrt(n p (1 - p)) with k wrong among n texts and p the share of all that are wrong,
    the normal approximation of a binomial test.
    """
    if not isinstance(front, Counts | Tokens) or not wrong or len(wrong) == len(test):
        return ()
    names = ["", *front.vocabulary] if isinstance(front, Counts) else ["", "", *front.vocabulary]
    missed = np.zeros(len(test), bool)
    missed[list(wrong)] = True
    with_it, and_wrong = np.zeros(len(names)), np.zeros(len(names))
    for part in split_into_portions(len(test), len(names)):
        present = _present(front, np.asarray(test.features[part]), len(names))
        with_it += present.sum(axis=0)
        and_wrong += present[missed[part]].sum(axis=0)
    share = len(wrong) / len(test)
    enough = (with_it >= FEWEST_TEXTS) & np.array([bool(name) for name in names])
    spread = np.sqrt(np.maximum(with_it, 1) * share * (1 - share))
    scores = np.where(enough, (and_wrong - with_it * share) / spread, -math.inf)
    best = [place for place in np.argsort(-scores, kind="stable")[:most] if scores[place] > 0]
    return tuple(
        Telling(names[place], int(with_it[place]), int(and_wrong[place]), float(scores[place]))
        for place in best
    )


def _present(front: Front, features: np.ndarray, places: int) -> np.ndarray:
    """Which n-gram is in which text, bool [texts, places]."""
    if isinstance(front, Counts):
        return np.asarray(features > 0)
    present = np.zeros((len(features), places), bool)
    np.put_along_axis(present, features.astype(np.int64), True, axis=1)
    present[:, 0] = False
    return present
