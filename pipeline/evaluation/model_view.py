"""Data as a trained model sees them: with the features and the scaling that it was fitted with.

Other data have a front end of their own, with other categories and other pieces of numbers: what they make of
a sample says nothing of what the model makes of it.
"""

from dataclasses import replace
from typing import Any

from pipeline.backend import keras
from pipeline.data.features import FrontEnd
from pipeline.data.prepared import Prepared, Split
from pipeline.models.attacks.attack import SCALING
from pipeline.models.predictor import make_predictor
from pipeline.training.warm_start import adopt_scaling


def see_as_model(model: Any, front: FrontEnd | None, prepared: Prepared) -> Prepared:
    """Return the data with the features and the scaling of a saved Keras model.

    `front`: the front end that is part of the model; None: it has none, or it is not known.
    """
    if front is None or front == prepared.front or SCALING not in {layer.name for layer in model.layers}:
        return adopt_scaling(model, prepared)
    to_features = make_predictor(keras.Model(model.input, model.get_layer(SCALING).input))

    def convert(split: Split) -> Split:
        return replace(split, features=to_features(split.samples))

    train, validation, test = map(convert, (prepared.train, prepared.validation, prepared.test))
    shape = tuple(train.features.shape[1:])
    prepared = replace(prepared, front=front, train=train, validation=validation, test=test, shape=shape)
    return adopt_scaling(model, prepared)
