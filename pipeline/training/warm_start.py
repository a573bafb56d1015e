"""Training that goes on where another run ended: on more data, or for more epochs (`train.from`).

Weights are taken layer by layer where name and shapes fit; what the optimizer remembers, where all of them do
and the same optimizer goes on. The scaling stays that of the first run, for the weights were found under it.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pipeline.data.prepared import Prepared, Scaling
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.settings.settings import Settings, option_name
from pipeline.settings.training import Engine

FILE = "state.npz"
"""Artifact of a run that another one can go on from."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a run leaves behind beside its model.

    `state`: as `loops.Loop.state` gives it; `loop`: compiled or keras, whose order it is in; `epochs`,
    `steps`: taken so far, by the runs before, too.
    """

    state: tuple[np.ndarray, ...]
    loop: str
    optimizer: str
    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a run begins that goes on from another.

    `left`: with the optimizer's memory, where it fits; `epochs`, `steps`: before this run; `device_seconds`:
    what they cost; `fresh`: layers that begin anew.
    """

    weights: list[np.ndarray]
    left: Left | None
    epochs: int
    steps: int
    device_seconds: float
    fresh: tuple[str, ...]
    run_id: str | None


def loop_of(engine: Engine) -> str:
    return "keras" if engine is Engine.keras else "compiled"


def packed(left: Left) -> bytes:
    """As a file."""
    about = {name: getattr(left, name) for name in ("loop", "optimizer", "epochs", "steps")}
    buffer = io.BytesIO()
    arrays = {f"state{number}": array for number, array in enumerate(left.state)}
    np.savez(buffer, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
    return buffer.getvalue()


def unpacked(content: bytes) -> Left | None:
    """What `packed` wrote; None where it is damaged."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            state = tuple(file[f"state{number}"] for number in range(len(file.files) - 1))
            return Left(state, **about)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def under_scaling_of(model: Any, prepared: Prepared) -> Prepared:
    """The data as the first run's network saw such data.

    Raises:
        BadModel: the model's front end is another one, so its weights mean other features.
    """
    fronts = ("ngrams", "tokens", "category_", "log_mel")
    mine = keras_models.front_configs(prepared, fronts)
    theirs = keras_models.configs_of(model, fronts)
    if mine != theirs:
        raise BadModel(
            "train.from must be a model with the front end of this data (vocabulary, categories, bands), "
            "got another one; go on with the data and settings that it was fitted on, or train anew"
        )
    scaling = next((layer for layer in model.layers if layer.name == "scaling"), None)
    if scaling is None:
        return prepared
    config = scaling.get_config()
    mean, std = (np.asarray(each, np.float32) for each in (config["mean"], np.sqrt(config["variance"])))
    shapes = {(), tuple(prepared.shape)}
    return replace(prepared, scaling=Scaling(mean, std)) if {mean.shape, std.shape} <= shapes else prepared


def taken_over(
    model: Any, settings: Settings, prepared: Prepared
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """The weights to begin with, and the names of the layers that begin anew.

    Raises:
        BadModel: no layer fits.
    """
    theirs = {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}
    network = keras_models.network(settings, prepared)
    weighted = [layer for layer in network.layers if layer.get_weights()]
    in_turn = list(theirs.values()) if len(theirs) == len(weighted) else None
    fresh = []
    for place, layer in enumerate(weighted):
        given = theirs.get(layer.name) or (in_turn[place] if in_turn else None)
        if given is not None and _shapes(given) == _shapes(layer.get_weights()):
            layer.set_weights(given)
        else:
            fresh.append(layer.name)
    if len(fresh) == len(weighted):
        raise BadModel(
            "train.from must be a model of which a layer fits, got one with none "
            f"({', '.join(fresh)} would all begin anew); set model=... as it was there"
        )
    return network.get_weights(), tuple(fresh)


def _shapes(arrays: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [np.shape(array) for array in arrays]


def onward(
    model: Any,
    left: Left | None,
    device_seconds: float,
    run_id: str | None,
    settings: Settings,
    prepared: Prepared,
    engine: Engine,
) -> Onward:
    """Where to begin: `left` is used where everything fits."""
    weights, fresh = taken_over(model, settings, prepared)
    same = left is not None and not fresh and left.loop == loop_of(engine)
    fits = same and left is not None and left.optimizer == option_name(type(settings.optimizer))
    epochs, steps = (left.epochs, left.steps) if left is not None else (0, 0)
    return Onward(
        weights, left if fits else None, epochs, steps if fits else 0, device_seconds, fresh, run_id
    )
