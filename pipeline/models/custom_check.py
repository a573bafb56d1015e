"""What a user's own network must be like, as far as only trying tells it; before anything is trained with it.

It is built again and again: to be trained, to be scored, to be saved, and by other processes. So each time it
must be the same one, and what is saved must come back by its names.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import keras, tf
from pipeline.data.prepared import Prepared
from pipeline.data.samples import take_batch
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.models.architectures.custom import RULE, format_error, know_classes
from pipeline.models.network_structure import describe_structure
from pipeline.models.predictor import make_predictor
from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings

ROWS = 8
"""Samples that a network is tried with."""
CLOSE = 1e-4
"""Answers that differ by no more are the same, but for their rounding."""


def check_custom(settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray]) -> None:
    """Try a user's own network.

    `weights`: as `draw_initial_weights` returns them.

    Raises:
        BadModel: it fails, is another one each time, ends with probabilities, or cannot be loaded again.
    """
    assert isinstance(settings.model, Custom)
    name, samples = settings.model.build, np.asarray(prepared.train.features[:ROWS], np.float32)
    network, second = (keras_models.build_network(settings, prepared, weights) for _ in range(2))
    if _list_trained(network) & _list_trained(second):
        raise BadModel(
            f"{RULE}, a new one each time, got {name}, which returned the same one again; make it within the "
            "function"
        )
    answers, expected = (_compute(built, samples, settings.model) for built in (network, second))
    if not _are_close(answers, expected):
        raise BadModel(
            f"{RULE}, the same one each time, got {name}, whose networks answer differently with the same "
            "weights; draw what is no weight by settings.train.seed"
        )
    if answers.shape[1] > 1 and answers.min() >= 0 and _are_close(answers.sum(1), np.ones(len(answers))):
        raise BadModel(
            f"{RULE} that ends with logits, got {name}, which ends with probabilities; leave that out: "
            "model.output=softmax puts it behind"
        )
    if describe_structure(network) is None:  # it has code of the user's own
        _check_saved(keras_models.build_model(settings, prepared, weights), prepared, name)


SETS_WEIGHTS = "whose layers set weights that are trained, as SpectralNormalization does"
OUT_OF_REACH = "InaccessibleTensorError"
"""TensorFlow's error, which has no public place, where a step asks for what is a tensor of a loop's body."""
CHANGES_WITHIN = "that draws or counts within a loop, as a cell of an RNN with noise does"

_reasons = dict[str, str]()
"""Why Keras' own loop alone can train a user's network, by what decides on that; "" where any loop can."""


def find_reason_for_keras(settings: Settings, prepared: Prepared) -> str:
    """Return what of a network keeps a step that computes new values from old ones from it, or "".

    Such a step would lose what a layer sets itself (SpectralNormalization does so with weights that an
    optimizer changes, too), and cannot reach what changes within a loop of TensorFlow's.

    Raises:
        BadModel: the network cannot be built, or does not compute.
    """
    assert isinstance(settings.model, Custom)
    code = architecture_of(settings.model).hash_code(settings.model)
    key = repr((settings.model, code, settings.precision, prepared.shape, prepared.outputs))
    if key not in _reasons:
        _reasons[key] = _look_for_reason(keras_models.build_fresh(settings, prepared), prepared, settings)
    return _reasons[key]


def _look_for_reason(network: Any, prepared: Prepared, settings: Settings) -> str:
    sets_weights = False

    def step(samples: Any) -> list[Any]:
        nonlocal sets_weights
        with keras.StatelessScope() as scope:
            network(samples, training=True)
        _ = network.losses  # regularizers may raise, too
        trained, others = (
            [value for value in map(scope.get_current_value, variables) if value is not None]
            for variables in (network.trainable_variables, network.non_trainable_variables)
        )
        sets_weights = bool(trained)
        return others

    function = tf.function(step, autograph=False)
    try:
        function.get_concrete_function(tf.zeros((1, *prepared.shape)))
    except Exception as error:  # whatever a user's layers raise
        if type(error).__name__ == OUT_OF_REACH:
            return CHANGES_WITHIN
        assert isinstance(settings.model, Custom)
        raise _explain_failure(settings.model, error, " in training") from None
    return SETS_WEIGHTS if sets_weights else ""


def _list_trained(network: Any) -> set[int]:
    return {id(variable) for variable in network.trainable_variables}


def _compute(network: Any, samples: np.ndarray, model: Custom) -> np.ndarray:
    """Return what a network gives for some samples.

    Raises:
        BadModel: it raises.
    """
    try:
        return np.asarray(network(samples, training=False), np.float64)
    except Exception as error:  # whatever a user's layers raise
        raise _explain_failure(model, error) from None


def _explain_failure(model: Custom, error: Exception, when: str = "") -> BadModel:
    return BadModel(
        f"{RULE} that computes, got {model.build}, which fails{when} ({format_error(error)}); mend it"
    )


def _are_close(answers: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.allclose(answers, expected, rtol=CLOSE, atol=CLOSE, equal_nan=True))


def _check_saved(model: Any, prepared: Prepared, name: str) -> None:
    """Raise where a model cannot be saved, or comes back as another one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        try:
            model.save(path)
            with know_classes(name):
                loaded = keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # whatever Keras or a user's classes raise
            remedy = "give its classes a place at the top of their module and a get_config"
            if "lambda" in str(error).casefold():
                remedy = "write what a lambda does as a class of a layer"
            raise BadModel(
                f"{RULE} that can be saved and loaded, got {name}, which cannot ({format_error(error)}); "
                f"{remedy}"
            ) from None
    samples = take_batch(prepared.train.samples, slice(ROWS))
    if not _are_close(*(make_predictor(built)(samples) for built in (model, loaded))):
        raise BadModel(
            f"{RULE} that can be saved and loaded, got {name}, which answers differently then; let "
            "get_config of its classes tell all that they were made with"
        )
