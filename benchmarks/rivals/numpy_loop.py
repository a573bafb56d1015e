"""numpy: the same step written out, updates in place."""

import numpy as np

from benchmarks.cells import Problem
from benchmarks.rivals import refuse_article


def gradients(
    parameters: list[np.ndarray], samples: np.ndarray, labels: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Mean cross-entropy of a batch, and its gradients by [W1, b1, W2, b2]."""
    w1, b1, w2, b2 = parameters
    hidden = samples @ w1
    hidden += b1
    np.maximum(hidden, 0, out=hidden)
    logits = hidden @ w2
    logits += b2
    logits -= logits.max(axis=1, keepdims=True)
    slope = np.exp(logits)
    total = slope.sum(axis=1, keepdims=True)
    each = np.arange(len(labels))
    loss = float(np.mean(np.log(total[:, 0]) - logits[each, labels]))
    slope /= total
    slope[each, labels] -= 1
    slope /= len(labels)
    back = slope @ w2.T
    back *= hidden > 0
    return loss, [samples.T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)]


class Loop:
    def __init__(self, problem: Problem, steps: int) -> None:
        refuse_article(problem.cell)
        self._problem, self._order = problem, problem.order[:steps]
        self._amounts = problem.adam
        self._update = self._sgd if problem.cell.optimizer == "sgd" else self._adam

    def reset(self) -> None:
        self._parameters = [array.copy() for array in self._problem.weights]
        self._means = [np.zeros_like(array) for array in self._parameters]
        self._squares = [np.zeros_like(array) for array in self._parameters]
        self._spare = [np.empty_like(array) for array in self._parameters]
        self._taken = 0

    def go(self) -> float:
        features, labels, total = self._problem.features, self._problem.labels, 0.0
        for rows in self._order:
            loss, slopes = gradients(self._parameters, features[rows], labels[rows])
            self._update(slopes)
            total += loss
        return total / len(self._order)

    def _sgd(self, slopes: list[np.ndarray]) -> None:
        for parameter, slope in zip(self._parameters, slopes, strict=True):
            slope *= self._problem.rate
            parameter -= slope

    def _adam(self, slopes: list[np.ndarray]) -> None:
        """`slope` and `spare` are scratch; constants stay Python floats, so that nothing becomes float64."""
        beta1, beta2, epsilon = self._amounts
        self._taken += 1
        stride = self._problem.rate * (1 - beta2**self._taken) ** 0.5 / (1 - beta1**self._taken)
        parts = (self._parameters, self._means, self._squares, self._spare, slopes)
        for parameter, mean, square, spare, slope in zip(*parts, strict=True):
            np.multiply(slope, 1 - beta1, out=spare)
            mean *= beta1
            mean += spare
            np.multiply(slope, slope, out=slope)
            slope *= 1 - beta2
            square *= beta2
            square += slope
            np.sqrt(square, out=spare)
            spare += epsilon
            np.divide(mean, spare, out=spare)
            spare *= stride
            parameter -= spare


CONTESTANTS = {"numpy": Loop}
