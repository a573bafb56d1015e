"""A small convolutional network, for images and spectrograms."""

from dataclasses import replace
from typing import Any

from pipeline.backend import keras
from pipeline.data.prepared import Prepared
from pipeline.errors import BadData
from pipeline.models.architectures import Architecture
from pipeline.models.layers import drop_out, make_logits
from pipeline.settings.model import Cnn
from pipeline.settings.settings import Settings


class CnnArchitecture(Architecture):
    """Blocks of convolution and pooling, then one hidden layer."""

    width_key = "filters"
    smallest_halved = 8
    convolves = True

    @staticmethod
    def build_logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
        cnn, policy = settings.model, settings.precision.policy.value
        assert isinstance(cnn, Cnn)
        tensor = _as_images(prepared.shape, features, policy)
        for number in range(1, cnn.blocks + 1):
            convolution = keras.layers.Conv2D(
                cnn.filters * 2 ** (number - 1),
                3,
                padding="same",
                activation=cnn.activation.value,
                dtype=policy,
                name=f"convolution_{number}",
            )
            pool = keras.layers.MaxPooling2D(2, padding="same", dtype=policy, name=f"pool_{number}")
            tensor = pool(convolution(tensor))
        tensor = keras.layers.Flatten(dtype=policy)(tensor)
        tensor = drop_out(settings, cnn.dropout, tensor, 1)
        dense = keras.layers.Dense(cnn.hidden, cnn.activation.value, dtype=policy, name="hidden_1")
        return make_logits(settings, prepared, drop_out(settings, cnn.dropout, dense(tensor), 2))

    @staticmethod
    def shrink_to_one_unit(model: Cnn) -> Cnn:
        return replace(model, filters=1, hidden=1)


def _as_images(shape: tuple[int, ...], features: Any, policy: str) -> Any:
    """Return the features as [n, height, width, channels]; grey images have one channel."""
    if len(shape) not in (2, 3):
        raise BadData(
            "model=cnn needs images of shape [height, width] or [height, width, channels], "
            f"got {list(shape)}; use model=mlp"
        )
    if len(shape) == 3:
        return features
    return keras.layers.Reshape((*shape, 1), dtype=policy)(features)
