"""One trial's record in MLflow. Everything is written outside the clock, in as few calls as possible."""

import io
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import asdict
from functools import cache
from getpass import getuser
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL, PIPE, run
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

from pipeline import signals
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Table, Texts
from pipeline.errors import Stopped
from pipeline.evaluation.evaluate import Evaluation
from pipeline.hardware.device import Held
from pipeline.measures import Cost, Epoch, Seconds
from pipeline.models.litert import Served
from pipeline.reports import run_pictures, trial_plots
from pipeline.secrets import masked
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import flatten
from pipeline.tracking import mlflow_store, shared_views
from pipeline.tracking.model_references import OVERRIDES
from pipeline.training import warm_start
from pipeline.training.train import Start, Trained
from pipeline.training.warm_start import Onward

if TYPE_CHECKING:
    import keras

PARAM_LIMIT, TAG_LIMIT, BATCH_LIMIT = 6000, 8000, 1000
FLUSH_SECONDS = 5.0
PINNED = ("tensorflow", "keras", "mlflow", "numpy")


class Record:
    """Writes into one run."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str, device: str) -> None:
        """`device` is `cpu` or `gpu`: it names the metric of device-seconds."""
        self.client = client
        self.run_id = run_id
        self.cost_metric = f"{device}_seconds"
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()
        info = client.get_run(run_id).info
        self.name, self.experiment_id = str(info.run_name), str(info.experiment_id)

    def epoch(self, epoch: Epoch) -> None:
        """One more state of the curve, by epoch and by device-milliseconds; sent every few seconds."""
        self._metrics(
            {
                "train/loss": epoch.train_loss,
                "train/validation_loss": epoch.validation_loss,
                "train/validation_accuracy": epoch.validation_accuracy,
                self.cost_metric: epoch.device_seconds,
            },
            step=epoch.number,
        )
        if epoch.core_share is not None:
            self._metrics({"train/core_share": epoch.core_share}, step=epoch.number)
        cost = shared_views.whole_units(epoch.device_seconds, shared_views.MILLISECONDS)
        self._metrics({shared_views.CURVES: epoch.validation_accuracy}, step=cost)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def trained(self, trained: Trained) -> None:
        """The result of training: `accuracy` is validation accuracy, what a search maximises."""
        curve = trained.curve
        self._metrics({"accuracy": trained.kept.validation_accuracy}, trained.kept.number)
        self.tags({"engine": trained.engine, "fair_midway": str(curve.fair_midway).lower()})
        self._clock(trained)
        self._pictures({"pictures/learning_curve.png": trial_plots.learning_curves(curve)})

    def left(self, trained: Trained, start: Start) -> None:
        """What a later run can go on from, and which run this one went on from."""
        if (left := trained.left(start)) is not None:
            self.files({warm_start.FILE: warm_start.packed(left)})
        if isinstance(start, Onward):
            told = {"continued_from": start.run_id or "", "continued_fresh": ",".join(start.fresh)}
            self.tags({**told, "continued_optimizer": str(start.left is not None).lower()})
            self._metrics({"train/device_seconds_before": start.device_seconds})

    def _clock(self, trained: Trained) -> None:
        """Whether the device was ours alone, what it drew, what that costs; what is not known is absent."""
        last, price, drawn = trained.curve.last, trained.settings.price, trained.drawn
        contended = sum(epoch.contended for epoch in trained.curve.epochs)
        self.tags({"contended": str(contended > 0).lower()})
        known = {
            "train/contended_epochs": contended,
            "train/lost_seconds": last.lost_seconds,
            "train/energy_joules": drawn.joules,
            "train/power_watts": drawn.watts,
            "train/gpu_busy": drawn.busy,
            f"cost_{price.currency}": price.of(last.device_seconds),
        }
        self._metrics({key: value for key, value in known.items() if value is not None}, last.number)

    def prepared(self, prepared: Prepared) -> None:
        """The data: an MLflow dataset for each split, the report and a grid of samples."""
        splits = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
        source = LocalArtifactDatasetSource(str(prepared.directory))
        inputs = []
        for context, split in splits.items():
            dataset = mlflow.data.from_numpy(
                split.features[:1],  # the schema; the digest below covers everything
                targets=split.labels[:1],
                source=source,
                name=f"{context}-{len(split.labels)}",
                digest=prepared.key[:36],
            )
            tag = InputTag("mlflow.data.context", context)
            inputs.append(DatasetInput(dataset._to_mlflow_entity(), [tag]))
        self.client.log_inputs(self.run_id, inputs)
        self.tags({"data.sha256": prepared.source_sha256, "data.key": prepared.key})
        self._texts({"data/report.json": _json(prepared.report)})
        self._pictures({"pictures/samples.png": run_pictures.of_samples(prepared)})

    def evaluation(self, evaluation: Evaluation, prepared: Prepared) -> None:
        """Scores of the three splits, and what went wrong on the test split."""
        splits = {"train": evaluation.train, "validation": evaluation.validation, "test": evaluation.test}
        self._metrics({f"evaluate/{name}_accuracy": score.accuracy for name, score in splits.items()})
        self._metrics({f"evaluate/{name}_loss": score.loss for name, score in splits.items()})
        for score in evaluation.classes:
            self._metrics(
                {
                    f"evaluate/test_precision/{_name(score.name)}": score.precision,
                    f"evaluate/test_recall/{_name(score.name)}": score.recall,
                }
            )
        self._metrics(
            {
                "evaluate/test_calibration_error": evaluation.calibration_error,
                "evaluate/gap_train_test": evaluation.gap_train_test,
                "evaluate/gap_train_validation": evaluation.gap_train_validation,
            }
        )
        for each in evaluation.shifted:
            metric = "evaluate/test_accuracy_under_shift_by_severity"
            self._metrics({metric: each.test}, step=each.severity)
        if evaluation.accuracy_under_shift is not None and evaluation.test_accuracy_under_shift is not None:
            self._metrics(
                {
                    "accuracy_under_shift": evaluation.accuracy_under_shift,
                    "evaluate/test_accuracy_under_shift": evaluation.test_accuracy_under_shift,
                }
            )
        self._pictures(run_pictures.of_evaluation(evaluation, prepared))
        self._texts({"evaluation.json": _json(evaluation)})

    def note(self, text: str) -> None:
        """Markdown for the run's page, above the command that repeats it; pictures by their artifact path."""
        pictures = re.sub(
            r"!\[(.*?)\]\((.+?)\)", rf"![\1](get-artifact?path=\2&run_uuid={self.run_id})", text
        )
        command = self.client.get_run(self.run_id).data.tags["command"]
        self.tags({"mlflow.note.content": f"{pictures}\n\n`{command}`"})

    def cost(self, cost: Cost) -> None:
        """Latency, throughput and sizes."""
        latency = cost.latency
        self._metrics(
            {
                "profile/latency_p50_ms": latency.p50_ms,
                "profile/latency_p95_ms": latency.p95_ms,
                "profile/latency_p99_ms": latency.p99_ms,
                "profile/parameters": cost.parameters,
                "profile/flops": cost.flops,
                "profile/peak_memory_bytes": cost.peak_memory_bytes,
                "profile/model_bytes": cost.model_bytes,
            }
        )
        for size, throughput in cost.throughput.items():
            self._metrics({"profile/throughput_by_batch": throughput}, step=size)
        self._texts({"profile.json": _json(cost)})

    def seconds(self, seconds: Seconds) -> None:
        self._metrics({f"seconds/{name}": value for name, value in asdict(seconds).items()})

    def model(self, model: "keras.Model", prepared: Prepared, register: str | None) -> None:
        """The model of this run."""
        log_model(model, prepared, register)

    def served(self, served: Served | None) -> None:
        """The file that the model is served from, with its own accuracy, if there is one."""
        if served is not None:
            self.files({f"export/{served.runtime}.tflite": served.content})
            found = {"export/validation_accuracy": served.accuracy, "export/bytes": len(served.content)}
            self._metrics(found)

    def tags(self, tags: Mapping[str, str]) -> None:
        self.client.log_batch(self.run_id, tags=_tags(tags))

    def flush(self) -> None:
        """Send the metrics that wait."""
        for start in range(0, len(self._waiting), BATCH_LIMIT):
            self.client.log_batch(self.run_id, metrics=self._waiting[start : start + BATCH_LIMIT])
        self._waiting, self._flushed = [], time.monotonic()

    def _metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        now = int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), now, step) for key, value in values.items()]

    def _pictures(self, pictures: Mapping[str, bytes]) -> None:
        self.files(pictures)

    def _texts(self, texts: Mapping[str, str]) -> None:
        self.files({name: text.encode() for name, text in texts.items()})

    def files(self, files: Mapping[str, bytes]) -> None:
        """Artifacts by path."""
        log_files(self.client, self.run_id, files)


