"""The layers between scaled features and logits, one function a kind of model."""

from typing import Any

from pipeline.backend import keras
from pipeline.data.features import Tokens
from pipeline.data.prepared import Prepared
from pipeline.errors import BadData
from pipeline.settings.model import Cnn, Mlp, Text
from pipeline.settings.settings import Settings


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
        case Text() as text:
            return _bag_of_embeddings(settings, text, prepared, scaled)
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


def _bag_of_embeddings(settings: Settings, text: Text, prepared: Prepared, tokens: Any) -> Any:
    """Mean and maximum over the words of their embeddings, then a hidden layer; 0 is no word."""
    front, policy = prepared.front, settings.precision.policy.value
    if not isinstance(front, Tokens):
        raise BadData(
            f"model=text needs texts as tokens, got samples of shape {list(prepared.shape)}; use a data set "
            "of texts, with vocabulary.form=auto or tokens"
        )
    embedding = keras.layers.Embedding(len(front.vocabulary) + 2, text.width, dtype=policy, name="embedding")
    words = _dropped(settings, text.dropout, embedding(tokens), 1)
    there = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(tokens, 0), -1), words.dtype)
    words = words * there
    mean = keras.ops.sum(words, 1) / keras.ops.maximum(keras.ops.sum(there, 1), 1)
    carried = keras.ops.concatenate([mean, keras.ops.max(words, 1)], -1)
    if text.hidden:
        dense = keras.layers.Dense(text.hidden, text.activation.value, dtype=policy, name="hidden_1")
        carried = dense(carried)
    return _dropped(settings, text.dropout, carried, 2)


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
