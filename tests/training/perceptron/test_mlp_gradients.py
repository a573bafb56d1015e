"""The gradients by hand against a tape."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.backend import Tensor, tf
from pipeline.settings.model import Activation, Output
from pipeline.settings.training import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Policy,
    Reduction,
)
from pipeline.training.losses import loss_of
from pipeline.training.perceptron import mlp_gradients
from pipeline.training.perceptron.mlp_gradients import NetworkSpec

HEADS = [
    pytest.param(CrossEntropy(0.1), Output.softmax, id="cross_entropy"),
    pytest.param(BinaryCrossEntropy(0.1, Reduction.mean), Output.sigmoid, id="binary_cross_entropy"),
    pytest.param(BinaryCrossEntropy(0.1, Reduction.sum), Output.sigmoid, id="binary_cross_entropy_summed"),
    pytest.param(MeanSquaredError(0.1), Output.softmax, id="squared_softmax"),
    pytest.param(MeanSquaredError(0.1), Output.sigmoid, id="squared_sigmoid"),
]
SIZES = (5, 7, 6, 3)
LABELS = tf.constant([0, 2, 1, 1], tf.int32)


def make_network(activation: Activation, output: Output, loss: Loss, policy: Policy) -> NetworkSpec:
    return NetworkSpec(
        sizes=SIZES, activation=activation, loss=loss_of(loss, SIZES[-1], output), policy=policy
    )


def drawn(*shape: int, seed: int) -> Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def parameters() -> list[Tensor]:
    shapes = [shape for inputs, outputs in pairwise(SIZES) for shape in ((inputs, outputs), (outputs,))]
    return [drawn(*shape, seed=number) for number, shape in enumerate(shapes)]


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "dropout"])
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize(("loss", "output"), HEADS)
def test_gradient_by_hand_is_the_tapes(
    loss: Loss, output: Output, activation: Activation, masked: bool
) -> None:
    net = make_network(activation, output, loss, Policy.float64)
    samples, wanted = (
        drawn(4, 5, seed=10),
        mlp_gradients.make_targets(net, LABELS, tf.constant(0.1, tf.float64)),
    )
    masks = (
        [tf.cast(drawn(4, width, seed=width) > 0, tf.float64) * 2 for width in SIZES[1:-1]] if masked else []
    )
    moving = parameters()
    with tf.GradientTape() as tape:
        tape.watch(moving)
        done = mlp_gradients.forward(net, moving, samples, masks)
        total = tf.reduce_sum(net.loss.compute(done.logits, wanted))
    by_tape = tape.gradient(total, moving)
    by_hand = mlp_gradients.backward(net, done, net.loss.compute_gradient(done.logits, wanted), masks)
    for ours, theirs in zip(by_hand, by_tape, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [MeanSquaredError(0.0), MeanAbsoluteError(0.0), Huber(0.0, 0.5)], ids=repr)
def test_the_gradient_of_a_quantity_is_the_tapes(loss: Loss) -> None:
    sizes = (*SIZES[:-1], 1)
    net = NetworkSpec(
        sizes=sizes, activation=Activation.tanh, loss=loss_of(loss, 1, Output.linear), policy=Policy.float64
    )
    labels, zero = tf.constant([0.3, -2.0, 1.5, 0.0], tf.float64), tf.constant(0.0, tf.float64)
    wanted = mlp_gradients.make_targets(net, labels, zero)
    assert wanted.shape == (4, 1)
    shapes = [shape for inputs, outputs in pairwise(sizes) for shape in ((inputs, outputs), (outputs,))]
    moving = [drawn(*shape, seed=number) for number, shape in enumerate(shapes)]
    with tf.GradientTape() as tape:
        tape.watch(moving)
        done = mlp_gradients.forward(net, moving, drawn(4, 5, seed=10))
        total = tf.reduce_sum(net.loss.compute(done.logits, wanted))
    by_tape = tape.gradient(total, moving)
    by_hand = mlp_gradients.backward(net, done, net.loss.compute_gradient(done.logits, wanted))
    for ours, theirs in zip(by_hand, by_tape, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    losses, squares, _ = mlp_gradients.sum_scores(net, done.logits, labels, zero)
    np.testing.assert_allclose(losses, total)
    np.testing.assert_allclose(squares, np.square(done.logits.numpy() - wanted.numpy()).sum())


@pytest.mark.parametrize(
    ("policy", "narrow", "wide"),
    [
        (Policy.float32, "float32", "float32"),
        (Policy.mixed_bfloat16, "bfloat16", "float32"),
        (Policy.mixed_float16, "float16", "float32"),
        (Policy.float64, "float64", "float64"),
    ],
)
def test_only_hidden_layers_are_narrow(policy: Policy, narrow: str, wide: str) -> None:
    net = make_network(Activation.relu, Output.softmax, CrossEntropy(0.0), policy)
    done = mlp_gradients.forward(net, [tf.cast(each, net.wide) for each in parameters()], drawn(4, 5, seed=1))
    assert {each.dtype.name for each in done.hidden} == {narrow}
    assert done.logits.dtype.name == done.weights[-1].dtype.name == wide
    slope = tf.zeros([4, 3], net.wide)
    assert {each.dtype.name for each in mlp_gradients.backward(net, done, slope)} == {wide}
