"""Random numbers: even, repeatable, and the same from both compilers."""

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.training.random_streams import derive_seed, draw_uniform


def drawn(seed: int, use: int, step: int, *, xla: bool = False) -> np.ndarray:
    def draw(seed: Tensor, step: Tensor) -> Tensor:
        return draw_uniform([50, 40], derive_seed(seed, use, step))

    # As arguments: constants would be drawn while tracing, by the same code for both compilers.
    return tf.function(draw, jit_compile=xla)(
        tf.constant(seed, tf.int64), tf.constant(step, tf.int64)
    ).numpy()


def test_both_compilers_draw_the_same_numbers() -> None:
    np.testing.assert_array_equal(drawn(2**31 - 1, 1, 2**40, xla=True), drawn(2**31 - 1, 1, 2**40))


def test_numbers_are_even_in_the_unit_interval() -> None:
    found = drawn(0, 0, 0)
    assert found.dtype == np.float32
    assert 0 <= found.min() < 0.01
    assert 0.99 < found.max() < 1
    counts = np.histogram(found, 10, (0, 1))[0]
    assert np.abs(counts - 200).max() < 60  # 4.5 standard deviations


def test_seed_use_and_step_each_give_a_stream_of_their_own() -> None:
    streams = [drawn(*key) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)]]
    assert len({each.tobytes() for each in streams}) == 6
