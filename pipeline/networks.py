"""The layers between scaled features and logits, one function a kind of model."""

from typing import Any

from pipeline.errors import BadData
from pipeline.prepared import Prepared
from pipeline.quietly import keras
from pipeline.settings import Cnn, Mlp, Settings


def hidden(settings: Settings, prepared: Prepared, scaled: Any) -> Any:
    """Everything before the last layer, as Keras tensors: scaled features [n, *shape] -> [n, width].

    Raises:
        BadData: the samples have a shape that the model cannot take.
    """
    match settings.model:
        case Mlp() as mlp:
            return _perceptron(settings, mlp, scaled)
        case Cnn() as cnn:
            return _convolutional(settings, cnn, _as_images(prepared.shape, scaled, settings))
        case _:
            raise NotImplementedError(type(settings.model).__name__)


def _perceptron(settings: Settings, mlp: Mlp, scaled: Any) -> Any:
    carried = keras.layers.Flatten(dtype=scaled.dtype)(scaled)
    for number in range(1, mlp.layers + 1):
        policy = settings.precision.policy.value
        dense = keras.layers.Dense(mlp.hidden, mlp.activation.value, dtype=policy, name=f"hidden_{number}")
        carried = _dropped(settings, mlp.dropout, dense(carried), number)
    return carried


def _convolutional(settings: Settings, cnn: Cnn, images: Any) -> Any:
    policy, carried = settings.precision.policy.value, images
    for number in range(1, cnn.blocks + 1):
        filters = cnn.filters * 2 ** (number - 1)
        convolution = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            activation=cnn.activation.value,
            dtype=policy,
            name=f"convolution_{number}",
        )
        pool = keras.layers.MaxPooling2D(2, padding="same", dtype=policy, name=f"pool_{number}")
        carried = pool(convolution(carried))
    carried = keras.layers.Flatten(dtype=policy)(carried)
    carried = _dropped(settings, cnn.dropout, carried, 1)
    dense = keras.layers.Dense(cnn.hidden, cnn.activation.value, dtype=policy, name="hidden_1")
    return _dropped(settings, cnn.dropout, dense(carried), 2)


def _as_images(shape: tuple[int, ...], scaled: Any, settings: Settings) -> Any:
    """[n, height, width, channels]; grey images have one channel."""
    if len(shape) not in (2, 3):
        raise BadData(
            "model=cnn needs images of shape [height, width] or [height, width, channels], "
            f"got {list(shape)}; use model=mlp"
        )
    if len(shape) == 3:
        return scaled
    return keras.layers.Reshape((*shape, 1), dtype=settings.precision.policy.value)(scaled)


def _dropped(settings: Settings, share: float, carried: Any, number: int) -> Any:
    if not share:
        return carried
    policy, seed = settings.precision.policy.value, settings.train.seed + number
    return keras.layers.Dropout(share, seed=seed, dtype=policy)(carried)
