"""Steps of each optimizer against Keras."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.cli.compose import compose
from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.optimizer import Adam, Optimizer, Sgd
from pipeline.training.optimizers import rule_of

OPTIMIZERS = [
    pytest.param(Sgd(0.1, 0.0, False), lambda: keras.optimizers.SGD(0.1), id="sgd"),
    pytest.param(Sgd(0.1, 0.9, False), lambda: keras.optimizers.SGD(0.1, 0.9), id="momentum"),
    pytest.param(Sgd(0.1, 0.9, True), lambda: keras.optimizers.SGD(0.1, 0.9, True), id="nesterov"),
    pytest.param(
        Adam(0.1, 0.8, 0.99, 1e-3, 0.0, False),
        lambda: keras.optimizers.Adam(0.1, 0.8, 0.99, 1e-3),
        id="adam",
    ),
    pytest.param(
        Adam(0.1, 0.8, 0.99, 1e-3, 0.2, False),
        lambda: keras.optimizers.AdamW(0.1, 0.2, 0.8, 0.99, 1e-3),
        id="adamw",
    ),
]


@pytest.mark.parametrize("in_place", [False, True], ids=["values", "in_place"])
@pytest.mark.parametrize(("optimizer", "make_theirs"), OPTIMIZERS)
def test_steps_are_keras(
    optimizer: Optimizer, make_theirs: Callable[[], keras.Optimizer], in_place: bool
) -> None:
    rule = rule_of(optimizer)
    draw = np.random.default_rng(0)
    start, gradients = draw.normal(size=(3, 2)), draw.normal(size=(6, 3, 2))
    expected, theirs = keras.Variable(start, dtype="float64"), make_theirs()
    stand = tf.Variable if in_place else tf.constant
    parameter, slots = stand(start), tuple(stand(np.zeros((3, 2))) for _ in range(rule.slots))
    step = 0
    for first in (0, 3):  # two epochs of three steps
        rates = np.full(3, 0.1)
        for amounts in zip(
            rule.compute_step_sizes(optimizer, rates, first),
            rule.compute_decay_factors(optimizer, rates),
            strict=True,
        ):
            given = [rule.get_arguments(optimizer), *amounts, parameter, slots, tf.constant(gradients[step])]
            if in_place:
                rule.update_in_place(*given)
            else:
                parameter, slots = rule.update(*given)
            theirs.apply([tf.constant(gradients[step])], [expected])
            step += 1
    np.testing.assert_allclose(parameter, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("option", [option_name(kind) for kind in kinds_of(Optimizer)])
def test_every_optimizer_has_a_twin_that_takes_the_same_steps(option: str) -> None:
    optimizer = compose([f"optimizer={option}"]).settings.optimizer
    rule, rates = rule_of(optimizer), np.linspace(0.1, 0.05, 6)
    assert {rule} == {rule_of(optimizer)}
    draw = np.random.default_rng(0)
    start, gradients = draw.normal(size=(3, 2)), draw.normal(size=(6, 3, 2))
    expected = keras.Variable(start, dtype="float64")
    twin = rule.make_keras_twin(optimizer, lambda: tf.gather(tf.constant(rates), twin.iterations.value), None)
    parameter, slots = tf.constant(start), (tf.zeros((3, 2), tf.float64),) * rule.slots
    numbers = zip(
        rule.compute_step_sizes(optimizer, rates, 0),
        rule.compute_decay_factors(optimizer, rates),
        strict=True,
    )
    for pair, gradient in zip(numbers, gradients, strict=True):
        parameter, slots = rule.update(rule.get_arguments(optimizer), *pair, parameter, slots, gradient)
        twin.apply([tf.constant(gradient)], [expected])
    np.testing.assert_allclose(parameter, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert len(slots) == rule.slots
    assert rule.flops >= 2
