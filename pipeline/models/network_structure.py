"""What shapes a Keras network's code: text that two networks share only if they compute alike.

A sweep builds a network for each trial. Where only weights, seeds and shares of dropout differ, the code that
was compiled for one of them serves all.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.backend import keras

SEED = "seed"
"""The key of a configuration that says what a layer draws; the state of its generator is a variable."""

VALUES = ("__keras_tensor__", "__tuple__", "__numpy__", "__tensor__")
"""Class names of serialized values, which have no code."""

POLICY = "DTypePolicy"
"""In the class name of a precision, whose name says what is computed, and is none of a layer."""

ADAPTED = {"Normalization": "mean", "IntegerLookup": "vocabulary", "StringLookup": "vocabulary"}
"""Layers that may have learnt from samples what is a constant of their code: no configuration has it then."""


def describe_structure(model: Any, dropout_layers: Sequence[Any] = ()) -> str | None:
    """Return a SHA-256 (hex) of the network without its weights; None where it cannot be told.

    It can be told of layers that come with Keras, for their configuration says all. Code of a user's own may
    depend on what no configuration names. `dropout_layers`: their shares are arguments of the compiled code.
    """
    try:
        config = model.get_config()
    except NotImplementedError:  # a subclassed model
        return None
    if not all(_tells_all(part) for part in _list_parts(config)):
        return None
    shared_names = {layer.name for layer in dropout_layers}
    numbers = {name: number for number, name in enumerate(dict.fromkeys(_list_names(config)))}
    text = json.dumps(_strip(config, numbers, shared_names), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _list_parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every serialized object of a configuration."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _list_parts(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _list_parts(value)


def _tells_all(part: dict[str, Any]) -> bool:
    """Return whether the code of a serialized object comes with Keras, and its configuration says all."""
    if part["class_name"] in VALUES:
        return True
    learnt = ADAPTED.get(part["class_name"])
    if learnt and part["config"].get(learnt) is None:
        return False
    module = part.get("module") or ""
    return module.split(".")[0] == "keras" and "Lambda" not in part["class_name"]


def _list_names(config: Any) -> Iterator[str]:
    """Yield the names of models, layers and operations, in the order of writing."""
    if isinstance(config, dict):
        if POLICY in config.get("class_name", ""):
            return
        if isinstance(config.get("name"), str):
            yield config["name"]
        for value in config.values():
            yield from _list_names(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _list_names(value)


def _strip(config: Any, numbers: dict[str, int], shared: set[str], kind: str = "") -> Any:
    """Return the configuration with numbers for names, without seeds and shares of dropout.

    `kind`: the class that it is of, if any.
    """
    if isinstance(config, dict):
        inner_kind = config.get("class_name", "")
        if POLICY in inner_kind:
            return config
        own_share = kind == "Dropout" and config.get("name") in shared
        return {
            key: numbers[value]
            if key == "name" and isinstance(value, str)
            else _strip(value, numbers, shared, inner_kind)
            for key, value in config.items()
            if key != SEED and not (own_share and key == "rate")
        }
    if isinstance(config, list | tuple):
        # An edge of the network: [name of the layer, number of the call, number of the output].
        if len(config) == 3 and isinstance(config[0], str) and config[0] in numbers:
            return [numbers[config[0]], *config[1:]]
        return [_strip(value, numbers, shared) for value in config]
    return config


def get_widest_output(model: Any) -> int:
    """Return how many numbers a sample has in the largest output of a layer, of inner networks as well.

    A side of any length counts as one.
    """
    outputs = keras.tree.flatten([getattr(model, "outputs", []), list(_iterate_outputs(model))])
    return max((math.prod(size or 1 for size in output.shape[1:]) for output in outputs), default=1)


def _iterate_outputs(model: Any) -> Iterator[Any]:
    """Yield what the operations of a network give, call by call."""
    for operation in getattr(getattr(model, "_functional", None) or model, "operations", ()):
        yield from (node.output_tensors for node in operation._inbound_nodes)
        yield from _iterate_outputs(operation)
