"""Steps of each optimizer against Keras."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.cli.compose import compose
from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.optimizer import Adam, Optimizer, Sgd
from pipeline.training.network.row_gradients import add_up_rows_once
from pipeline.training.optimizers import SETTLE_EVERY, rule_of

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


@pytest.mark.parametrize(("optimizer", "make_theirs"), OPTIMIZERS)
def test_steps_by_rows_are_those_of_the_whole_table(
    optimizer: Optimizer, make_theirs: Callable[[], keras.Optimizer]
) -> None:
    """Rows come several times or not at all; slots are settled now and then."""
    rule, draw = rule_of(optimizer), np.random.default_rng(0)
    assert rule.steps_by_rows
    shape = (7, 2)
    start = draw.normal(size=shape)
    expected, theirs = keras.Variable(start, dtype="float64"), make_theirs()
    parameter, slots = tf.constant(start), tuple(tf.zeros(shape, tf.float64) for _ in range(rule.slots))
    arguments = tuple(tf.constant(each, tf.float64) for each in rule.get_arguments(optimizer))
    steps = 40
    rates = np.full(steps, 0.1)
    decays, sizes = rule.compute_decay_factors(optimizer, rates), rule.compute_step_sizes(optimizer, rates, 0)
    number = 0
    for step in range(steps):
        slots = slots if number else rule.unsettle(slots)
        rows = draw.integers(0, 5, 6).astype(np.int32)
        values = tf.constant(draw.normal(size=(6, 2)))
        gradient = tf.IndexedSlices(values, tf.constant(rows), tf.constant(shape))
        number += 1
        parameter, slots = rule.update_by_rows(
            (arguments, tf.constant(sizes[step]), tf.constant(decays[step])),
            tf.constant(number, tf.float64),
            parameter,
            slots,
            add_up_rows_once(gradient),
        )
        theirs.apply([tf.convert_to_tensor(gradient)], [expected])
        if number == SETTLE_EVERY or step == 20:
            slots, number = rule.settle(arguments, tf.constant(number, tf.float64), slots), 0
    np.testing.assert_allclose(parameter, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "by_rows"),
    [
        (Adam(0.1, 0.0, 0.99, 1e-3, 0.0, False), False),
        (Adam(0.1, 0.9, 0.1, 1e-3, 0.0, False), False),
        (Adam(0.1, 0.9, 0.99, 1e-3, 0.0, True), False),  # lazy: another algorithm
        (Sgd(0.1, 0.01, False), False),
        (Sgd(0.1, 0.2, True), True),
    ],
)
def test_means_that_shrink_too_fast_to_be_left_large_are_updated_as_a_whole(
    optimizer: Optimizer, by_rows: bool
) -> None:
    assert rule_of(optimizer).steps_by_rows is by_rows


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
