"""In which direction the right class loses to the others, however sure of it a network is.

The gradient of the cross-entropy by the logits is softmax less one hot. Where a network is sure, the share of
the right class is rounded to 1, and from a lead of some 90 on those of the others to 0: what is left of the
gradient points elsewhere, or nowhere, and the network seems to withstand what was never tried. Divided by
what is missing to 1, it is the softmax over the other classes alone, less one hot: the same direction, and
it never vanishes.
"""

from pipeline.backend import Tensor, tf


def differentiate_lead(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the gradient of the lead of the other classes over the right one by the logits, [n, classes].

    The lead is the logarithm of the sum of the others' exponentials, less the logit of the right class.
    `labels`: int [n].
    """
    is_right = tf.one_hot(labels, logits.shape[-1], True, False, dtype=tf.bool)
    others = tf.nn.softmax(tf.where(is_right, tf.constant(float("-inf"), logits.dtype), logits))
    return others - tf.cast(is_right, logits.dtype)
