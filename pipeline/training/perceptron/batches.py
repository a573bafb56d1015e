"""The batch of a step on the device: rows that are gathered, scaled and changed, and masks of dropout."""

from functools import partial

from pipeline.backend import Tensor, tf
from pipeline.training import augmentation
from pipeline.training.device_data import DeviceData, EpochPlan
from pipeline.training.perceptron import mlp_gradients
from pipeline.training.perceptron.epoch_spec import EpochSpec, HyperParameters
from pipeline.training.random_streams import derive_seed, draw_mask


def fetch_batch(
    spec: EpochSpec, data: DeviceData, plan: EpochPlan, hyper: HyperParameters, step: Tensor
) -> tuple[Tensor, Tensor]:
    """Return scaled, changed samples [batch, inputs] and their targets [batch, classes]."""
    rows = tf.gather(plan.rows, step)
    if spec.room:
        rows = tf.maximum(rows, 0)  # an empty place computes with any row, which counts for nothing
    samples = tf.gather(data.features, rows)
    targets = mlp_gradients.make_targets(spec.network, tf.gather(data.labels, rows), hyper.smoothing)
    if spec.scales_in_step:
        samples = tf.cast(samples, spec.network.wide)
        if spec.changes:
            seed = derive_seed(hyper.seed, 0, plan.count_steps(step))
            # Many small kernels on a full batch: XLA makes one of them, also inside a plain graph.
            change = tf.function(
                partial(augmentation.change_images, spec.changes), jit_compile=True, autograph=False
            )
            samples = change(hyper.changes, seed, samples)
        samples = (samples - data.mean) / data.std
    return samples, targets


def draw_dropout_masks(
    spec: EpochSpec, plan: EpochPlan, hyper: HyperParameters, step: Tensor
) -> list[Tensor]:
    """Return for each hidden layer zeros, or factors that keep the mean, [batch, width]."""
    if not spec.uses_dropout:
        return []
    masks = []
    for layer, width in enumerate(spec.network.sizes[1:-1], start=1):
        seed = derive_seed(hyper.seed, layer, plan.count_steps(step))
        masks.append(draw_mask([spec.places, width], hyper.dropout, seed, spec.network.narrow))
    return masks
