"""What one core of this machine can do: matrix products and bandwidth, measured in the same run."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cells import BATCHES, INPUTS

BATCHES_OF_PRODUCTS = BATCHES[1:]  # a product with a single row is a pass over the matrix: bandwidth
SECONDS = 0.12
"""Of each measurement; the best call of it counts."""


@dataclass(frozen=True, slots=True)
class Product:
    """Operations a second of a product [rows, inner] x [inner, columns] and who reached them."""

    rows: int
    inner: int
    columns: int
    precision: str
    flops: float
    by: str


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bytes a second of a triad `y += a x` over two arrays of `array_bytes` each, and who reached them."""

    hidden: int
    array_bytes: int
    bytes_a_second: float
    by: str


@dataclass(frozen=True, slots=True)
class Ceilings:
    products: tuple[Product, ...]
    bandwidths: tuple[Bandwidth, ...]

    def gemm(self, hidden: int, precision: str) -> float:
        """The best rate over the shapes of a step with this width: a floor is no place for mercy."""
        fits = [
            each.flops
            for each in self.products
            if each.precision == precision and hidden in (each.rows, each.columns)
        ]
        return max(fits)

    def bandwidth(self, hidden: int) -> float:
        """With arrays as large as the first layer's weights."""
        return max(each.bytes_a_second for each in self.bandwidths if each.hidden == hidden)

    def with_other(self, other: "Ceilings") -> "Ceilings":
        """Two measurements; the accessors take the better one."""
        return Ceilings(self.products + other.products, self.bandwidths + other.bandwidths)


def shapes(hidden: int) -> list[tuple[int, int, int]]:
    """(rows, inner, columns) of the first layer's two products: forward, and the weights' gradients."""
    found = []
    for batch in BATCHES_OF_PRODUCTS:
        found += [(batch, INPUTS, hidden), (INPUTS, batch, hidden)]
    return found


def measure(widths: tuple[int, ...]) -> Ceilings:
    products = [product(*shape, kind) for hidden in widths for shape in shapes(hidden) for kind in _KINDS]
    return Ceilings(tuple(products), tuple(triad(hidden) for hidden in widths))


_KINDS = ("float32", "bfloat16")


def product(rows: int, inner: int, columns: int, precision: str) -> Product:
    """The best of numpy (float32 only) and TensorFlow."""
    from pipeline.backend import tf

    draw = np.random.default_rng(0)
    left = draw.standard_normal((rows, inner), np.float32)
    right = draw.standard_normal((inner, columns), np.float32)
    held = [tf.cast(tf.constant(side), precision) for side in (left, right)]
    found = [(best(lambda: tf.matmul(*held)), "TensorFlow")]
    if precision == "float32":
        out = np.empty((rows, columns), np.float32)
        found.append((best(lambda: np.matmul(left, right, out=out)), "numpy"))
    seconds, by = min(found)
    return Product(rows, inner, columns, precision, 2.0 * rows * inner * columns / seconds, by)


def triad(hidden: int) -> Bandwidth:
    """Arrays like the first layer's weights, so in the cache that those are in."""
    from scipy.linalg.blas import saxpy

    count = INPUTS * hidden
    x, y = np.full(count, 1e-3, np.float32), np.ones(count, np.float32)
    found = [
        (best(lambda: saxpy(x, y, a=1e-3)), "BLAS axpy"),
        (best(lambda: np.add(x, y, out=y)), "numpy"),
    ]
    seconds, by = min(found)
    return Bandwidth(hidden, x.nbytes, 3 * x.nbytes / seconds, by)


def best(run: Callable[[], Any]) -> float:
    """Seconds of the fastest call."""
    run()
    fastest, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest
