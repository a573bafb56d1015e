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


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What shapes the code of a network.

    `sizes`: inputs, width of each hidden layer, classes; `sums_classes`: see `compute_losses`.
    """

    sizes: tuple[int, ...]
    activation: Activation
    output: Output
    loss: type[Loss]
    policy: Policy
    sums_classes: bool = False

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


class ForwardPass(NamedTuple):
    """What the forward pass leaves for the backward pass; what belongs to the last layer is wide.

    `weights`: matrices in the type they multiplied in; `inputs`: what each layer gets;
    `hidden`: each hidden layer's output before dropout; `logits`: [batch, classes].
    """

    weights: list[Tensor]
    inputs: list[Tensor]
    hidden: list[Tensor]
    logits: Tensor


# ---- forward ----------------------------------------------------------------------------------------


def forward(
    network: NetworkSpec, parameters: Sequence[Tensor], samples: Tensor, masks: Sequence[Tensor] = ()
) -> ForwardPass:
    """Compute the logits, and what the backward pass needs.

    `parameters`: [W1, b1, ...]; `samples`: [batch, inputs]; `masks`: dropout, one for each hidden layer.
    """
    weights, inputs, hidden = [], [], []
    layer_input = tf.cast(samples, network.narrow)
    for layer in range(len(network.sizes) - 2):
        weights.append(tf.cast(parameters[2 * layer], network.narrow))
        inputs.append(layer_input)
        preactivation = tf.nn.bias_add(
            layer_input @ weights[-1], tf.cast(parameters[2 * layer + 1], network.narrow)
        )
        hidden.append(activate(network.activation, preactivation))
        layer_input = hidden[-1] * masks[layer] if masks else hidden[-1]
    weights.append(parameters[-2])
    inputs.append(tf.cast(layer_input, network.wide))
    return ForwardPass(weights, inputs, hidden, tf.nn.bias_add(inputs[-1] @ weights[-1], parameters[-1]))


def activate(activation: Activation, preactivation: Tensor) -> Tensor:
    match activation:
        case Activation.relu:
            return tf.nn.relu(preactivation)
        case Activation.sigmoid:
            return tf.sigmoid(preactivation)
        case Activation.tanh:
            return tf.tanh(preactivation)


def to_probabilities(output: Output, logits: Tensor) -> Tensor:
    return tf.nn.softmax(logits) if output is Output.softmax else tf.sigmoid(logits)


# ---- loss -------------------------------------------------------------------------------------------


def make_targets(network: NetworkSpec, labels: Tensor, smoothing: Tensor) -> Tensor:
    """Return one-hot targets [batch, classes]; a share `smoothing` of each is spread as Keras does it.

    That is evenly over the classes, or for binary cross-entropy over yes and no of each class.
    """
    off_value = smoothing * (0.5 if network.loss is BinaryCrossEntropy else 1 / network.sizes[-1])
    return tf.one_hot(labels, network.sizes[-1], 1 - smoothing + off_value, off_value, dtype=network.wide)


def loss_and_gradient(network: NetworkSpec, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the loss of each sample [batch], and their sum's gradient by the logits [batch, classes]."""
    if network.loss is CrossEntropy:
        # One kernel computes both.
        return tuple(tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=logits, labels=targets))
    return compute_losses(network, logits, targets), loss_gradient(network, logits, targets)


def compute_losses(network: NetworkSpec, logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the loss of each sample, [batch].

    Binary cross-entropy is averaged over the classes, or summed with `sums_classes`.
    """
    if network.loss is CrossEntropy:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    if network.loss is BinaryCrossEntropy:
        reduce = tf.reduce_sum if network.sums_classes else tf.reduce_mean
        return reduce(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), 1)
    return tf.reduce_mean(tf.square(to_probabilities(network.output, logits) - targets), 1)


def loss_gradient(network: NetworkSpec, logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the gradient of the sum of `compute_losses` by the logits, [batch, classes]."""
    prediction = to_probabilities(network.output, logits)
    if network.loss is CrossEntropy:
        return prediction - targets
    if network.loss is BinaryCrossEntropy:
        return (prediction - targets) / (1 if network.sums_classes else network.sizes[-1])
    gradient = (prediction - targets) * (2 / network.sizes[-1])  # by the prediction
    if network.output is Output.sigmoid:
        return gradient * prediction * (1 - prediction)
    return prediction * (gradient - tf.reduce_sum(gradient * prediction, 1, keepdims=True))


def sum_scores(
    network: NetworkSpec, logits: Tensor, labels: Tensor, smoothing: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the sum of the losses and the number of right answers of logits [n, classes]."""
    is_right = tf.argmax(logits, 1, tf.int32) == labels
    sample_losses = compute_losses(network, logits, make_targets(network, labels, smoothing))
    return tf.reduce_sum(sample_losses), tf.math.count_nonzero(is_right)


# ---- backward ---------------------------------------------------------------------------------------


def backward(
    network: NetworkSpec, forward_pass: ForwardPass, gradient: Tensor, masks: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Compute the gradients by the parameters, in their order and type; `gradient`: that by the logits."""
    gradients: list[Tensor] = []
    for layer in reversed(range(len(network.sizes) - 1)):
        by_weights = tf.matmul(forward_pass.inputs[layer], gradient, transpose_a=True)
        by_bias = tf.raw_ops.BiasAddGrad(out_backprop=gradient)
        gradients = [tf.cast(by_weights, network.wide), tf.cast(by_bias, network.wide), *gradients]
        if layer:
            by_inputs = tf.matmul(gradient, forward_pass.weights[layer], transpose_b=True)
            by_inputs = tf.cast(by_inputs, network.narrow)
            by_outputs = by_inputs * masks[layer - 1] if masks else by_inputs
            gradient = activation_gradient(network.activation, forward_pass.hidden[layer - 1], by_outputs)
    return gradients


def activation_gradient(activation: Activation, output: Tensor, gradient: Tensor) -> Tensor:
    """Compute the gradient before the activation, from its output and the gradient after it."""
    match activation:
        case Activation.relu:
            return tf.raw_ops.ReluGrad(gradients=gradient, features=output)
        case Activation.sigmoid:
            return tf.raw_ops.SigmoidGrad(y=output, dy=gradient)
        case Activation.tanh:
            return tf.raw_ops.TanhGrad(y=output, dy=gradient)
