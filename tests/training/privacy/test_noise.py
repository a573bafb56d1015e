"""The noise on gradients: its size, its shape, and that no two parameters or steps share it."""

import numpy as np
import pytest
from scipy import stats

from pipeline.backend import tf
from pipeline.training.privacy.noise import PrivacyNumbers, add_noise, draw_normal

COUNT = 200_001


def test_numbers_are_standard_normal() -> None:
    drawn = draw_normal(COUNT, tf.constant([3, 4], tf.int64)).numpy()
    assert drawn.shape == (COUNT,)
    assert abs(drawn.std() - 1) < 4 / np.sqrt(2 * COUNT)
    assert stats.kstest(drawn, "norm").pvalue > 0.001
    assert abs(stats.skew(drawn)) < 4 * np.sqrt(6 / COUNT)
    assert abs(stats.kurtosis(drawn)) < 4 * np.sqrt(24 / COUNT)
    for bound in (1, 2, 3, 4):
        share = 2 * stats.norm.sf(bound)
        assert abs(np.mean(np.abs(drawn) > bound) - share) < 4 * np.sqrt(share / COUNT), bound
    halves = drawn[: COUNT // 2], drawn[COUNT // 2 : 2 * (COUNT // 2)]
    assert abs(np.corrcoef(*halves)[0, 1]) < 4 / np.sqrt(COUNT / 2)


@pytest.mark.parametrize("xla", [False, True])
def test_each_pair_is_that_of_box_and_muller(xla: bool) -> None:
    seed = tf.constant([5, 6], tf.int64)
    bits = tf.random.stateless_uniform([2, 5000], seed, None, None, tf.uint32, alg="philox").numpy()
    share = ((bits[0].astype(np.float32) + 0.5) * 2.0**-32).astype(np.float64)  # to 24 bits
    radius, angle = np.sqrt(-2 * np.log(share)), 2 * np.pi * 2.0**-32 * bits[1]
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    drawn = tf.function(lambda: draw_normal(9999, seed), jit_compile=xla)()
    np.testing.assert_allclose(drawn, expected[:-1], atol=2e-6)


def test_noise_has_the_deviation_that_the_account_counts_and_is_drawn_anew() -> None:
    clip, multiplier, batch = 0.5, 3.0, 8
    numbers = PrivacyNumbers(tf.constant(clip), tf.constant(multiplier), tf.constant(7, tf.int64))
    sums = [tf.zeros((100, 50)), tf.zeros(5000)]
    first, second = (add_noise(sums, numbers, tf.constant(step, tf.int64), batch) for step in (1, 2))
    drawn = np.stack([each.numpy().reshape(-1) for each in (*first, *second)])
    expected = clip * multiplier / batch
    np.testing.assert_allclose(drawn.std(axis=1), expected, rtol=0.05)
    assert np.abs(np.corrcoef(drawn) - np.eye(4)).max() < 0.07
    again = add_noise(sums, numbers, tf.constant(1, tf.int64), batch)
    np.testing.assert_array_equal(again[0], first[0])
    shifted = add_noise([total + batch for total in sums], numbers, tf.constant(1, tf.int64), batch)
    np.testing.assert_allclose(shifted[0], first[0] + 1, atol=1e-6)
