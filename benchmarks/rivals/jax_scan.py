"""JAX: the whole epoch as one jitted `lax.scan`, gradients by `value_and_grad`, the optimizer by hand."""

import os
from functools import partial
from typing import Any

# Before the import: one thread for XLA's own pool, and the option that ours has (pipeline/backend.py).
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false "
    "--xla_backend_extra_options=-unroll-full-max-count=32"
).strip()
os.environ["NPROC"] = "1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp

from benchmarks.cells import Problem
from benchmarks.rivals import refuse_article


def loss_of(parameters: Any, samples: Any, labels: Any) -> Any:
    w1, b1, w2, b2 = parameters
    logits = jnp.maximum(samples @ w1 + b1, 0) @ w2 + b2
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def sgd(rate: float, parameters: Any, memory: Any, gradients: Any) -> Any:
    return [p - rate * g for p, g in zip(parameters, gradients, strict=True)], memory


def adam(
    rate: float, amounts: tuple[float, float, float], parameters: Any, memory: Any, gradients: Any
) -> Any:
    beta1, beta2, epsilon = amounts
    step, means, squares = memory
    step = step + 1
    stride = rate * jnp.sqrt(1 - beta2**step) / (1 - beta1**step)
    means = [m + (g - m) * (1 - beta1) for m, g in zip(means, gradients, strict=True)]
    squares = [s + (g * g - s) * (1 - beta2) for s, g in zip(squares, gradients, strict=True)]
    moved = [
        p - stride * m / (jnp.sqrt(s) + epsilon) for p, m, s in zip(parameters, means, squares, strict=True)
    ]
    return moved, (step, means, squares)


class Scan:
    def __init__(self, problem: Problem, steps: int) -> None:
        refuse_article(problem.cell)
        self._problem = problem
        self._features, self._labels = jnp.asarray(problem.features), jnp.asarray(problem.labels)
        self._order = jnp.asarray(problem.order[:steps])
        plain = problem.cell.optimizer == "sgd"
        update = partial(sgd, problem.rate) if plain else partial(adam, problem.rate, problem.adam)

        def epoch(features: Any, labels: Any, order: Any, parameters: Any, memory: Any) -> Any:
            def step(state: Any, rows: Any) -> Any:
                loss, gradients = jax.value_and_grad(loss_of)(state[0], features[rows], labels[rows])
                return update(*state, gradients), loss

            state, losses = jax.lax.scan(step, (parameters, memory), order)
            return state, losses.mean()

        self._epoch = jax.jit(epoch, donate_argnums=(3, 4))

    def reset(self) -> None:
        self._parameters = [jnp.array(array) for array in self._problem.weights]
        self._memory = (
            jnp.zeros(()),
            [jnp.zeros_like(each) for each in self._parameters],
            [jnp.zeros_like(each) for each in self._parameters],
        )
        jax.block_until_ready((self._parameters, self._memory))

    def go(self) -> float:
        _, loss = self._epoch(self._features, self._labels, self._order, self._parameters, self._memory)
        return float(loss)


CONTESTANTS = {"JAX scan": Scan}
