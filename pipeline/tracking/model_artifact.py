"""The model as an artifact of its run: with its signature, and with the versions that it was made with."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Table, Texts

if TYPE_CHECKING:
    import keras

PINNED = ("tensorflow", "keras", "mlflow", "numpy")


def log_model(
    model: "keras.Model",
    prepared: Prepared,
    register: str | None,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> str | None:
    """Log the model, which answers to raw samples, and return its version where it was registered.

    `run_id`: of the run that gets it, which stays as it has ended; by default the active one. `tags`: of the
    model and of its version, from their first moment.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    answers = TensorSpec(np.dtype(model.output.dtype), (-1, prepared.outputs))
    signature = ModelSignature(Schema(make_input_specs(prepared)), Schema([answers]))
    with hide_registry_messages():
        # `mlflow.keras.log_model` takes no run: it writes into the active one, and to make a run active sets
        # it RUNNING. A kill meanwhile would leave a trial that had ended long ago as one that did not.
        logged = Model.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.keras,
            model=model,
            run_id=run_id,
            signature=signature,
            pip_requirements=[f"{package}=={version(package)}" for package in PINNED],
            registered_model_name=register,
            tags=dict(tags or {}),
        )
    return None if logged.registered_model_version is None else str(logged.registered_model_version)


def make_input_specs(prepared: Prepared) -> list[Any]:
    """Return MLflow's description of what a user can send."""
    from mlflow.types import TensorSpec

    match prepared.train.samples:
        case Texts():
            return [TensorSpec(np.dtype(object), (-1,))]  # Keras takes no arrays of str
        case Table(numeric=numeric, categorical=categorical):
            dtypes = dict.fromkeys(numeric, np.float32) | dict.fromkeys(categorical, object)
            return [TensorSpec(np.dtype(dtype), (-1,), name) for name, dtype in dtypes.items()]
        case array if prepared.front is None:
            return [TensorSpec(array.dtype, (-1, *array.shape[1:]))]
        case (
            _
        ):  # sounds may be of any length, and int16 or floats in -1..1, which a cast to int16 would silence
            return [TensorSpec(np.dtype(np.float32), (-1, -1))]


@contextmanager
def hide_registry_messages() -> Iterator[None]:
    """Drop what MLflow prints of what it registers; anything else that it prints is passed on."""
    captured = io.StringIO()
    try:
        with redirect_stderr(captured):
            yield
    finally:
        for line in captured.getvalue().splitlines():
            if not line.startswith(("Successfully registered model", "Created version", "Registered model")):
                print(line, file=sys.stderr)
