"""PyTorch and JAX as their guides write a training loop, all data on the device, for `benchmarks.gpu`."""

import time
from typing import Any

import numpy as np

BATCH, HIDDEN, FILTERS, CLASSES = 128, 500, 16, 10
RATE = 1e-3


def _draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (rows, 28, 28), np.uint8).astype(np.float32) / 255
    return pixels, np.arange(rows) % CLASSES


def train_torch(network: str, rows: int, epochs: int, device: str) -> dict[str, Any]:
    """Eager PyTorch; seconds of each epoch."""
    import torch
    from torch import nn

    if device == "gpu" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no GPU")
    place = torch.device("cuda" if device == "gpu" else "cpu")
    if network == "perceptron":
        layers = [nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES)]
    else:
        layers = [nn.Conv2d(1, FILTERS, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        layers.append(nn.Linear(FILTERS * 13 * 13, CLASSES))
    model = nn.Sequential(*layers).to(place)
    pixels, labels = _draw(rows)
    samples = torch.from_numpy(pixels)[:, None].to(place)
    targets = torch.from_numpy(labels).to(place)
    optimizer, loss = torch.optim.Adam(model.parameters(), RATE), nn.CrossEntropyLoss()

    def wait() -> None:
        if device == "gpu":
            torch.cuda.synchronize()

    seconds = []
    for _ in range(epochs):
        wait()
        start = time.perf_counter()
        for batch in torch.randperm(rows, device=place).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss(model(samples[batch]), targets[batch]).backward()
            optimizer.step()
        wait()
        seconds.append(time.perf_counter() - start)
    name = torch.cuda.get_device_name() if device == "gpu" else "CPU"
    return {"epochs": seconds, "device": name, "how": f"torch {torch.__version__}, eager"}


def train_jax(network: str, rows: int, epochs: int, device: str) -> dict[str, Any]:
    """An epoch as one compiled scan in JAX, Adam written out; seconds of each epoch."""
    import jax
    import jax.numpy as jnp

    place = jax.devices("gpu" if device == "gpu" else "cpu")[0]
    pixels, labels = _draw(rows)
    samples = jax.device_put(pixels[..., None], place)
    targets = jax.device_put(labels, place)
    draw = np.random.default_rng(1)

    def start_weights(*shape: int) -> Any:
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        return jax.device_put((draw.normal(size=shape) * scale).astype(np.float32), place)

    is_perceptron = network == "perceptron"
    first = start_weights(784, HIDDEN) if is_perceptron else start_weights(3, 3, 1, FILTERS)
    width = HIDDEN if is_perceptron else FILTERS * 13 * 13
    weights = [first, jnp.zeros(first.shape[-1]), start_weights(width, CLASSES), jnp.zeros(CLASSES)]

    def loss(weights: list[Any], batch: Any, answers: Any) -> Any:
        if is_perceptron:
            hidden = jax.nn.relu(batch.reshape(len(batch), -1) @ weights[0] + weights[1])
        else:
            form = ("NHWC", "HWIO", "NHWC")
            hidden = jax.lax.conv_general_dilated(batch, weights[0], (1, 1), "VALID", dimension_numbers=form)
            hidden = jax.nn.relu(hidden + weights[1])
            hidden = jax.lax.reduce_window(
                hidden, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
            ).reshape(len(batch), -1)
        scores = jax.nn.log_softmax(hidden @ weights[2] + weights[3])
        return -jnp.take_along_axis(scores, answers[:, None], 1).mean()

    def step(state: Any, chosen: Any) -> Any:
        weights, means, squares, count = state
        slopes = jax.grad(loss)(weights, samples[chosen], targets[chosen])
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, slopes, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, slopes, strict=True)]
        rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weights = [
            w - rate * m / (jnp.sqrt(s) + 1e-8) for w, m, s in zip(weights, means, squares, strict=True)
        ]
        return (weights, means, squares, count), None

    @jax.jit
    def train_epoch(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, rows).reshape(-1, BATCH)
        return jax.lax.scan(step, state, order)[0]

    zeros = [jnp.zeros_like(each) for each in weights]
    state, seconds = (weights, zeros, zeros, jnp.float32(0)), []
    with jax.default_device(place):
        for number in range(epochs):
            start = time.perf_counter()
            state = jax.block_until_ready(train_epoch(state, jax.random.key(number)))
            seconds.append(time.perf_counter() - start)
    return {"epochs": seconds, "device": place.device_kind, "how": f"jax {jax.__version__}, scan"}


RIVALS = {"pytorch": train_torch, "jax": train_jax}
