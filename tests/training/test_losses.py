"""Each loss against Keras: in training from logits, in a score from probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from pipeline.backend import keras, tf
from pipeline.cli.compose import compose
from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.model import Output
from pipeline.settings.training import (
    BinaryCrossEntropy,
    ClassWeights,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    Reduction,
)
from pipeline.training.losses import balance_classes, loss_class, loss_of

LABELS = np.array([0, 0, 1, 1, 2], np.int32)
OUTPUTS = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]], np.float32
)
SATURATED = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [1, 1, 1], [1e-9, 1, 1e-9]], np.float32)
MEAN, SUM = Reduction.mean, Reduction.sum
LOGITS = tf.constant(np.random.default_rng(1).normal(size=(5, 3)))
EACH = [kind for kind in map(option_name, kinds_of(Loss)) if kind not in ("mean_absolute_error", "huber")]


QUANTITIES = ["mean_squared_error of a quantity", "mean_absolute_error", "huber"]


def configured(option: str) -> tuple[Loss, Output]:
    """Return a loss as its conf option has it, with the outputs that it is for."""
    outputs = ["model.output=sigmoid"] if option == "binary_cross_entropy" else []
    if option in QUANTITIES:
        outputs = ["data=arrays", "data.path=a.npz", "data.task=regression"]
    settings = compose([f"loss={option.partition(' ')[0]}", *outputs]).settings
    return settings.loss, settings.model.output


def score(loss: Loss, outputs: np.ndarray) -> np.ndarray:
    return loss_class(loss).score(loss, outputs, LABELS)


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("option", EACH)
def test_every_loss_has_a_twin_and_a_gradient(option: str, weights: str) -> None:
    loss, output = configured(option)
    loss = replace(loss, class_weights=ClassWeights(weights))
    function, targets = loss_of(loss, 3, output, LABELS), tf.one_hot(LABELS, 3, dtype=tf.float64)
    assert function == loss_of(loss, 3, output, LABELS)  # equal ones share compiled epochs
    with tf.GradientTape() as tape:
        tape.watch(LOGITS)
        losses = function.compute(LOGITS, targets)
    gradient = tape.gradient(losses, LOGITS)
    assert losses.shape == (5,)
    np.testing.assert_allclose(function.compute_gradient(LOGITS, targets), gradient, rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(function.compute_both(LOGITS, targets), (losses, gradient), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    twin = function.make_keras_twin()(targets, LOGITS)
    np.testing.assert_allclose(twin, tf.reduce_mean(losses), rtol=1e-5)


@pytest.mark.parametrize("option", QUANTITIES)
def test_losses_of_a_quantity_are_those_of_keras(option: str) -> None:
    """Near the target, far from it, and at it; of gradients, the tape is the oracle."""
    loss, output = configured(option)
    function, targets = loss_of(loss, 1, output), tf.constant([[0.5], [-3.0], [2.0], [0.0]], tf.float64)
    logits = tf.constant([[0.8], [4.0], [1.7], [0.2]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = function.compute(logits, targets)
    gradient = tape.gradient(losses, logits)
    np.testing.assert_allclose(function.compute_gradient(logits, targets), gradient, rtol=1e-12)
    twin = function.make_keras_twin()(targets, logits)
    np.testing.assert_allclose(twin, tf.reduce_mean(losses), rtol=1e-6)
    scores = loss_class(loss).score(loss, logits.numpy(), targets.numpy()[:, 0])
    np.testing.assert_allclose(scores, losses, rtol=1e-12)
    assert np.isfinite(function.compute_gradient(logits * 1e6, targets)).all()


def test_balanced_classes_weigh_as_in_keras_and_scikit_learn() -> None:
    weights = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(balance_classes(np.bincount(LABELS)), weights)
    assert np.mean(weights[LABELS]) == pytest.approx(1)
    loss = CrossEntropy(0.0, class_weights=ClassWeights.balanced)
    targets = tf.one_hot(LABELS, 3, dtype=tf.float64)
    ours = tf.reduce_mean(loss_of(loss, 3, Output.softmax, LABELS).compute(LOGITS, targets))
    oracle = keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64")
    np.testing.assert_allclose(ours, oracle(targets, LOGITS, sample_weight=weights[LABELS]), rtol=1e-6)


def test_a_class_without_rows_weighs_one() -> None:
    assert balance_classes(np.array([3, 0, 1])) == (4 / 6, 1.0, 2.0)


@pytest.mark.parametrize("option", EACH)
def test_every_loss_stays_finite_at_extreme_logits(option: str) -> None:
    loss, output = configured(option)
    function, logits = loss_of(loss, 3, output), tf.constant([[1e4, -1e4, 0.0]] * 5)
    targets = tf.one_hot(LABELS, 3)
    for values in (function.compute(logits, targets), function.compute_gradient(logits, targets)):
        assert np.isfinite(values).all()
    assert np.isfinite(score(loss, SATURATED)).all()


@pytest.mark.parametrize(
    ("loss", "output", "oracle"),
    [
        (CrossEntropy(0.2), Output.softmax, keras.losses.CategoricalCrossentropy),
        (BinaryCrossEntropy(0.2, MEAN), Output.sigmoid, keras.losses.BinaryCrossentropy),
    ],
)
def test_label_smoothing_is_keras(loss: Loss, output: Output, oracle: type) -> None:
    function, off = loss_of(loss, 3, output), loss_of(loss, 3, output).spread(0.2)
    ours = function.compute(LOGITS, tf.one_hot(LABELS, 3, 0.8 + off, off, dtype=tf.float64))
    theirs = oracle(from_logits=True, label_smoothing=0.2, reduction=None, dtype="float64")
    np.testing.assert_allclose(ours, theirs(tf.one_hot(LABELS, 3), LOGITS), rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "oracle"),
    [
        (CrossEntropy(0.0), "CategoricalCrossentropy"),
        (BinaryCrossEntropy(0.0, MEAN), "BinaryCrossentropy"),
        (MeanSquaredError(0.0), "MeanSquaredError"),
    ],
)
@pytest.mark.parametrize("outputs", [OUTPUTS, SATURATED], ids=["usual", "saturated"])
def test_scores_are_those_of_keras(loss: Loss, oracle: str, outputs: np.ndarray) -> None:
    theirs = getattr(keras.losses, oracle)(reduction=None)(np.eye(3, dtype=np.float32)[LABELS], outputs)
    np.testing.assert_allclose(score(loss, outputs), theirs, rtol=1e-5, atol=2e-7)


def test_a_sum_over_classes_is_their_mean_times_their_number() -> None:
    mean = score(BinaryCrossEntropy(0.0, MEAN), OUTPUTS)
    np.testing.assert_allclose(score(BinaryCrossEntropy(0.0, SUM), OUTPUTS), 3 * mean)
    one, all_of_them = (
        loss_of(BinaryCrossEntropy(0.0, reduction), 3, Output.sigmoid).compute(LOGITS, tf.zeros_like(LOGITS))
        for reduction in (MEAN, SUM)
    )
    np.testing.assert_allclose(all_of_them, 3 * one)


@pytest.mark.parametrize("loss", [CrossEntropy, lambda s: BinaryCrossEntropy(s, MEAN), MeanSquaredError])
def test_labels_are_not_smoothed_for_the_score(loss: type[Loss]) -> None:
    np.testing.assert_array_equal(score(loss(0.3), OUTPUTS), score(loss(0.0), OUTPUTS))


def test_a_certain_mistake_costs_much_but_not_infinitely() -> None:
    loss = CrossEntropy(0.0)
    mistake = loss_class(loss).score(loss, np.array([[1.0, 0.0]]), np.array([1]))
    assert mistake[0] == pytest.approx(-np.log(1e-7))
