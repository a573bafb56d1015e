"""Digits with JAX: an epoch is one compiled scan over the steps, compiled off the clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from sklearn.datasets import load_digits

from pipeline.trial import not_counted


@dataclass
class Settings:
    """What the command line and a search may set; epochs, seed and state are filled in."""

    width: int = 64
    lr: float = 0.3
    batch: int = 32
    epochs: int = 20
    seed: int = 0
    state: Any = None


def answer(parameters: Any, x: Any) -> Any:
    """Return the logits [n, 10] of samples [n, 64]."""
    w1, b1, w2, b2 = parameters
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def compute_loss(parameters: Any, x: Any, y: Any) -> Any:
    """Return the mean cross-entropy."""
    return -jnp.take_along_axis(jax.nn.log_softmax(answer(parameters, x)), y[:, None], 1).mean()


@jax.jit
def train_epoch(parameters: Any, batches: Any, lr: Any) -> Any:
    """Take a step of gradient descent for each batch."""

    def step(parameters: Any, batch: Any) -> tuple[Any, None]:
        gradients = jax.grad(compute_loss)(parameters, *batch)
        return jax.tree.map(lambda value, slope: value - lr * slope, parameters, gradients), None

    return jax.lax.scan(step, parameters, batches)[0]


def train(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the accuracy on the validation split after each epoch."""
    first, second = jax.random.split(jax.random.key(settings.seed))
    with not_counted():
        samples, labels = load_digits(return_X_y=True)
        order = jax.random.permutation(jax.random.key(0), len(samples))
        x, y = jnp.asarray(samples / 16, jnp.float32)[order], jnp.asarray(labels)[order]
        steps = 1000 // settings.batch
        shape = (64, settings.width), (settings.width, 10)
        parameters = [
            jax.random.normal(first, shape[0]) * 0.15,
            jnp.zeros(settings.width),
            jax.random.normal(second, shape[1]) * 0.15,
            jnp.zeros(10),
        ]

        def draw(epoch: int) -> Any:
            rows = jax.random.permutation(jax.random.key(1000 * settings.seed + epoch), 1000)
            rows = rows[: steps * settings.batch].reshape(steps, settings.batch)
            return x[rows], y[rows]

        train_epoch(parameters, draw(0), settings.lr)  # compiles
    done, parameters = settings.state or (0, parameters)
    for epoch in range(done, settings.epochs):
        parameters = train_epoch(parameters, draw(epoch), settings.lr)
        with not_counted():
            right = answer(parameters, x).argmax(1) == y
            scores = {"accuracy": right[1000:1397].mean(), "test_accuracy": right[1397:].mean()}
        yield {**scores, "state": (epoch + 1, parameters)}
