"""The model as an artifact of its run: with its signature, and with the versions that it was made with."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline import signals
from pipeline.data.prepared import Prepared
from pipeline.models.serving.description import describe_model
from pipeline.settings.data import Data
from pipeline.tracking.serving import flavor

if TYPE_CHECKING:
    import keras

    from pipeline.training.privacy.account import PrivacySpent

MOST_CLASSES = 1000
"""Classes of a model that its metadata names."""


def log_model(
    model: "keras.Model",
    prepared: Prepared,
    data: Data,
    register: str | None,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    privacy: "PrivacySpent | None" = None,
    card: str | None = None,
) -> str | None:
    """Log the model, which answers to raw samples, and return its version where it was registered.

    `data`: where the samples came from; `run_id`: of the run that gets it, which stays as it has ended; by
    default the active one. `tags`: of the model and of its version, from their first moment. `privacy`: what
    its training spent of that of its rows, if it was private. `card`: of the model, in Markdown, which lies
    beside it.
    """
    from mlflow.models import Model

    description = describe_model(prepared, data)
    with hide_registry_messages():
        # `mlflow.keras.log_model` takes no run: it writes into the active one, and to make a run active sets
        # it RUNNING. A kill meanwhile would leave a trial that had ended long ago as one that did not.
        logged = Model.log(
            artifact_path=None,
            name="model",
            flavor=flavor,
            flavor_name="keras",
            model=model,
            run_id=run_id,
            model_id=begin_model(run_id, tags),
            description=description,
            card=card,
            example=flavor.make_example(prepared, description, is_private=privacy is not None),
            validate_serving_input=False,  # that loads the model and asks it, each time
            metadata={
                "classes": list(prepared.classes[:MOST_CLASSES]),
                "shape": list(prepared.shape),
                **({"privacy": asdict(privacy)} if privacy else {}),
            },
            tags=dict(tags or {}),
        )
        return register_model(logged.model_id, register, tags)


def register_model(model_id: str, name: str | None, tags: Mapping[str, str] | None) -> str | None:
    """Register a logged model under a name, if there is one, and return its version.

    MLflow makes the registered model first, and then its first version: a signal comes before or after both.
    """
    import mlflow

    if name is None:
        return None
    with signals.hold_back():
        return str(mlflow.register_model(f"models:/{model_id}", name, tags=dict(tags or {})).version)


def begin_model(run_id: str | None, tags: Mapping[str, str] | None) -> str | None:
    """Create the model of a run in the experiment of that run, and return its ID.

    MLflow by itself takes the experiment that is active in this process, which is the run's for the active
    run alone: None then.
    """
    if run_id is None:
        return None
    import mlflow

    run = mlflow.get_run(run_id)
    model = mlflow.initialize_logged_model(
        name="model",
        source_run_id=run_id,
        tags=dict(tags or {}),
        params=run.data.params,
        experiment_id=run.info.experiment_id,
    )
    return str(model.model_id)


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
