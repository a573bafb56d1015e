"""Steps of each optimizer against Keras, schedules by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.settings.optimizer import Adam, Constant, Cosine, Optimizer, Sgd, WarmupLinear
from pipeline.training import optimizer_steps
from pipeline.training.optimizer_steps import Rule

OPTIMIZERS = [
    pytest.param(Sgd(0.1, 0.0, False), Rule.sgd, lambda: keras.optimizers.SGD(0.1), id="sgd"),
    pytest.param(Sgd(0.1, 0.9, False), Rule.momentum, lambda: keras.optimizers.SGD(0.1, 0.9), id="momentum"),
    pytest.param(
        Sgd(0.1, 0.9, True), Rule.nesterov, lambda: keras.optimizers.SGD(0.1, 0.9, True), id="nesterov"
    ),
    pytest.param(
        Adam(0.1, 0.8, 0.99, 1e-3, 0.0),
        Rule.adam,
        lambda: keras.optimizers.Adam(0.1, 0.8, 0.99, 1e-3),
        id="adam",
    ),
    pytest.param(
        Adam(0.1, 0.8, 0.99, 1e-3, 0.2),
        Rule.adamw,
        lambda: keras.optimizers.AdamW(0.1, 0.2, 0.8, 0.99, 1e-3),
        id="adamw",
    ),
]


@pytest.mark.parametrize("in_place", [False, True], ids=["values", "in_place"])
@pytest.mark.parametrize(("optimizer", "rule", "make_theirs"), OPTIMIZERS)
def test_steps_are_keras(
    optimizer: Optimizer, rule: Rule, make_theirs: Callable[[], keras.Optimizer], in_place: bool
) -> None:
    assert optimizer_steps.rule(optimizer) is rule
    draw = np.random.default_rng(0)
    start, gradients = draw.normal(size=(3, 2)), draw.normal(size=(6, 3, 2))
    expected, theirs = keras.Variable(start, dtype="float64"), make_theirs()
    stand = tf.Variable if in_place else tf.constant
    parameter, memory = stand(start), tuple(stand(np.zeros((3, 2))) for _ in range(rule.memories))
    step = 0
    for first in (0, 3):  # two epochs of three steps
        rates = np.full(3, 0.1)
        for amounts in zip(
            optimizer_steps.strides(optimizer, rates, first),
            optimizer_steps.shrinks(optimizer, rates),
            strict=True,
        ):
            given = [amounts_of(optimizer), *amounts, parameter, memory, tf.constant(gradients[step])]
            if in_place:
                optimizer_steps.update_in_place(rule, *given)
            else:
                parameter, memory = optimizer_steps.update(rule, *given)
            theirs.apply([tf.constant(gradients[step])], [expected])
            step += 1
    np.testing.assert_allclose(parameter, expected.numpy(), rtol=1e-4, atol=1e-6)


def amounts_of(optimizer: Optimizer) -> list[float]:
    if isinstance(optimizer, Sgd):
        return [optimizer.momentum]
    assert isinstance(optimizer, Adam)
    return [optimizer.beta1, optimizer.beta2, optimizer.epsilon]


def test_constant_never_changes() -> None:
    assert set(optimizer_steps.learning_rates(Constant(), 0.3, 5)) == {0.3}


def test_cosine_goes_half_a_wave_down() -> None:
    rates = optimizer_steps.learning_rates(Cosine(final=0.1), 2.0, 1000)
    assert rates[0] == 2.0
    assert rates[500] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert 0.2 < rates[-1] < 0.2001
    assert (np.diff(rates) < 0).all()


def test_warm_up_rises_then_falls() -> None:
    rates = optimizer_steps.learning_rates(WarmupLinear(warmup=0.25, final=0.0), 1.0, 8)
    np.testing.assert_allclose(rates, [1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_no_warm_up_starts_at_the_peak() -> None:
    rates = optimizer_steps.learning_rates(WarmupLinear(warmup=0.0, final=0.5), 1.0, 4)
    np.testing.assert_allclose(rates, [1, 0.875, 0.75, 0.625])


def test_a_warm_up_over_every_step_has_no_fall() -> None:
    np.testing.assert_allclose(
        optimizer_steps.learning_rates(WarmupLinear(0.99, 0.0), 1.0, 4), [1 / 4, 2 / 4, 3 / 4, 1]
    )
