"""A user's own network, by its dotted name: called, and checked before anything is trained with it."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pipeline.backend import keras
from pipeline.errors import BadModel
from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings

RULE = "model.build must name a function of (shape, classes, settings) that returns a Keras model"


def logits(settings: Settings, custom: Custom, classes: int, features: Any) -> Any:
    """The user's model, called on scaled features [n, *shape]: its outputs [n, classes].

    Raises:
        BadModel: there is no such function, it fails, or what it returns does not fit.
    """
    shape = tuple(features.shape[1:])
    model = _built(_function(custom.build), custom.build, shape, classes, settings)
    _check_takes(model, custom.build, shape)
    _check_gives(model, custom.build, classes)
    return model(features)


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the folder that the user is in
    try:
        found = getattr(import_module(module), function)
    except Exception as error:  # whatever importing a user's module raises
        raise BadModel(f"{RULE}, got {name} ({_line(error)}); mend it, or the name") from None
    if not callable(found):
        raise BadModel(f"{RULE}, got {name}, which is {type(found).__name__}; name a function")
    return found  # type: ignore[no-any-return]


def _built(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], classes: int, settings: Settings
) -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision.policy.value)
    try:
        model = function(shape, classes, settings)
    except Exception as error:  # whatever a user's function raises
        raise BadModel(f"{RULE}, got {name}, which failed ({_line(error)}); mend it") from None
    finally:
        keras.config.set_dtype_policy(before)
    if not isinstance(model, keras.Model):
        raise BadModel(f"{RULE}, got {name}, which returned {type(model).__name__}; return keras.Model(...)")
    return model


def _check_takes(model: Any, name: str, shape: tuple[int, ...]) -> None:
    if not model.built:
        try:
            model.build((None, *shape))
        except Exception as error:
            raise BadModel(
                f"{RULE} for samples of shape {shape}, got {name}, whose model does not take them "
                f"({_line(error)}); mend it"
            ) from None
    taken = getattr(model, "input_shape", (None, *shape))
    wanted = (None, *shape)
    fits = isinstance(taken, tuple) and len(taken) == len(wanted)
    if not fits or any(side not in (None, want) for side, want in zip(taken, wanted, strict=True)):
        raise BadModel(
            f"{RULE} for samples of shape {shape}, got {name}, whose model takes {taken}; "
            "begin it with keras.Input(shape)"
        )


def _check_gives(model: Any, name: str, classes: int) -> None:
    given = model.output_shape
    if not isinstance(given, tuple) or given != (None, classes):
        raise BadModel(
            f"{RULE} with one output for each of {classes} classes, got {name}, whose model gives {given}; "
            "end it with keras.layers.Dense(classes)"
        )
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    if isinstance(last, keras.layers.Softmax) or activation in ("softmax", "sigmoid"):
        raise BadModel(
            f"{RULE} that ends with logits, got {name}, which ends with probabilities; leave "
            "that out: model.output=softmax or sigmoid puts it behind"
        )


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')[:120]}"
