"""One trial's record in MLflow. Everything is written outside the clock, in as few calls as possible."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import mlflow
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.entities import DatasetInput, InputTag, Metric

from pipeline.data.report import encode_columns, write_columns_csv
from pipeline.formatting import format_code
from pipeline.measures import Cost, Curve, Epoch, PowerDraw, Seconds
from pipeline.settings.command_line import Overrides
from pipeline.settings.data import Data
from pipeline.settings.measuring import Price
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure
from pipeline.settings.searching.objectives import EPSILON
from pipeline.tracking import mlflow_runs
from pipeline.tracking.metrics.cost import list_cost_metrics, list_step_metrics
from pipeline.tracking.metrics.curve import list_epoch_metrics
from pipeline.tracking.metrics.evaluation import list_evaluation_metrics
from pipeline.tracking.metrics.names import name_energy
from pipeline.tracking.runs import command_record, notes

if TYPE_CHECKING:  # what draws or trains is imported where it is needed: a user's own loop needs none of it
    import keras

    from pipeline.data.prepared import Prepared
    from pipeline.evaluation.evaluate import AnyEvaluation
    from pipeline.models.litert import ServedFile
    from pipeline.profiling.measure_roofline import MeasuredStep
    from pipeline.training.privacy.account import PrivacySpent
    from pipeline.training.train import Trained
    from pipeline.training.warm_start import Start

FLUSH_SECONDS = 5.0


class RunRecorder:
    """A writer into one run."""

    def __init__(
        self,
        client: mlflow.MlflowClient,
        run_id: str,
        device: str,
        measure: Measure = ACCURACY_MEASURE,
    ) -> None:
        """Write into the run of this id.

        `device`: `cpu` or `gpu`, which names the metric of cost; `measure`: what the accuracies are.
        """
        self._measure = measure
        self._has_accuracy = False
        self.client = client
        self.run_id = run_id
        self.cost_metric = f"{device}_seconds"
        self.nested_tags: Mapping[str, str] = {}
        """Of the user's own, for the runs that are nested in this one."""
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()
        info = client.get_run(run_id).info
        self.name, self.experiment_id = str(info.run_name), str(info.experiment_id)

    def record_epoch(self, epoch: Epoch) -> None:
        """Record a point of the curve, by epoch and by device-milliseconds; sent every few seconds."""
        for step, values in list_epoch_metrics(epoch, self.cost_metric, self._measure):
            self.add_metrics(values, step)
        extras = {EPSILON: epoch.epsilon, "train/core_share": epoch.core_share}
        self.add_metrics(extras, step=epoch.number)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def record_training(self, trained: "Trained") -> None:
        """Record the result of training."""
        from pipeline.reports import trial_plots

        self.record_curve(trained.curve, trained.chosen_epoch, trained.engine)
        self.record_clock(trained.curve, trained.energy, trained.settings.price)
        if (spent := trained.privacy) is not None:
            self.record_privacy(spent.describe())
            self._log_texts({"privacy.json": _to_json(spent)})
        picture = trial_plots.draw_learning_curves(trained.curve, self._measure)
        self._log_pictures({"pictures/learning_curve.png": picture})

    def record_privacy(self, line: str, epsilon: float | None = None) -> None:
        """Record in a line what was spent of the privacy of the rows; `epsilon`: where no epoch says it."""
        self.set_tags({mlflow_runs.PRIVACY: line})
        self.add_metrics({EPSILON: epsilon})

    def record_curve(self, curve: Curve, chosen: Epoch, engine: str) -> None:
        """Record what training came to. `chosen`: the epoch whose state is kept; `engine`: what trained."""
        self.add_metrics({self._measure.metric: chosen.validation_accuracy}, chosen.number)
        self._has_accuracy = True
        self.set_tags({"engine": engine, "fair_midway": str(curve.fair_midway).lower()})

    def record_warm_start(self, trained: "Trained", start: "Start") -> None:
        """Record what a later run can start from, and which run this one started from."""
        from pipeline.training import warm_start
        from pipeline.training.warm_start import WarmStart

        if (state := trained.to_training_state(start)) is not None:
            self.log_files({warm_start.STATE_FILE: warm_start.pack(state)})
        if isinstance(start, WarmStart):
            tags = {"continued_from": start.run_id or "", "continued_fresh": ",".join(start.fresh_layers)}
            self.set_tags({**tags, "continued_optimizer": str(start.training_state is not None).lower()})
            self.add_metrics({"train/device_seconds_before": start.past_cost.device_seconds})

    def record_clock(self, curve: Curve, energy: PowerDraw, price: Price) -> None:
        """Record how far others used the device, the energy of the whole curve and its price.

        What is unknown is absent; `energy`: of what was trained now, for its power.
        """
        last = curve.last
        contended = sum(epoch.contended for epoch in curve.epochs)
        self.set_tags({"contended": str(contended > 0).lower()})
        metrics = {
            "train/contended_epochs": contended,
            "train/lost_seconds": last.lost_seconds,
            **name_energy(last.joules, last.joules_estimated, price),
            "train/power_watts": None if energy.estimated else energy.watts,
            "train/gpu_busy": energy.busy,
            f"cost_{price.currency}": price.of(last.device_seconds),
        }
        self.add_metrics(metrics, last.number)

    def record_data(self, prepared: "Prepared") -> None:
        """Record the data: an MLflow dataset for each split, the reports and a grid of samples."""
        from pipeline.data.quality.check import look_through
        from pipeline.data.quality.report import encode_quality
        from pipeline.reports import run_pictures

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
        self.set_tags({mlflow_runs.DATA: prepared.source_sha256, "data.key": prepared.key})
        self._log_texts({"data/report.json": _to_json(prepared.report)})
        if prepared.columns:
            self._log_texts({"data/columns.json": encode_columns(prepared.columns)})
            self._log_texts({"data/columns.csv": write_columns_csv(prepared.columns)})  # the UI shows it
        self._log_texts({"data/quality.json": encode_quality(look_through(prepared))})
        self._log_pictures({"pictures/samples.png": run_pictures.draw_samples(prepared)})

    def record_evaluation(self, evaluation: "AnyEvaluation", prepared: "Prepared") -> None:
        """Record the scores of the three splits, and the mistakes on the test split.

        In a run that has trained, the accuracy of the validation split is a metric already: `accuracy`.
        """
        from pipeline.evaluation.quantities import QuantityEvaluation
        from pipeline.reports import run_pictures

        twice = f"evaluate/validation_{self._measure.metric}" if self._has_accuracy else None
        for step, values in list_evaluation_metrics(evaluation):
            self.add_metrics({name: value for name, value in values.items() if name != twice}, step)
        self._log_pictures(run_pictures.draw_evaluation(evaluation, prepared))
        if not isinstance(evaluation, QuantityEvaluation):
            evaluation = replace(evaluation, saliency=())  # a number for each pixel: drawn, not written
        self._log_texts({"evaluation.json": _to_json(evaluation)})

    def write_note(self, text: str) -> None:
        """Write Markdown on the run's page, above the command that repeats it; pictures by artifact path."""
        pictures = re.sub(
            r"!\[(.*?)\]\((.+?)\)", rf"![\1](get-artifact?path=\2&run_uuid={self.run_id})", text
        )
        command = self.client.get_run(self.run_id).data.tags[command_record.COMMAND]
        notes.write_note(self.client, self.run_id, f"{pictures}\n\n{format_code(command)}")

    def record_cost(self, cost: Cost) -> None:
        """Record latency, throughput and sizes."""
        for step, values in list_cost_metrics(cost):
            self.add_metrics(values, step)
        self._log_texts({"profile.json": _to_json(cost)})

    def record_step(self, step: "MeasuredStep") -> None:
        """Record what a training step takes, and its place under the roof of the device."""
        self.add_metrics(list_step_metrics(step))
        self._log_texts({"step.json": _to_json(step)})

    def record_seconds(self, seconds: Seconds) -> None:
        """Record the wall seconds by purpose."""
        self.add_metrics({f"seconds/{name}": value for name, value in asdict(seconds).items()})

    def record_model(
        self,
        model: "keras.Model",
        prepared: "Prepared",
        data: Data,
        register: str | None = None,
        privacy: "PrivacySpent | None" = None,
        card: str | None = None,
    ) -> None:
        """Log the model of this run, which was trained on `data`; `register`: under this name, too."""
        from pipeline.tracking import model_artifact

        model_artifact.log_model(model, prepared, data, register, privacy=privacy, card=card)

    def record_card(
        self, overrides: Overrides, prepared: "Prepared", evaluation: "AnyEvaluation | None" = None
    ) -> str:
        """Log the card of the model of this run, with all that is recorded so far, and return it."""
        from pipeline.reports.cards.markdown import CARD_FILE
        from pipeline.tracking.serving import model_cards

        self.flush()
        card = model_cards.make_run_card(self.client, self.run_id, overrides, prepared, evaluation)
        self._log_texts({CARD_FILE: card})
        return card

    def record_served(self, served: "ServedFile | None") -> None:
        """Log the file that the model is served from, with its own accuracy, if there is one."""
        if served is not None:
            self.log_files({f"export/{served.runtime}{served.suffix}": served.content})
            name = f"export/validation_{served.measure.metric}"
            compiled = f"export/compiled_validation_{served.measure.metric}"
            metrics = {name: served.accuracy, compiled: served.compiled_accuracy}
            self.add_metrics({**metrics, "export/bytes": len(served.content)})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, masked and cut to MLflow's limit."""
        mlflow_runs.set_tags(self.client, self.run_id, tags)

    def flush(self) -> None:
        """Send the metrics that wait."""
        mlflow_runs.log_metrics(self.client, self.run_id, self._waiting)
        self._waiting, self._flushed = [], time.monotonic()

    def add_metrics(self, values: Mapping[str, float | None], step: int = 0) -> None:
        """Add metrics of one step, to be sent with the next ones; what is None or NaN is left out."""
        self._waiting += mlflow_runs.make_metrics(values, step)

    def _log_pictures(self, pictures: Mapping[str, bytes]) -> None:
        self.log_files(pictures)

    def _log_texts(self, texts: Mapping[str, str]) -> None:
        self.log_files({name: text.encode() for name, text in texts.items()})

    def log_files(self, files: Mapping[str, bytes]) -> None:
        """Log artifacts by their path in the run."""
        mlflow_runs.log_files(self.client, self.run_id, files)


def _to_json(value: object) -> str:
    return json.dumps(asdict(value), indent=2, default=_to_plain)  # type: ignore[call-overload]


def _to_plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else str(value)
