"""Layers that several kinds of model have."""

from typing import Any

from pipeline.backend import keras
from pipeline.data.prepared import Prepared
from pipeline.settings.settings import Settings
from pipeline.settings.training import Policy

LOGITS = "logits"
"""The name of the layer before the output activation."""
PROBABILITIES = "probabilities"
"""The name of the output activation."""
PREDICTION = "prediction"
"""The name of the last layer of a model that answers with a quantity."""


def get_wide_type(settings: Settings) -> str:
    """Return the wide type: scaling, logits and outputs are never computed in half precision."""
    return "float64" if settings.precision.policy is Policy.float64 else "float32"


def drop_out(settings: Settings, share: float, tensor: Any, number: int) -> Any:
    """Return `tensor` behind the network's dropout layer `number`; without a share there is no layer."""
    if not share:
        return tensor
    policy, seed = settings.precision.policy.value, settings.train.seed + number
    return keras.layers.Dropout(share, seed=seed, dtype=policy)(tensor)


def make_logits(settings: Settings, prepared: Prepared, tensor: Any) -> Any:
    """Return the last layer: [n, width] -> logits [n, classes], or the quantity [n, 1].

    A quantity begins at its mean: the weights are zero.
    """
    begin = "glorot_uniform" if prepared.target is None else "zeros"
    dense = keras.layers.Dense(
        prepared.outputs, kernel_initializer=begin, dtype=get_wide_type(settings), name=LOGITS
    )
    return dense(tensor)
