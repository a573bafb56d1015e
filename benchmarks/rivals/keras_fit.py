"""Keras `fit` on arrays: as it comes, and with the flags that make it fastest."""

from typing import Any

from benchmarks.cells import Problem
from benchmarks.rivals import refuse_article
from pipeline.backend import keras

AT_ONCE = 100
"""Steps in one execution with the best flags."""


class Fit:
    """Defaults: a step an execution, no XLA, shuffled by Keras itself."""

    flags: dict[str, Any] = {}  # noqa: RUF012
    shuffle = True

    def __init__(self, problem: Problem, steps: int) -> None:
        refuse_article(problem.cell)
        self._problem = problem
        rows = problem.order[:steps].ravel()  # gathered outside the clock, to Keras' advantage
        self._samples, self._labels = problem.features[rows], problem.labels[rows]
        dense = keras.layers.Dense
        self._model = keras.Sequential(
            [keras.Input((784,)), dense(problem.cell.hidden, "relu"), dense(10, name="logits")]
        )
        self._optimizer = self._make_optimizer()
        flags = dict(self.flags)
        if "steps_per_execution" in flags:
            flags["steps_per_execution"] = min(AT_ONCE, steps)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._model.compile(self._optimizer, loss, **flags)
        self._optimizer.build(self._model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]

    def _make_optimizer(self) -> Any:
        problem = self._problem
        if problem.cell.optimizer == "sgd":
            return keras.optimizers.SGD(problem.rate)
        return keras.optimizers.Adam(problem.rate, *problem.adam)

    def reset(self) -> None:
        self._model.set_weights(self._problem.weights)
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def go(self) -> float:
        size = self._problem.cell.batch
        told = self._model.fit(self._samples, self._labels, size, shuffle=self.shuffle, verbose=0)
        return float(told.history["loss"][0])


class BestFit(Fit):
    flags = {"jit_compile": True, "steps_per_execution": AT_ONCE}  # noqa: RUF012
    shuffle = False


CONTESTANTS = {"Keras fit": Fit, "Keras best": BestFit}
