"""JAX: the text model's epoch as one jitted scan; the CNN step by step, as a scan is far slower there."""

from typing import Any

from benchmarks.rivals import jax_scan  # sets one thread before the import of jax

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip

from benchmarks.network_cells import NetworkProblem  # isort: skip


def compute_cnn(weights: Any, images: Any) -> Any:
    for kernel, bias in (weights[0:2], weights[2:4]):
        images = jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        images = jnp.maximum(images + bias, 0)
        images = jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
    flat = images.reshape(len(images), -1)
    return jnp.maximum(flat @ weights[4] + weights[5], 0) @ weights[6] + weights[7]


def compute_text(weights: Any, numbers: Any) -> Any:
    is_word = (numbers != 0)[..., None].astype(jnp.float32)
    words = weights[0][numbers] * is_word
    mean = words.sum(1) / jnp.maximum(is_word.sum(1), 1)
    return jnp.concatenate([mean, words.max(1)], -1) @ weights[1] + weights[2]


class Epoch:
    def __init__(self, problem: NetworkProblem, steps: int) -> None:
        self._problem, self._by_scan = problem, problem.cell.kind == "text"
        self._features, self._labels = jnp.asarray(problem.features), jnp.asarray(problem.labels)
        self._order = jnp.asarray(problem.order[:steps])
        compute = compute_text if self._by_scan else compute_cnn

        def find_loss(weights: Any, samples: Any, labels: Any) -> Any:
            shares = jax.nn.log_softmax(compute(weights, samples))
            return -jnp.take_along_axis(shares, labels[:, None], 1).mean()

        def step(state: Any, rows: Any, features: Any, labels: Any) -> Any:
            loss, gradients = jax.value_and_grad(find_loss)(state[0], features[rows], labels[rows])
            return jax_scan.adam(problem.rate, (0.9, 0.999, 1e-7), *state, gradients), loss

        def epoch(state: Any, order: Any, features: Any, labels: Any) -> Any:
            state, losses = jax.lax.scan(
                lambda state, rows: step(state, rows, features, labels), state, order
            )
            return state, losses.mean()

        self._run = jax.jit(epoch if self._by_scan else step, donate_argnums=(0,))

    def reset(self) -> None:
        weights = [jnp.array(array) for array in self._problem.weights]
        means, squares = ([jnp.zeros_like(each) for each in weights] for _ in range(2))
        self._state = (weights, (jnp.zeros(()), means, squares))
        jax.block_until_ready(self._state)

    def go(self) -> float:
        data = self._features, self._labels
        if self._by_scan:
            return float(self._run(self._state, self._order, *data)[1])
        losses = []
        for rows in self._order:
            self._state, loss = self._run(self._state, rows, *data)
            losses.append(loss)
        return float(jnp.stack(losses).mean())


CONTESTANTS = {"JAX": Epoch}
