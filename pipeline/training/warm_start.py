"""Training that goes on where another run ended: on more data, or for more epochs (`train.from`).

Weights are taken layer by layer where name and shapes fit; what the optimizer remembers, where all of them do
and the same optimizer goes on. The scaling stays that of the first run, for the weights were found under it.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.data.prepared import Prepared, Scaling, Target
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.models.layers import PREDICTION
from pipeline.settings.kinds import option_name
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training.engine_choice import has_gradients_by_hand
from pipeline.training.state_file import DAMAGED, read_state, write_state

STATE_FILE = "state.npz"
"""Artifact of a run that another one can go on from."""


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What a run leaves behind beside its model, so that a later run can go on from it.

    `state`: everything that the next epoch starts from, as `loop.Loop.get_state` returns it; `loop`: compiled
    or keras, whose order it is in; `epochs`, `steps`: so many were trained, those of earlier runs included.
    """

    state: tuple[np.ndarray, ...]
    loop: str
    optimizer: str
    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class PastCost:
    """What earlier runs have cost; the fields: see `measures.Epoch`."""

    device_seconds: float = 0.0
    joules: float | None = 0.0
    joules_estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """Where a run begins that goes on from another run.

    `training_state`: what the optimizer remembers, None where it does not fit; `epochs`, `steps`: so many
    were trained before this run; `past_cost`: what that took; `fresh_layers`: names of the layers that
    begin with new weights.
    """

    weights: list[np.ndarray]
    training_state: TrainingState | None
    epochs: int
    steps: int
    past_cost: PastCost
    fresh_layers: tuple[str, ...]
    run_id: str | None


Start = list[np.ndarray] | WarmStart | None
"""Where training begins: with weights of another model, where another run ended, or afresh (None)."""


def get_weights_of(start: Start) -> list[np.ndarray] | None:
    """Return the weights to begin with, or None where they are to be drawn."""
    return start.weights if isinstance(start, WarmStart) else start


def get_loop_kind(settings: Settings, prepared: Prepared, engine: Engine) -> str:
    """Return the name of the order in which a state is written: compiled (of a perceptron) or keras."""
    return "compiled" if has_gradients_by_hand(settings, prepared, engine) else "keras"


def pack(state: TrainingState) -> bytes:
    """Return the content of the file that keeps the state."""
    about = {name: getattr(state, name) for name in ("loop", "optimizer", "epochs", "steps")}
    buffer = io.BytesIO()
    write_state(buffer, about, {"state": state.state})
    return buffer.getvalue()


def unpack(content: bytes) -> TrainingState | None:
    """Read what `pack` wrote; return None where it is damaged."""
    try:
        about, (state,) = read_state(io.BytesIO(content), ["state"])
        return TrainingState(state, **about)
    except DAMAGED:
        return None


def take_over_scaling(model: Any, prepared: Prepared) -> Prepared:
    """Return the data as the first run's network saw such data, with the same deviation of a quantity.

    Raises:
        BadModel: the model's front end is another one, so its weights mean other features.
    """
    fronts = ("ngrams", "tokens", "category_", "log_mel")
    if keras_models.get_front_configs(prepared, fronts) != keras_models.get_layer_configs(model, fronts):
        raise BadModel(
            "train.from must be a model with the front end of this data (vocabulary, categories, bands), "
            "got another one; go on with the data and settings that it was fitted on, or train anew"
        )
    answers = next((layer for layer in model.layers if layer.name == PREDICTION), None)
    if answers is not None and prepared.target is not None:
        config = answers.get_config()
        prepared = replace(prepared, target=Target(config["offset"], config["scale"]))
    return adopt_scaling(model, prepared)


def adopt_scaling(model: Any, prepared: Prepared) -> Prepared:
    """Return the data with the scaling of a saved model's features, where it fits."""
    scaling = next((layer for layer in model.layers if layer.name == "scaling"), None)
    if scaling is None:
        return prepared
    config = scaling.get_config()
    mean, std = np.asarray(config["mean"], np.float32), np.asarray(np.sqrt(config["variance"]), np.float32)
    shapes = {(), tuple(prepared.shape)}
    return replace(prepared, scaling=Scaling(mean, std)) if {mean.shape, std.shape} <= shapes else prepared


def take_over_weights(
    model: Any, settings: Settings, prepared: Prepared
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return the weights to begin with, and the names of the layers that begin with new ones.

    Raises:
        BadModel: no layer fits.
    """
    weights_by_name = {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}
    network = keras_models.build_network(settings, prepared)
    weighted = [layer for layer in network.layers if layer.get_weights()]
    in_order = list(weights_by_name.values()) if len(weights_by_name) == len(weighted) else None
    fresh = []
    for number, layer in enumerate(weighted):
        weights = weights_by_name.get(layer.name) or (in_order[number] if in_order else None)
        if weights is not None and _get_shapes(weights) == _get_shapes(layer.get_weights()):
            layer.set_weights(weights)
        else:
            fresh.append(layer.name)
    if len(fresh) == len(weighted):
        raise BadModel(
            "train.from must be a model of which a layer fits, got one with none "
            f"({', '.join(fresh)} would all begin anew); set model=... as it was there"
        )
    return network.get_weights(), tuple(fresh)


def _get_shapes(arrays: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [np.shape(array) for array in arrays]


def plan_warm_start(
    model: Any,
    state: TrainingState | None,
    past_cost: PastCost,
    run_id: str | None,
    settings: Settings,
    prepared: Prepared,
    engine: Engine,
) -> WarmStart:
    """Return where to begin: what the optimizer remembers goes on where loop, layers and optimizer fit."""
    weights, fresh = take_over_weights(model, settings, prepared)
    same_loop = state is not None and not fresh and state.loop == get_loop_kind(settings, prepared, engine)
    fits = same_loop and state is not None and state.optimizer == option_name(type(settings.optimizer))
    return WarmStart(
        weights=weights,
        training_state=state if fits else None,
        epochs=state.epochs if state is not None else 0,
        steps=state.steps if state is not None and fits else 0,
        past_cost=past_cost,
        fresh_layers=fresh,
        run_id=run_id,
    )