def log_files(client: mlflow.MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    """Artifacts by their path in the run, in one call."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run_id, folder)


def log_model(
    model: "keras.Model", prepared: Prepared, register: str | None, run_id: str | None = None
) -> str:
    """The model, answering to raw samples, with its signature and the versions it was made with; its URI.

    `run_id`: of the run that gets it, by default the active one.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    probabilities = TensorSpec(np.dtype(model.output.dtype), (-1, len(prepared.classes)))
    signature = ModelSignature(Schema(_sent(prepared)), Schema([probabilities]))
    with mlflow.start_run(run_id=run_id) if run_id else nullcontext(), _unannounced():
        logged = mlflow.keras.log_model(
            model,
            name="model",
            signature=signature,
            pip_requirements=[f"{package}=={version(package)}" for package in PINNED],
            registered_model_name=register,
        )
    return str(logged.model_uri)


@contextmanager
def _unannounced() -> Iterator[None]:
    """MLflow prints what it registers; anything else that it says is passed on."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            if not line.startswith(("Successfully registered model", "Created version", "Registered model")):
                print(line, file=sys.stderr)


@contextmanager
def recording(told: CommandLine, stage: str, held: Held, into: str | None = None) -> Iterator[Record]:
    """A run that ends as what happened inside: FINISHED, FAILED, KILLED.

    `into` names a finished run to add to, which keeps its status; else the run that `mlflow run` opened is
    adopted, or one is opened.
    """
    client = mlflow_store.open_store()
    mlflow_store.reap(client)
    before = client.get_run(into).info.status if into else None
    status, record = "FAILED", None
    try:
        with signals.held_back():
            record = Record(client, into or _opened(client, told, stage), held.kind)
            _describe(record, told, stage, held, fresh=into is None)
        with mlflow.start_run(run_id=record.run_id):
            yield record
        status = "FINISHED"
    except BaseException as error:
        if signals.requested() or isinstance(error, KeyboardInterrupt | Stopped):
            status = "KILLED"
        raise
    finally:
        if record is not None:
            with signals.held_back():
                record.flush()
                client.set_terminated(record.run_id, status=before or status)


def _describe(record: Record, told: CommandLine, stage: str, held: Held, fresh: bool) -> None:
    """Params and tags that are known before the work begins; a run that is added to keeps its own."""
    tags = {"device": held.name, **mlflow_store.owner_tags()}
    if held.cores:
        tags["cores"] = ",".join(map(str, held.cores))
    if fresh:
        tags |= {"stage": stage, "command": told.command_line(stage), **git_tags()}
        tags |= {
            OVERRIDES: json.dumps(told.overrides),
            "mlflow.note.content": f"`{told.command_line(stage)}`",
        }
    record.tags(tags)  # first the owner: from here on a killed run is found
    if fresh:
        record.client.log_batch(record.run_id, params=_params(record.client, record.run_id, told))


def _opened(client: mlflow.MlflowClient, told: CommandLine, stage: str) -> str:
    name = told.settings.tracking.run_name or run_name(told, stage)
    if adopted := mlflow_store.adopted_run():
        for key, value in client.get_run(adopted).data.tags.items():
            if masked(value) != value:
                client.set_tag(adopted, key, masked(value))
        client.set_tag(adopted, "mlflow.runName", name)
        return adopted
    experiment = mlflow_store.experiment_id(client, told.settings.tracking.experiment)
    source = {"mlflow.source.type": "LOCAL", "mlflow.source.name": "python -m pipeline"}
    tags = {"mlflow.user": getuser(), **source, **mlflow_store.owner_tags()}
    return str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)


def run_name(told: CommandLine, stage: str) -> str:
    """`digits mlp 256 adam float32`, with the stage in front where it is one stage alone."""
    settings, choices = told.settings, told.choices
    words = [
        stage if stage != "run" else "",
        choices["data"],
        choices["model"],
        str(getattr(settings.model, "hidden", "")),
        choices["optimizer"],
        settings.precision.policy.value,
    ]
    return " ".join(word for word in words if word)


def _params(client: mlflow.MlflowClient, run_id: str, told: CommandLine) -> list[Param]:
    """The composed settings, flat. `mlflow run -P` logs what was typed, and a param cannot be changed."""
    typed = client.get_run(run_id).data.params
    flat = {**told.choices, **dict(flatten(told.settings))}
    texts = {key: masked(str(value))[:PARAM_LIMIT] for key, value in flat.items()}
    return [Param(key, text) for key, text in texts.items() if key not in typed]


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, masked(value)[:TAG_LIMIT]) for key, value in tags.items()]


@cache
def git_tags() -> dict[str, str]:
    """Commit of the checkout and whether it was changed since; nothing outside a git checkout."""
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower()} if commit else {}


def _git(*words: str) -> str:
    try:
        done = run(
            ["git", *words], cwd=mlflow_store.CHECKOUT, stdout=PIPE, stderr=DEVNULL, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _sent(prepared: Prepared) -> list[Any]:
    """MLflow's description of what a user can send."""
    from mlflow.types import TensorSpec

    match prepared.train.samples:
        case Texts():
            return [TensorSpec(np.dtype(object), (-1,))]  # Keras takes no arrays of str
        case Table(numeric=numeric, categorical=categorical):
            kinds = dict.fromkeys(numeric, np.float32) | dict.fromkeys(categorical, object)
            return [TensorSpec(np.dtype(kind), (-1,), name) for name, kind in kinds.items()]
        case array if prepared.front is None:
            return [TensorSpec(array.dtype, (-1, *array.shape[1:]))]
        case array:  # sounds may be of any length
            return [TensorSpec(array.dtype, (-1, -1))]


def _name(text: str) -> str:
    """A class name as part of a metric's name: MLflow allows letters, digits, `_-. :/`."""
    return re.sub(r"[^\w\-. :]", "_", text)


def _json(value: object) -> str:
    return json.dumps(asdict(value), indent=2, default=_plain)  # type: ignore[call-overload]


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else str(value)
