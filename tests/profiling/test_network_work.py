"""Counts of a step of a Keras network against counts by hand."""

import pytest

from pipeline.backend import keras
from pipeline.profiling.network_work import count_network_work
from pipeline.profiling.roofline import count_step_work
from pipeline.training.optimizers.adam import AdamRule
from pipeline.training.optimizers.sgd import SgdRule

PLAIN = SgdRule(False, False)


def test_a_convolution_is_counted_at_each_place() -> None:
    """5 x 4 pixels, two filters of 3 x 3, pooled to 2 x 2, three classes; batch 6, samples as bytes."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 4, 1)),
            layers.Conv2D(2, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    work = count_network_work(model, 6, PLAIN, narrow=4, wide=4, sample=1)
    assert work is not None
    convolved, dense = 2 * 9 * 2 * 20, 2 * 8 * 3
    parameters = 18 + 2 + 24 + 3
    assert work.flops == 6 * (2 * convolved + 3 * dense) + 2 * parameters
    assert work.update_flops == 2 * parameters
    outputs = 40 + 3
    assert work.bytes == 4 * (18 + 2 * 24) + 4 * 2 * parameters + 4 * 4 * 6 * outputs + 6 * 20
    assert work.resident == 4 * parameters + 4 * 6 * outputs


def test_an_embedding_moves_its_table_or_with_lazy_steps_its_rows() -> None:
    model = keras.Sequential(
        [keras.Input((7,)), keras.layers.Embedding(100, 4), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    exact, lazy, by_rows, plain = (
        count_network_work(model, 5, rule, 4, 4, 4)
        for rule in (AdamRule(False), AdamRule(False, True), AdamRule(False, False, True), PLAIN)
    )
    assert exact
    assert lazy
    assert by_rows
    assert plain
    kernel, outputs = 28 * 2, 28 + 2
    common = 4 * 2 * kernel + 4 * 4 * 5 * outputs + 4 * 5 * 7
    assert exact.bytes == common + 4 * (2 * 3 * (400 + kernel + 2) + 2 * 400)
    assert lazy.bytes == common + 4 * (2 * 3 * (140 + kernel + 2) + 2 * 140)  # 5 x 7 rows of 4
    assert by_rows.bytes == common + 4 * (2 * 3 * (kernel + 2) + 4 * 400 + 2 * 140 + 2 * 140)
    assert plain.bytes == common + 4 * (2 * (kernel + 2) + 2 * 140 + 2 * 140)
    assert exact.flops - lazy.flops == 11 * 260
    assert exact.flops == by_rows.flops
    assert exact.flops == 5 * 3 * 2 * kernel + 11 * (400 + kernel + 2)


def test_a_network_in_a_network_is_counted_and_one_that_tells_nothing_is_not() -> None:
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), keras.layers.Dense(2)])
    outer = keras.Sequential([keras.Input((3,)), inner])
    whole, part = (count_network_work(each, 2, PLAIN, 4, 4, 4) for each in (outer, inner))
    assert whole == part
    assert whole is not None
    assert whole.flops == 2 * 2 * (2 * 15 + 3 * 10) + 2 * (20 + 12)

    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, samples: object) -> object:
            return self.dense(samples)

    silent = Subclassed()
    silent.build((None, 3))
    assert count_network_work(silent, 2, PLAIN, 4, 4, 4) is None


@pytest.mark.parametrize("rule", [PLAIN, AdamRule(False)])
def test_a_perceptron_is_counted_as_by_its_sizes(rule: SgdRule | AdamRule) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    found, expected = (
        count_network_work(model, 5, rule, 4, 4, 1),
        count_step_work((4, 3, 2), 5, rule, 4, 4, 1),
    )
    assert found is not None
    assert (found.flops, found.bytes) == (expected.flops, expected.bytes)
