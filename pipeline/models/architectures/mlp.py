"""A multi-layer perceptron: dense layers alone."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.backend import keras
from pipeline.data.prepared import Prepared
from pipeline.models.architectures import Architecture
from pipeline.models.layers import drop_out, make_logits
from pipeline.settings.model import Init, Mlp
from pipeline.settings.settings import Settings


class MlpArchitecture(Architecture):
    """Hidden layers of one width; without any it is a linear model."""

    is_perceptron = True

    @staticmethod
    def build_logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
        mlp = settings.model
        assert isinstance(mlp, Mlp)
        policy = settings.precision.policy.value
        tensor = keras.layers.Flatten(dtype=features.dtype)(features)
        for number in range(1, mlp.layers + 1):
            dense = keras.layers.Dense(
                mlp.hidden, mlp.activation.value, dtype=policy, name=f"hidden_{number}"
            )
            tensor = drop_out(settings, mlp.dropout, dense(tensor), number)
        return make_logits(settings, prepared, tensor)

    @staticmethod
    def shrink_to_one_unit(model: Mlp) -> Mlp:
        return replace(model, hidden=1, layers=max(1, model.layers))

    @staticmethod
    def list_hidden_sizes(model: Mlp) -> tuple[int, ...]:
        return (model.hidden,) * model.layers

    @staticmethod
    def draw_weights(settings: Settings, sizes: tuple[int, ...], dtype: str) -> list[np.ndarray]:
        """Return weights uniform in +-sqrt(6 / (inputs + outputs)) (glorot) or +-sqrt(6 / inputs) (he).

        [W1, b1, ...], W [inputs, outputs] (Glorot and Bengio 2010; He et al. 2015, doi
        10.1109/ICCV.2015.123). Biases are zero, and so are the last weights of a quantity, which begins at
        its mean. They are drawn by numpy, so they are the same for every engine.
        """
        assert isinstance(settings.model, Mlp)
        draw = np.random.default_rng([settings.train.seed, 0])
        weights: list[np.ndarray] = []
        for inputs, outputs in pairwise(sizes):
            limit = np.sqrt(6 / (inputs if settings.model.init is Init.he else inputs + outputs))
            weights.append(draw.uniform(-limit, limit, (inputs, outputs)).astype(dtype))
            weights.append(np.zeros(outputs, dtype))
        if settings.data.is_regression:
            weights[-2] = np.zeros_like(weights[-2])
        return weights

    @staticmethod
    def compute_relative_work(width: float, layers: float, inputs: int, classes: int) -> float:
        """Return the number of weights."""
        if not layers:
            return float(inputs * classes)
        return width * (inputs + (layers - 1) * width + classes)
