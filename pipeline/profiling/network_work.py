"""The arithmetic and the memory traffic of a training step of a Keras network, counted from its layers."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.backend import keras
from pipeline.profiling.profile import count_layer_flops
from pipeline.profiling.roofline import StepWork
from pipeline.training.optimizers import UpdateRule

if TYPE_CHECKING:
    from keras import Model


def count_network_work(
    model: "Model", batch: int, rule: UpdateRule, narrow: int, wide: int, sample: int
) -> StepWork | None:
    """Count the work of a step of any network; None where its layers do not tell their outputs.

    Counted is what cannot be avoided, as in `roofline.count_step_work`: products forward and backward (none
    back to the samples) and the update; every kernel read once forward and once backward, every parameter and
    slot read and written by the update, samples and what layers with parameters put out once each way. Of an
    embedding, the rows of a batch are read, and their gradients go into the slots; an exact update with slots
    reads the whole table and its slots, and writes the table, since all of its rows go on moving. `narrow`,
    `wide`: bytes of a number in products and in parameters; `sample`: of one of a sample.
    """
    try:
        layers = [layer for layer in _list_leaves(model) if layer.trainable_weights]
        flops = [count_layer_flops(layer, layer.output.shape) for layer in layers]
        inputs, outputs = math.prod(model.input_shape[1:]), sum(map(_count_outputs, layers))
    except (AttributeError, ValueError, TypeError):  # it calls them as it likes, or with sides of any length
        return None
    tables = [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]
    kernels = [math.prod(layer.kernel.shape) for layer, count in zip(layers, flops, strict=True) if count]
    # What comes first needs no gradient of its input; behind an embedding, all need it.
    first = int(bool(kernels)) and not tables
    first_flops = next(filter(None, flops), 0) * first
    parameters = sum(math.prod(weights.shape) for weights in model.trainable_weights)
    dense, updates = parameters, 0  # numbers that a dense update goes over, and that others read and write
    for table in tables:
        size, width = math.prod(table.embeddings.shape), table.embeddings.shape[-1]
        touched = min(size, batch * math.prod(table.output.shape[1:-1]) * width)
        dense -= size
        if rule.is_lazy or not rule.slots:
            parameters += touched - size
            updates += 2 * touched * (1 + rule.slots)
        elif rule.steps_by_rows:
            updates += 2 * size + rule.slots * (size + touched)
        else:
            updates += 2 * size * (1 + rule.slots) + 2 * size
            continue
        updates += 2 * touched  # their gradients
    states = 1 + rule.slots
    moved = (
        narrow * (2 * sum(kernels) - sum(kernels[:1]) * first)
        + wide * (2 * dense * states + updates)
        + 4 * narrow * batch * outputs
        + sample * batch * inputs
    )
    update_flops = rule.flops * parameters
    return StepWork(
        flops=float(batch * (3 * sum(flops) - first_flops) + update_flops),
        bytes=float(moved),
        resident=float(wide * parameters * states + narrow * batch * outputs),
        update_flops=float(update_flops),
    )


def _list_leaves(layer: Any) -> Iterator[Any]:
    """Yield the layers that hold no others, in the order of building."""
    for inner in getattr(layer, "layers", layer._layers):
        if inner._layers:
            yield from _list_leaves(inner)
        else:
            yield inner


def _count_outputs(layer: Any) -> int:
    """Count the numbers that a layer puts out for one sample."""
    return sum(math.prod(output.shape[1:]) for output in keras.tree.flatten(layer.output))
