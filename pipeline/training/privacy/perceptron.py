"""Clipped gradients of a perceptron's rows, without a gradient of a single row ever being written.

A row's gradient by the matrix of a layer is the outer product of what the layer gets and of the gradient
behind it (delta), so its norm is the product of theirs (Goodfellow 2015, arXiv 1510.01799). Deltas are
linear in the row's loss: scaled down, they give the sum of the clipped gradients by the usual matrix
products.
"""

from collections.abc import Sequence

from pipeline.backend import Tensor, tf
from pipeline.training.perceptron import mlp_gradients
from pipeline.training.perceptron.mlp_gradients import NetworkSpec
from pipeline.training.privacy.noise import clip_factors, mean_loss


def sum_clipped_gradients(
    network: NetworkSpec,
    parameters: Sequence[Tensor],
    samples: Tensor,
    targets: Tensor,
    masks: Sequence[Tensor],
    present: Tensor,
    clip_norm: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """Compute the mean loss of the drawn rows and the sum of their clipped gradients, by the parameters.

    `samples`: [room, inputs]; `targets`: [room, classes]; `present`: [room], 1 where a row was drawn, else 0.
    """
    forward_pass = mlp_gradients.forward(network, parameters, samples, masks)
    losses, gradient = network.loss.compute_both(forward_pass.logits, targets)
    deltas = mlp_gradients.compute_deltas(network, forward_pass, gradient, masks)
    squares = tf.add_n(
        [
            _sum_squares(delta) * (1 + _sum_squares(inputs))  # 1: the bias
            for inputs, delta in zip(forward_pass.inputs, deltas, strict=True)
        ]
    )
    factors = clip_factors(squares, clip_norm, present)[:, None]
    clipped = [delta * factors for delta in deltas]
    return mean_loss(losses, present), mlp_gradients.sum_gradients(network, forward_pass, clipped)


def _sum_squares(rows: Tensor) -> Tensor:
    return tf.reduce_sum(tf.square(rows), 1)
