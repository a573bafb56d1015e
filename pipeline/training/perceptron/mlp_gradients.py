"""A multi-layer perceptron by hand: forward pass, loss, backward pass.

Plain functions of tensors, so that one compiled loop can hold a whole epoch. `wide` is the type of
parameters, logits and loss; `narrow` the type of the hidden layers' matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pipeline.backend import Tensor, tf
from pipeline.settings.model import Activation
from pipeline.settings.training import Policy
from pipeline.training.losses import LossFunction, to_probabilities

Scores: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""What `sum_scores` returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What shapes the code of a network.

    `sizes`: inputs, width of each hidden layer, classes (1 for a quantity).
    """

    sizes: tuple[int, ...]
    activation: Activation
    loss: LossFunction
    policy: Policy

    @property
    def wide(self) -> Tensor:
        """Return the type of parameters, losses and optimizer states."""
        return tf.float64 if self.policy is Policy.float64 else tf.float32

    @property
    def label_type(self) -> Tensor:
        """Return the type of labels: numbers of classes, or quantities in the wide type."""
        return self.wide if self.loss.is_of_quantity else tf.int32

    @property
    def narrow(self) -> Tensor:
        """Return the type of products and activations; see `settings.training.Policy`."""
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
    """Apply an activation to pre-activations [batch, width]."""
    match activation:
        case Activation.relu:
            return tf.nn.relu(preactivation)
        case Activation.sigmoid:
            return tf.sigmoid(preactivation)
        case Activation.tanh:
            return tf.tanh(preactivation)


# ---- loss -------------------------------------------------------------------------------------------


def make_targets(network: NetworkSpec, labels: Tensor, smoothing: Tensor) -> Tensor:
    """Return one-hot targets [batch, classes]; a share `smoothing` of each is spread as the loss says.

    Quantities are their own targets [batch, 1].
    """
    if network.loss.is_of_quantity:
        return tf.cast(labels, network.wide)[:, None]
    off_value = network.loss.spread(smoothing)
    return tf.one_hot(labels, network.sizes[-1], 1 - smoothing + off_value, off_value, dtype=network.wide)


def sum_scores(network: NetworkSpec, logits: Tensor, labels: Tensor, smoothing: Tensor) -> Scores:
    """Return the sum of the losses, how often each class is named, int32 [2, classes], and the outputs.

    Row 0: rightly; row 1: at all. Of quantities, the second is the sum of the squared errors. `logits`, and
    the outputs: [n, classes].
    """
    targets = make_targets(network, labels, smoothing)
    sample_losses = network.loss.compute(logits, targets)
    if network.loss.is_of_quantity:
        return tf.reduce_sum(sample_losses), tf.reduce_sum(tf.square(logits - targets)), logits
    named, classes = tf.argmax(logits, 1, tf.int32), logits.shape[-1]
    right = tf.cast(named == labels, tf.int32)
    counts = [tf.math.unsorted_segment_sum(ones, named, classes) for ones in (right, tf.ones_like(right))]
    outputs = to_probabilities(network.loss.output, logits)
    return tf.reduce_sum(sample_losses), tf.stack(counts), outputs


# ---- backward ---------------------------------------------------------------------------------------


def backward(
    network: NetworkSpec, forward_pass: ForwardPass, gradient: Tensor, masks: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Compute the gradients by the parameters, in their order and type; `gradient`: that by the logits."""
    return sum_gradients(network, forward_pass, compute_deltas(network, forward_pass, gradient, masks))


def compute_deltas(
    network: NetworkSpec, forward_pass: ForwardPass, gradient: Tensor, masks: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Compute each row's gradient by the layers' outputs before their activations, [batch, width] a layer."""
    deltas = [gradient]
    for layer in reversed(range(1, len(network.sizes) - 1)):
        by_inputs = tf.matmul(deltas[0], forward_pass.weights[layer], transpose_b=True)
        by_inputs = tf.cast(by_inputs, network.narrow)
        by_outputs = by_inputs * masks[layer - 1] if masks else by_inputs
        delta = activation_gradient(network.activation, forward_pass.hidden[layer - 1], by_outputs)
        deltas.insert(0, delta)
    return deltas


def sum_gradients(network: NetworkSpec, forward_pass: ForwardPass, deltas: Sequence[Tensor]) -> list[Tensor]:
    """Sum up over the rows the gradients by the parameters, in their order and type."""
    gradients: list[Tensor] = []
    for inputs, delta in zip(forward_pass.inputs, deltas, strict=True):
        by_weights = tf.matmul(inputs, delta, transpose_a=True)
        by_bias = tf.raw_ops.BiasAddGrad(out_backprop=delta)
        gradients += [tf.cast(by_weights, network.wide), tf.cast(by_bias, network.wide)]
    return gradients


def backward_to_samples(network: NetworkSpec, forward_pass: ForwardPass, gradient: Tensor) -> Tensor:
    """Compute the gradient by the samples [batch, inputs], narrow; `gradient`: that by the logits."""
    for layer in reversed(range(len(network.sizes) - 1)):
        by_inputs = tf.matmul(gradient, forward_pass.weights[layer], transpose_b=True)
        gradient = tf.cast(by_inputs, network.narrow)
        if layer:
            gradient = activation_gradient(network.activation, forward_pass.hidden[layer - 1], gradient)
    return gradient


def activation_gradient(activation: Activation, output: Tensor, gradient: Tensor) -> Tensor:
    """Compute the gradient before the activation, from its output and the gradient after it."""
    match activation:
        case Activation.relu:
            return tf.raw_ops.ReluGrad(gradients=gradient, features=output)
        case Activation.sigmoid:
            return tf.raw_ops.SigmoidGrad(y=output, dy=gradient)
        case Activation.tanh:
            return tf.raw_ops.TanhGrad(y=output, dy=gradient)
