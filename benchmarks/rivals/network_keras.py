"""Keras `fit` on the same networks: as it comes, and with many steps in an execution."""

from typing import Any

from benchmarks.network_cells import LENGTH, WORDS, NetworkProblem
from pipeline.backend import keras

AT_ONCE = 100


def build_cnn(shape: tuple[int, ...], classes: int, _settings: Any) -> Any:
    """Return the layers of the product's default CNN, as a user would write them."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(64, "relu"),
            layers.Dense(classes),
        ]
    )


def build_text() -> Any:
    inputs = keras.Input((LENGTH,))
    words = keras.layers.Embedding(WORDS, 64)(inputs)
    is_word = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(inputs, 0), -1), "float32")
    words = words * is_word
    mean = keras.ops.sum(words, 1) / keras.ops.maximum(keras.ops.sum(is_word, 1), 1)
    both = keras.ops.concatenate([mean, keras.ops.max(words, 1)], -1)
    return keras.Model(inputs, keras.layers.Dense(2)(both))


class Fit:
    """Defaults: a step an execution."""

    at_once = 1

    def __init__(self, problem: NetworkProblem, steps: int) -> None:
        self._problem, self._steps = problem, steps
        rows = problem.order[:steps].ravel()  # gathered outside the clock, to Keras' advantage
        self._samples, self._labels = problem.features[rows], problem.labels[rows]
        self._model = build_cnn((28, 28, 1), 10, None) if problem.cell.kind == "cnn" else build_text()
        self._optimizer = keras.optimizers.Adam(problem.rate)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._model.compile(
            self._optimizer, loss, jit_compile=False, steps_per_execution=min(self.at_once, steps)
        )
        self._optimizer.build(self._model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]

    def reset(self) -> None:
        self._model.set_weights(self._problem.weights)
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def go(self) -> float:
        size = self._problem.cell.batch
        told = self._model.fit(self._samples, self._labels, size, shuffle=False, verbose=0)
        return float(told.history["loss"][0])


class ManyAtOnce(Fit):
    at_once = AT_ONCE


CONTESTANTS = {"Keras fit": Fit, "Keras fit, 100 steps an execution": ManyAtOnce}
