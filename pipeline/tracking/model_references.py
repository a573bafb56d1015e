"""Trained models by reference: a run id, a `runs:/` or `models:/` URI, or a path."""

import json
import re
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException

from pipeline.errors import BadModel, FulcrumError
from pipeline.files import expand_home
from pipeline.models.serving.description import DESCRIPTION_FILE, ModelDescription, decode_description
from pipeline.secrets import mask
from pipeline.settings.command_line import Overrides
from pipeline.settings.searching.objectives import EPSILON, KINDS_OF_ENERGY, OBJECTIVES
from pipeline.tracking import mlflow_store
from pipeline.tracking.mlflow_runs import DATA, PRIVACY
from pipeline.tracking.runs.command_record import read_overrides
from pipeline.tracking.serving import flavor, model_files
from pipeline.training import warm_start
from pipeline.training.warm_start import PastCost, TrainingState

if TYPE_CHECKING:
    import keras

FILES = (".keras", ".h5")
RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A place where a model lies, and the run that made it: its id and its overrides."""

    text: str
    uri: str
    run_id: str | None
    overrides: tuple[str, ...]


def find_model(text: str) -> ModelReference:
    """Find what `text` refers to; loads nothing yet.

    Raises:
        BadModel: there is no such run, registered model or path.
    """
    if RUN_ID.fullmatch(text):
        return _find_by_run(text, f"runs:/{text}/model", text)
    if text.startswith("runs:/"):
        return _find_by_run(text, text, text.removeprefix("runs:/").partition("/")[0])
    if text.startswith("models:/"):
        return _find_registered(text)
    path = expand_home(text)
    if not path.exists():
        raise _explain_missing(text, "no such path, and not a run id, runs:/ or models:/ URI")
    return ModelReference(text, str(path), None, ())


def _find_by_run(text: str, uri: str, run_id: str) -> ModelReference:
    client = mlflow_store.open_store()
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise _explain_missing(text, error.message) from None
    return ModelReference(text, uri, run_id, read_overrides(client, run))


def _find_registered(text: str) -> ModelReference:
    client = mlflow_store.open_store()
    try:
        name, alias, number = re.fullmatch(r"models:/([^/@]+)(?:@(.+)|/(\d+))", text).groups()  # type: ignore[union-attr]
        version = (
            client.get_model_version_by_alias(name, alias)
            if alias
            else client.get_model_version(name, number)
        )
    except AttributeError:
        raise _explain_missing(text, "the form is models:/NAME@ALIAS or models:/NAME/VERSION") from None
    except MlflowException as error:
        raise _explain_missing(text, error.message) from None
    return (
        _find_by_run(text, text, version.run_id) if version.run_id else ModelReference(text, text, None, ())
    )


def load_model(reference: ModelReference) -> "keras.Model":
    """Load the Keras model; nothing that lies in it is run or unpickled.

    Classes of the user's own are those of the code that the command line of its run names.

    Raises:
        BadModel: what lies there is no Keras model, or it has code in it; there is no such code here.
    """
    try:
        known = _know_classes(reference)
    except BadModel as missing:  # a network of layers of Keras alone needs no such code
        try:
            return _load(reference)
        except BadModel:
            raise missing from None
    with known:
        return _load(reference)


def _know_classes(reference: ModelReference) -> AbstractContextManager[Any]:
    build = Overrides(reference.overrides).to_dict().get("model.build")
    if build is None:
        return nullcontext()
    from pipeline.models.architectures import custom

    return custom.know_classes(build)


def _load(reference: ModelReference) -> "keras.Model":
    try:
        if reference.uri.endswith(FILES):
            return model_files.load_file(Path(reference.uri))
        return model_files.load_folder(Path(mlflow.artifacts.download_artifacts(reference.uri)))
    except FulcrumError:
        raise
    except Exception as error:  # Keras and MLflow raise many kinds for a file that is no model
        if "lambda" in str(error).casefold():
            raise BadModel(
                f"a trained model must have no code of its own, got {mask(reference.text)} with a Lambda "
                "layer, which runs what is stored in the file; write the layer as a class, and save it again"
            ) from None
        raise _explain_missing(reference.text, f"it holds no Keras model: {error}") from None


def fetch_model(reference: ModelReference) -> tuple[ModelReference, ModelDescription | None]:
    """Bring a model's files to this machine; return where they lie, and what must be known to ask it.

    The latter is None for a model of version 0.1.0, or a plain file.

    Raises:
        BadModel: its files cannot be read.
    """
    if reference.uri.endswith(FILES):
        return reference, None
    folder = _download(reference)
    file = folder / flavor.DATA / DESCRIPTION_FILE
    description = decode_description(json.loads(file.read_text())) if file.is_file() else None
    return replace(reference, uri=str(folder)), description


def _download(reference: ModelReference) -> Path:
    try:
        return Path(mlflow.artifacts.download_artifacts(reference.uri))
    except (MlflowException, OSError) as error:
        raise _explain_missing(reference.text, f"its files cannot be read: {error}") from None


def find_folder(reference: ModelReference) -> Path:
    """Return the folder of a model that MLflow saved, on this machine.

    Raises:
        BadModel: its files cannot be read, or MLflow has not saved them.
    """
    folder = _download(reference)
    if not (folder / "MLmodel").is_file():
        raise BadModel(
            f"trained must be a model that MLflow saved, got {reference.text}, which has no MLmodel; "
            "name its run, or the folder that MLflow saved it in"
        )
    return folder


def load_training_state(reference: ModelReference, device: str) -> tuple[TrainingState | None, PastCost]:
    """Load what a model's run left for a later one, and what it has cost; None and nothing without a run.

    Raises:
        BadModel: it was trained on another kind of device, whose seconds cannot be added to this one's.
    """
    if reference.run_id is None:
        return None, PastCost()
    client = mlflow_store.open_store()
    metrics = client.get_run(reference.run_id).data.metrics
    other_kind = "gpu" if device == "cpu" else "cpu"
    if f"{device}_seconds" not in metrics and f"{other_kind}_seconds" in metrics:
        raise BadModel(
            f"train.from must be a run on a {device}, whose seconds can be added up, got {reference.text} "
            f"of a {other_kind}; set device={other_kind}"
        )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = client.download_artifacts(reference.run_id, warm_start.STATE_FILE, folder)
            state = warm_start.unpack(Path(path).read_bytes())
    except (MlflowException, OSError):  # a run that left nothing, as where other weights than the last count
        state = None
    return state, _read_past_cost(metrics, f"{device}_seconds")


def _read_past_cost(metrics: Mapping[str, float], cost_metric: str) -> PastCost:
    """Read what a run has cost; its energy is unknown where the run says nothing of it."""
    measured, estimated = (metrics.get(OBJECTIVES[name].metric) for name in KINDS_OF_ENERGY)
    joules = estimated if measured is None else measured
    return PastCost(metrics.get(cost_metric, 0.0), joules, measured is None and estimated is not None)


def read_data(reference: ModelReference) -> str | None:
    """Read the SHA-256 (hex) of the data that a model was trained on; None where no run says it."""
    if reference.run_id is None:
        return None
    digest: str | None = mlflow_store.open_store().get_run(reference.run_id).data.tags.get(DATA)
    return digest


def read_privacy(reference: ModelReference) -> tuple[str, float | None]:
    """Read what the training of a model has spent of the privacy of its rows: in a line, and its epsilon.

    Without a run, or of one that was not private, it is "" and None.
    """
    if reference.run_id is None:
        return "", None
    data = mlflow_store.open_store().get_run(reference.run_id).data
    return data.tags.get(PRIVACY, ""), data.metrics.get(EPSILON)


def _explain_missing(text: str, reason: str) -> BadModel:
    line = next(iter(mask(reason).strip().splitlines()), "")[:200]
    return BadModel(
        f"a trained model must be a run id, runs:/ID/model, models:/NAME@ALIAS or a path, "
        f"got {mask(text)} ({line}); see the runs with: python -m pipeline ui"
    )
