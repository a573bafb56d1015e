"""The record of a walk in MLflow: the diagnose run; nested in it one for the baseline and each attempt.

Every nested run has what the views of trials read: `accuracy`, `cpu_seconds` or `gpu_seconds`, settings as
params, `overrides` as a tag. On the diagnose run those are of the last command line.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from getpass import getuser
from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunTag

from pipeline.data.prepared import Prepared
from pipeline.diagnosis.bottleneck import Verdict, Words
from pipeline.diagnosis.improve import Closed
from pipeline.diagnosis.paired_attempt import Attempt, Measured, accuracies, costs
from pipeline.measures import Point
from pipeline.models.litert import Served
from pipeline.profiling.breakdown import Breakdown
from pipeline.profiling.roofline import Roofline
from pipeline.reports import diagnosis_plots
from pipeline.reports.palette import BLUE, GREY, ORANGE
from pipeline.secrets import masked
from pipeline.settings.command_line import CommandLine
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import flatten
from pipeline.tracking import diagnosis_view, mlflow_store, shared_views
from pipeline.tracking.diagnosis_view import WALK
from pipeline.tracking.model_references import OVERRIDES
from pipeline.tracking.run_recorder import PARAM_LIMIT, TAG_LIMIT, Record

if TYPE_CHECKING:
    import keras

KEPT, REVERTED, LINE = BLUE, ORANGE, GREY
"""Colours of the nested runs and of the line between the kept ones in the UI, as in the pictures."""
LATENCY = "latency_p99_seconds"


class Journal:
    """Writes into the diagnose run and opens those nested in it."""

    def __init__(self, record: Record, aim: Aim, tell: Callable[[Words], CommandLine], device: str) -> None:
        """`tell`: overrides to what they say; `device`: the name that tags every run."""
        self._record, self._tell, self._device = record, tell, device
        self.cost_name = record.cost_metric if aim is Aim.train else LATENCY

    # ---- nested runs --------------------------------------------------------------------------------

    def baseline(self, measured: Measured) -> str:
        """The id of its run."""
        tags = {"kept": "true", "plot_order": "0-000", "mlflow.runColor": KEPT}
        run_id = self._nested("0 baseline", measured.words, tags)
        self._measured(run_id, measured)
        self._record.client.set_terminated(run_id)
        return run_id

    def attempt(self, attempt: Attempt, verdict: Verdict) -> str:
        """The id of its run; one that could not be measured to its end is FAILED."""
        proposal = attempt.proposal
        tags = {
            "kept": str(attempt.kept).lower(),
            "remedy": proposal.remedy,
            "single_point": verdict.part.value,
            "reason": attempt.reason,
            "risk": proposal.risk,
            "plot_order": f"{'0' if attempt.kept else '1'}-{attempt.number:03d}",
            "mlflow.runColor": KEPT if attempt.kept else REVERTED,
        }
        run_id = self._nested(f"{attempt.number} {proposal.remedy}", attempt.words, tags)
        if attempt.after:
            self._measured(run_id, attempt.after)
        self._metrics(run_id, _evidence(attempt))
        self._record.client.set_terminated(run_id, "FINISHED" if attempt.after else "FAILED")
        return run_id

    def _nested(self, name: str, words: Words, tags: Mapping[str, str]) -> str:
        client, told = self._record.client, self._tell(words)
        known = {
            "mlflow.parentRunId": self._record.run_id,
            "mlflow.user": getuser(),
            "mlflow.source.type": "LOCAL",
            "mlflow.source.name": "python -m pipeline",
            "stage": "attempt",
            WALK: self._record.run_id,
            "device": self._device,
            "command": told.command_line("run"),
            OVERRIDES: json.dumps(words),
            **mlflow_store.owner_tags(),
            **tags,
        }
        texts = {key: masked(value)[:TAG_LIMIT] for key, value in known.items()}
        run = client.create_run(self._record.experiment_id, run_name=name, tags=texts)
        flat = {**told.choices, **dict(flatten(told.settings))}
        params = [Param(key, masked(str(value))[:PARAM_LIMIT]) for key, value in flat.items()]
        client.log_batch(run.info.run_id, params=params)
        return str(run.info.run_id)

    def _measured(self, run_id: str, measured: Measured) -> None:
        """The point, and the mean curve that leads to it."""
        point = measured.point
        self._metrics(run_id, {"accuracy": point.accuracy, self.cost_name: point.device_seconds})
        self._at_cost(run_id, point)
        seeds = len(measured.curves)
        for epoch in range(1, measured.epoch + 1):
            mean = sum(accuracies(measured.curves, epoch)) / seeds
            spent = sum(costs(measured.curves, epoch)) / seeds
            self._metrics(run_id, {"train/validation_accuracy": mean, "train/device_seconds": spent}, epoch)
            self._metrics(
                run_id,
                {shared_views.CURVES: mean},
                shared_views.whole_units(spent, shared_views.MILLISECONDS),
            )

    def _at_cost(self, run_id: str, point: Point) -> None:
        """A dot of the chart: accuracy, its cost as the step."""
        unit = diagnosis_view.unit_of(self.cost_name)
        name, step = (
            shared_views.at_cost(self.cost_name, unit),
            shared_views.whole_units(point.device_seconds, unit),
        )
        self._metrics(run_id, {name: point.accuracy}, step)

    def _metrics(self, run_id: str, values: Mapping[str, float], step: int = 0) -> None:
        now = int(time.time() * 1000)
        self._record.client.log_batch(
            run_id, metrics=[Metric(key, float(value), now, step) for key, value in values.items()]
        )

    # ---- the diagnose run -----------------------------------------------------------------------------

    def named(self, verdict: Verdict, breakdown: Breakdown, step: int) -> None:
        """Shares and single point of the command line that holds at attempt `step`."""
        shares = {f"share/{part}": breakdown.share(part) for part in breakdown.parts}
        seconds = {
            f"{breakdown.of}_seconds": breakdown.whole.seconds,
            "share/unexplained": breakdown.unexplained,
        }
        beside = {f"beside/{name.replace(' ', '_')}": span.seconds for name, span in breakdown.beside.items()}
        self._metrics(self._record.run_id, shares | seconds | beside, step)
        if not step:
            tags = {"single_point": verdict.part.value, "single_point.sentence": verdict.sentence}
            self._record.tags(tags)

    def closed(self, baseline: Measured, closed: Closed, attempts: Sequence[Attempt]) -> None:
        """The result; `overrides` and `command` of the run become those of the last command line."""
        first, last = baseline.point, closed.result.point
        self._metrics(
            self._record.run_id,
            {
                "accuracy": last.accuracy,
                self.cost_name: last.device_seconds,
                "baseline/accuracy": first.accuracy,
                f"baseline/{self.cost_name}": first.device_seconds,
                "times_cheaper": first.device_seconds / last.device_seconds,
                "attempts": len(attempts),
                "attempts_kept": sum(each.kept for each in attempts),
            },
        )
        if closed.fresh:
            mean = sum(closed.fresh) / len(closed.fresh)
            self._metrics(self._record.run_id, {"accuracy_on_fresh_seeds": mean})
        tags = {
            OVERRIDES: json.dumps(closed.result.words),
            "final_command": self._tell(closed.result.words).command_line("run"),
            "ended": closed.why,
            WALK: self._record.run_id,
            "plot_order": "0-",
            "mlflow.runColor": LINE,
        }
        for stop in diagnosis_view.path(baseline, attempts, closed.result):
            self._at_cost(self._record.run_id, stop.point)
        self._record.client.log_batch(
            self._record.run_id, tags=[RunTag(key, masked(value)[:TAG_LIMIT]) for key, value in tags.items()]
        )

    def plant(self, attempts: Sequence[Attempt], ui_base: str) -> str:
        """The link to the view of this walk in the UI at `ui_base`."""
        record = self._record
        page = diagnosis_view.page(record.run_id, attempts, self.cost_name)
        name = f"{record.name} {record.run_id[:6]}"
        return shared_views.plant(record.client, record.experiment_id, record.run_id, name, (page,), ui_base)

    def pictures(
        self,
        breakdowns: Sequence[tuple[str, Breakdown]],
        rooflines: Sequence[tuple[str, Roofline]],
        walked: bytes,
    ) -> None:
        """Three pictures; without a roofline two."""
        found = {"pictures/walk.png": walked}
        if breakdowns:
            found["pictures/breakdown.png"] = diagnosis_plots.breakdown(breakdowns)
        if rooflines:
            found["pictures/roofline.png"] = diagnosis_plots.roofline(rooflines, self._device)
        self._record.files(found)

    def values(self, values: Mapping[str, object]) -> None:
        """Everything that was measured, as JSON files by name."""
        texts = {f"{name}.json": json.dumps(value, indent=1, default=str) for name, value in values.items()}
        self._record.files({name: text.encode() for name, text in texts.items()})

    def served(self, model: "keras.Model", prepared: Prepared, served: Served | None) -> None:
        """The Keras model of the last command line, and beside it the file that it is served from."""
        self._record.model(model, prepared, None)
        self._record.served(served)


def _evidence(attempt: Attempt) -> dict[str, float]:
    """What the two tests found, by metric name."""
    before = attempt.before.point
    found = {
        "expected_gain": attempt.proposal.gain,
        "before/accuracy": before.accuracy,
        "before/cost": before.device_seconds,
        "kept": float(attempt.kept),
    }
    if attempt.cost and attempt.gain:
        found |= {"gain": attempt.gain, "cost_confidence": attempt.cost.confidence}
    if attempt.accuracy:
        found |= {
            "accuracy_change": attempt.accuracy.mean,
            "accuracy_confidence": attempt.accuracy.confidence,
        }
    return found
