"""What a model answers, as columns of a table: the one place that decides what they are."""

import numpy as np

from pipeline.models.serving.description import ModelDescription

PREDICTION, PROBABILITY = "prediction", "probability_"
"""The column with the name of the likeliest class, and what stands before a class in the others.

The one column of a quantity is called so, too.
"""


def list_answer_columns(description: ModelDescription) -> dict[str, type]:
    """Return the columns of an answer and what is in them: `str` or `float`."""
    if not description.classes:
        return {PREDICTION: float}
    return {PREDICTION: str} | {f"{PROBABILITY}{name}": float for name in description.classes}


def make_answer(outputs: np.ndarray, description: ModelDescription) -> dict[str, np.ndarray]:
    """Return the columns of the answer to n samples. `outputs`: [n, classes], or of a quantity [n, 1]."""
    if not description.classes:
        return {PREDICTION: np.asarray(outputs[:, 0], np.float64)}
    names = np.array(description.classes, object)
    answer = {PREDICTION: names[outputs.argmax(axis=1)] if len(outputs) else names[:0]}
    columns = np.asarray(outputs, np.float64)
    return answer | {
        f"{PROBABILITY}{name}": columns[:, number] for number, name in enumerate(description.classes)
    }


def average_excerpts(outputs: np.ndarray, excerpts: np.ndarray | None) -> np.ndarray:
    """Return the mean output of each sample over its excerpts.

    `outputs`: [rows, classes]; `excerpts`: how many rows, one after the other, each sample has; None: one.
    """
    if excerpts is None or not len(excerpts):
        return outputs
    starts = np.concatenate([[0], np.cumsum(excerpts)[:-1]])
    means: np.ndarray = np.add.reduceat(outputs, starts, axis=0) / np.asarray(excerpts)[:, None]
    return means
