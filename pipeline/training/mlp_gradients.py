"""A multi-layer perceptron by hand: forward pass, loss, backward pass.

Plain functions of tensors, so that one compiled loop can hold a whole epoch. `wide` is the type of
parameters, logits and loss; `narrow` the type of the hidden layers' matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.backend import Tensor, tf
from pipeline.settings.model import Activation, Output
from pipeline.settings.training import BinaryCrossEntropy, CrossEntropy, Loss, Policy


@dataclass(frozen=True, slots=True)
class Net:
    """What shapes the code. `sizes`: inputs, width of each hidden layer, classes; `summed`: see `losses`."""

    sizes: tuple[int, ...]
    activation: Activation
    output: Output
    loss: type[Loss]
    policy: Policy
    summed: bool = False

    @property
    def wide(self) -> Tensor:
        return tf.float64 if self.policy is Policy.float64 else tf.float32

    @property
    def narrow(self) -> Tensor:
        match self.policy:
            case Policy.mixed_bfloat16:
                return tf.bfloat16
            case Policy.mixed_float16:
                return tf.float16
            case _:
                return self.wide


class Pass(NamedTuple):
    """What the forward pass leaves for the backward pass; the last layer's parts are wide.

    `weights`: matrices in the type they multiplied in; `inputs`: what each layer was given;
    `hidden`: each hidden layer's output before dropout; `logits`: [batch, classes].
    """

    weights: list[Tensor]
    inputs: list[Tensor]
    hidden: list[Tensor]
    logits: Tensor


# ---- forward ----------------------------------------------------------------------------------------


def forward(net: Net, parameters: Sequence[Tensor], samples: Tensor, masks: Sequence[Tensor] = ()) -> Pass:
    """`parameters`: [W1, b1, ...]; `samples`: [batch, inputs]; `masks`: dropout, one a hidden layer."""
    weights, inputs, hidden = [], [], []
    carried = tf.cast(samples, net.narrow)
    for layer in range(len(net.sizes) - 2):
        weights.append(tf.cast(parameters[2 * layer], net.narrow))
        inputs.append(carried)
        summed = tf.nn.bias_add(carried @ weights[-1], tf.cast(parameters[2 * layer + 1], net.narrow))
        hidden.append(activate(net.activation, summed))
        carried = hidden[-1] * masks[layer] if masks else hidden[-1]
    weights.append(parameters[-2])
    inputs.append(tf.cast(carried, net.wide))
    return Pass(weights, inputs, hidden, tf.nn.bias_add(inputs[-1] @ weights[-1], parameters[-1]))


def activate(activation: Activation, summed: Tensor) -> Tensor:
    match activation:
        case Activation.relu:
            return tf.nn.relu(summed)
        case Activation.sigmoid:
            return tf.sigmoid(summed)
        case Activation.tanh:
            return tf.tanh(summed)


def probabilities(output: Output, logits: Tensor) -> Tensor:
    return tf.nn.softmax(logits) if output is Output.softmax else tf.sigmoid(logits)


# ---- loss -------------------------------------------------------------------------------------------


def targets(net: Net, labels: Tensor, smoothing: Tensor) -> Tensor:
    """One-hot [batch, classes]; a share `smoothing` of each target is spread as Keras does it.

    That is evenly over the classes, or for binary cross-entropy over yes and no of each class.
    """
    spread = smoothing * (0.5 if net.loss is BinaryCrossEntropy else 1 / net.sizes[-1])
    return tf.one_hot(labels, net.sizes[-1], 1 - smoothing + spread, spread, dtype=net.wide)


def loss_and_slope(net: Net, logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each sample [batch], and the gradient of their sum by the logits [batch, classes]."""
    if net.loss is CrossEntropy:
        # One kernel finds both.
        return tuple(tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=logits, labels=wanted))
    return losses(net, logits, wanted), loss_slope(net, logits, wanted)


def losses(net: Net, logits: Tensor, wanted: Tensor) -> Tensor:
    """Loss of each sample, [batch]; the classes of binary cross-entropy are averaged, or `summed`."""
    if net.loss is CrossEntropy:
        return tf.nn.softmax_cross_entropy_with_logits(wanted, logits)
    if net.loss is BinaryCrossEntropy:
        reduce = tf.reduce_sum if net.summed else tf.reduce_mean
        return reduce(tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits), 1)
    return tf.reduce_mean(tf.square(probabilities(net.output, logits) - wanted), 1)


def loss_slope(net: Net, logits: Tensor, wanted: Tensor) -> Tensor:
    """Gradient of the sum of `losses` by the logits, [batch, classes]."""
    guess = probabilities(net.output, logits)
    if net.loss is CrossEntropy:
        return guess - wanted
    if net.loss is BinaryCrossEntropy:
        return (guess - wanted) / (1 if net.summed else net.sizes[-1])
    by_guess = (guess - wanted) * (2 / net.sizes[-1])
    if net.output is Output.sigmoid:
        return by_guess * guess * (1 - guess)
    return guess * (by_guess - tf.reduce_sum(by_guess * guess, 1, keepdims=True))


def tally(net: Net, logits: Tensor, labels: Tensor, smoothing: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of losses and number of right answers of logits [n, classes]."""
    right = tf.argmax(logits, 1, tf.int32) == labels
    each = losses(net, logits, targets(net, labels, smoothing))
    return tf.reduce_sum(each), tf.math.count_nonzero(right)


# ---- backward ---------------------------------------------------------------------------------------


def backward(net: Net, done: Pass, slope: Tensor, masks: Sequence[Tensor] = ()) -> list[Tensor]:
    """Gradients by the parameters, in their order and type; `slope`: gradient by the logits."""
    gradients: list[Tensor] = []
    for layer in reversed(range(len(net.sizes) - 1)):
        by_weights = tf.matmul(done.inputs[layer], slope, transpose_a=True)
        by_bias = tf.raw_ops.BiasAddGrad(out_backprop=slope)
        gradients = [tf.cast(by_weights, net.wide), tf.cast(by_bias, net.wide), *gradients]
        if layer:
            by_inputs = tf.cast(tf.matmul(slope, done.weights[layer], transpose_b=True), net.narrow)
            kept = by_inputs * masks[layer - 1] if masks else by_inputs
            slope = activation_slope(net.activation, done.hidden[layer - 1], kept)
    return gradients


def activation_slope(activation: Activation, activated: Tensor, by_activated: Tensor) -> Tensor:
    """Gradient before the activation, from the activation's output and the gradient after it."""
    match activation:
        case Activation.relu:
            return tf.raw_ops.ReluGrad(gradients=by_activated, features=activated)
        case Activation.sigmoid:
            return tf.raw_ops.SigmoidGrad(y=activated, dy=by_activated)
        case Activation.tanh:
            return tf.raw_ops.TanhGrad(y=activated, dy=by_activated)
