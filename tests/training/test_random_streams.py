"""Random numbers: even, repeatable, and the same from both compilers."""

from itertools import combinations

import numpy as np
import pytest

from pipeline.backend import Tensor, tf
from pipeline.models import keras_models
from pipeline.training.random_streams import (
    derive_seed,
    draw_bits,
    draw_mask,
    draw_uniform,
    find_dropout_layers,
)
from tests.support import tiny


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


def bits(seed: int, use: int, step: int, count: int = 1 << 16) -> np.ndarray:
    """Return uint8 [count, 32] of zeros and ones."""
    key = derive_seed(tf.constant(seed, tf.int64), use, tf.constant(step, tf.int64))
    return np.unpackbits(draw_bits(count, key).numpy().view(np.uint8)).reshape(count, 32)


def test_bits_are_even_and_tell_nothing_of_each_other() -> None:
    """Each bit, each pair of bits of a number, neighbours at many distances, and two steps."""
    found = bits(3, 1, 7).astype(float) * 2 - 1
    bound = 5 / np.sqrt(len(found))  # standard deviations of a mean of so many signs
    assert np.abs(found.mean(0)).max() < bound
    pairs = found.T @ found / len(found) - np.eye(32)
    assert np.abs(pairs).max() < bound
    for distance in (1, 2, 3, 4, 8, 64, 500, 784, 1024, 4096):
        ahead = found[distance:].T @ found[:-distance] / (len(found) - distance)
        assert np.abs(ahead).max() < 1.1 * bound, distance
    for other in (bits(3, 1, 8), bits(3, 2, 7), bits(4, 1, 7)):
        assert np.abs(found.T @ (other * 2.0 - 1) / len(found)).max() < bound


def test_the_sequence_of_one_step_is_not_that_of_another_shifted() -> None:
    numbers = [np.packbits(bits(0, 1, step), axis=1).view(np.uint32).ravel() for step in range(4)]
    assert all(len(np.unique(each)) > 0.99 * len(each) for each in numbers)
    common = [np.intersect1d(one, other).size for one, other in combinations(numbers, 2)]
    assert max(common) < 20  # one is expected by chance


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("xla", [False, True])
def test_a_mask_keeps_the_mean(share: float, xla: bool) -> None:
    def draw(seed: Tensor) -> Tensor:
        return draw_mask([300, 200], tf.constant(share), derive_seed(seed, 1, seed), tf.float32)

    mask = tf.function(draw, jit_compile=xla)(tf.constant(5, tf.int64)).numpy()
    kept = mask[mask > 0]
    deviation = np.sqrt(share * (1 - share) / mask.size)
    assert abs(1 - len(kept) / mask.size - share) < 5 * deviation
    np.testing.assert_allclose(kept, 1 / (1 - share), rtol=1e-4)
    assert np.abs((mask > 0).mean(0) - (1 - share)).max() < 6 * np.sqrt(share * (1 - share) / 300)


def test_masks_are_the_same_from_both_compilers() -> None:
    def draw(share: Tensor) -> Tensor:
        return draw_mask([31, 7], share, derive_seed(tf.constant(1, tf.int64), 2, share), tf.bfloat16)

    masks = [tf.function(draw, jit_compile=xla)(tf.constant(0.4)).numpy() for xla in (False, True)]
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize(("name", "count"), [("dropout_in_a_cell", 0), ("drops_few", 1)])
def test_masks_within_a_loop_are_those_of_keras(name: str, count: int) -> None:
    """Ours are of a step of training: each step of a sequence would have the same one."""
    settings = tiny.told(f"model=custom model.build=tests.support.odd_models:{name}")
    network = keras_models.build_network(settings, tiny.prepared(shape=(6, 5)))
    assert len(find_dropout_layers(network)) == count
