"""A textbook's loop, as the article trains: one sample a step, column vectors, Python lists of layers.

Sigmoid outputs and summed binary cross-entropy, so that the output error is `answer - wanted`. Written for
this benchmark in the article's manner; numbers are float64, numpy's own default.
"""

import numpy as np

from benchmarks.cells import Problem
from benchmarks.rivals import Unfit


class Textbook:
    def __init__(self, problem: Problem, steps: int) -> None:
        if not problem.cell.article:
            raise Unfit("the article's loop trains the article's network only")
        self._problem, self._steps = problem, steps
        wanted = np.eye(10)[problem.labels]
        self._pairs = [
            (problem.features[row].astype(np.float64)[:, None], wanted[row][:, None])
            for row in problem.order[:steps, 0]
        ]

    def reset(self) -> None:
        w1, b1, w2, b2 = (array.astype(np.float64) for array in self._problem.weights)
        self._weights, self._biases = [w1.T.copy(), w2.T.copy()], [b1[:, None], b2[:, None]]

    def go(self) -> float:
        return sum(self._step(sample, wanted) for sample, wanted in self._pairs) / self._steps

    def _step(self, sample: np.ndarray, wanted: np.ndarray) -> float:
        answers = self._forward(sample)
        error = answers[-1] - wanted
        errors = [error]
        for layer in range(len(self._weights) - 1, 0, -1):
            error = np.dot(self._weights[layer].T, error) * (answers[layer] > 0)
            errors.insert(0, error)
        for layer, error in enumerate(errors):
            self._weights[layer] = self._weights[layer] - self._problem.rate * np.dot(error, answers[layer].T)
            self._biases[layer] = self._biases[layer] - self._problem.rate * error
        sure = np.clip(answers[-1], 1e-12, 1 - 1e-12)
        return -float(np.sum(wanted * np.log(sure) + (1 - wanted) * np.log(1 - sure)))

    def _forward(self, sample: np.ndarray) -> list[np.ndarray]:
        answers = [sample]
        for layer, (weights, biases) in enumerate(zip(self._weights, self._biases, strict=True)):
            summed = np.dot(weights, answers[-1]) + biases
            last = layer == len(self._weights) - 1
            answers.append(1 / (1 + np.exp(-summed)) if last else np.maximum(summed, 0))
        return answers


CONTESTANTS = {"article's loop": Textbook}
