"""The gradient of an embedding, of which a batch has used some rows, some of them more than once."""

from pipeline.backend import Tensor, tf


def add_up_rows(gradient: tf.IndexedSlices, xla: bool) -> tf.IndexedSlices:
    """Return the gradient of rows, where each row has the sum of all that belongs to it.

    A graph lists each row once. XLA wants to know their number before, so there each row comes as often as
    before, each time with the same sum.
    """
    if xla:
        sums, last = _add_up(gradient)
        return tf.IndexedSlices(tf.gather(sums, last), gradient.indices, gradient.dense_shape)
    rows, places = tf.unique(gradient.indices)
    sums = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(sums, rows, gradient.dense_shape)


def add_up_rows_once(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Return the gradient for XLA, where each row has its sum once, and zero as often as it comes besides."""
    sums, _ = _add_up(gradient)
    return tf.IndexedSlices(sums, gradient.indices, gradient.dense_shape)


def _add_up(gradient: tf.IndexedSlices) -> tuple[Tensor, Tensor]:
    """Return the sum of each row at its last entry, with zeros at the others, and the last entry of each."""
    rows, count = gradient.indices, tf.size(gradient.indices)
    numbers = tf.zeros(gradient.dense_shape[:1], tf.int32)
    last = tf.gather(tf.tensor_scatter_nd_max(numbers, rows[:, None], tf.range(count)), rows)
    return tf.math.unsorted_segment_sum(gradient.values, last, count), last
