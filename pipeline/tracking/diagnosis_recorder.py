"""The record of a diagnosis in MLflow: the diagnose run; nested in it one for the baseline and each attempt.

Every nested run has what the views of trials read: `accuracy`, `cpu_seconds` or `gpu_seconds`, settings as
params, `overrides` as a tag. On the diagnose run those are of the last command line.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

from pipeline.data.prepared import Prepared
from pipeline.diagnosis.attempt import Attempt
from pipeline.diagnosis.bottleneck import Bottleneck, Words
from pipeline.diagnosis.improve import Conclusion, count_kept
from pipeline.diagnosis.measured_command import MeasuredCommand, list_accuracies, list_costs
from pipeline.measures import Point
from pipeline.models.litert import ServedFile
from pipeline.profiling.breakdown import Breakdown
from pipeline.profiling.roofline import Roofline
from pipeline.reports import diagnosis_plots
from pipeline.reports.palette import BLUE, GREY, ORANGE
from pipeline.settings.command_line import CommandLine
from pipeline.settings.data import Data
from pipeline.settings.diagnosis import Aim
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure
from pipeline.tracking import diagnosis_view, mlflow_runs, shared_views
from pipeline.tracking.diagnosis_view import WALK
from pipeline.tracking.run_recorder import RunRecorder
from pipeline.tracking.runs.command_record import COMMAND, log_long_overrides, make_overrides_tag
from pipeline.tracking.runs.params import make_params
from pipeline.tracking.runs.run_block import open_during

if TYPE_CHECKING:
    import keras

KEPT, REVERTED, LINE = BLUE, ORANGE, GREY
"""Colours of the nested runs and of the line between the kept ones in the UI, as in the pictures."""
LATENCY = "latency_p99_seconds"


class DiagnosisRecorder:
    """A writer into the diagnose run that also opens those nested in it."""

    def __init__(
        self,
        recorder: RunRecorder,
        aim: Aim,
        interpret: Callable[[Words], CommandLine],
        device: str,
        measure: Measure = ACCURACY_MEASURE,
    ) -> None:
        """Write through `recorder`. `interpret`: reads overrides; `device`: the name that tags every run."""
        self._recorder, self._interpret, self._device = recorder, interpret, device
        self._measure = measure
        self.cost_name = recorder.cost_metric if aim is Aim.train else LATENCY

    # ---- nested runs --------------------------------------------------------------------------------

    def record_baseline(self, measured: MeasuredCommand) -> str:
        """Record the baseline and return the id of its run."""
        tags = {"kept": "true", "plot_order": "0-000", "mlflow.runColor": KEPT}
        with self._open_nested("0 baseline", measured.words, tags) as run_id:
            self._log_measured(run_id, measured)
        return run_id

    def record_attempt(self, attempt: Attempt, bottleneck: Bottleneck) -> str:
        """Record an attempt and return the id of its run; FAILED where it was not measured to its end."""
        proposal = attempt.proposal
        tags = {
            "kept": str(attempt.kept).lower(),
            "decision": attempt.decision.value,
            "remedy": proposal.remedy,
            "single_point": bottleneck.component.value,
            "reason": attempt.reason,
            "risk": proposal.risk,
            "plot_order": f"{'0' if attempt.kept else '1'}-{attempt.number:03d}",
            "mlflow.runColor": KEPT if attempt.kept else REVERTED,
        }
        name, end_status = f"{attempt.number} {proposal.remedy}", "FINISHED" if attempt.after else "FAILED"
        with self._open_nested(name, attempt.words, tags, end_status) as run_id:
            if attempt.after:
                self._log_measured(run_id, attempt.after)
            self._log_metrics(run_id, _list_evidence(attempt, self._measure.metric))
        return run_id

    @contextmanager
    def _open_nested(
        self, name: str, words: Words, tags: Mapping[str, str], end_status: str = "FINISHED"
    ) -> Iterator[str]:
        """Open a nested run for the block and yield its id. `end_status`: once all is recorded."""
        recorder, command_line = self._recorder, self._interpret(words)
        all_tags = {
            "stage": "attempt",
            WALK: recorder.run_id,
            "device": self._device,
            COMMAND: command_line.command_line("run"),
            **make_overrides_tag(words),
            **recorder.nested_tags,
            **tags,
        }
        client, parent = recorder.client, recorder.run_id

        def begin() -> str:
            return mlflow_runs.create_run(client, recorder.experiment_id, name, all_tags, parent)

        def end(run_id: str, status: str) -> None:
            client.set_terminated(run_id, end_status if status == "FINISHED" else status)

        with open_during(begin, end) as run_id:
            log_long_overrides(client, run_id, words)
            mlflow_runs.log_params(client, run_id, make_params(command_line))
            yield run_id

    def _log_measured(self, run_id: str, result: MeasuredCommand) -> None:
        """Log the point, and the mean curve that leads to it."""
        point = result.point
        self._log_metrics(
            run_id, {self._measure.metric: point.accuracy, self.cost_name: point.device_seconds}
        )
        self._log_at_cost(run_id, point)
        # The curve ends at the point: as the clock ran when the baseline was measured.
        scale = point.device_seconds / fmean(list_costs(result.curves, result.epoch))
        for epoch in range(1, result.epoch + 1):
            mean = fmean(list_accuracies(result.curves, epoch))
            device_seconds = scale * fmean(list_costs(result.curves, epoch))
            self._log_metrics(
                run_id,
                {f"train/validation_{self._measure.metric}": mean, "train/device_seconds": device_seconds},
                epoch,
            )
            self._log_metrics(
                run_id,
                {shared_views.make_curves_metric(self._measure): mean},
                shared_views.round_to_units(device_seconds, shared_views.MILLISECONDS),
            )

    def _log_at_cost(self, run_id: str, point: Point) -> None:
        """Log a dot of the chart: accuracy, with its cost as the step."""
        unit = diagnosis_view.choose_unit(self.cost_name)
        name, step = (
            shared_views.make_cost_metric(self.cost_name, unit, self._measure),
            shared_views.round_to_units(point.device_seconds, unit),
        )
        self._log_metrics(run_id, {name: point.accuracy}, step)

    def _log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int = 0) -> None:
        mlflow_runs.log_metrics(self._recorder.client, run_id, mlflow_runs.make_metrics(metrics, step))

    # ---- the diagnose run -----------------------------------------------------------------------------

    def record_single_point(self, bottleneck: Bottleneck, breakdown: Breakdown, step: int) -> None:
        """Record the shares and the single point of the command line that holds at attempt `step`."""
        shares = {f"share/{component}": breakdown.share(component) for component in breakdown.parts}
        seconds = {
            f"{breakdown.of}_seconds": breakdown.whole.seconds,
            "share/unexplained": breakdown.unexplained,
        }
        side_seconds = {
            f"beside/{name.replace(' ', '_')}": span.seconds for name, span in breakdown.beside.items()
        }
        self._log_metrics(self._recorder.run_id, shares | seconds | side_seconds, step)
        if not step:
            tags = {
                "single_point": bottleneck.component.value,
                "single_point.sentence": bottleneck.sentence,
            }
            self._recorder.set_tags(tags)

    def record_result(
        self, baseline: MeasuredCommand, conclusion: Conclusion, attempts: Sequence[Attempt]
    ) -> None:
        """Record the result; `overrides` and `command` of the run become those of the last command line."""
        first, last = baseline.point, conclusion.result.point
        self._log_metrics(
            self._recorder.run_id,
            {
                self._measure.metric: last.accuracy,
                self.cost_name: last.device_seconds,
                f"baseline/{self._measure.metric}": first.accuracy,
                f"baseline/{self.cost_name}": first.device_seconds,
                "times_cheaper": first.device_seconds / last.device_seconds,
                "attempts": len(attempts),
                "attempts_kept": count_kept(attempts, conclusion),
            },
        )
        if conclusion.gain:
            interval = {"times_cheaper_low": conclusion.gain.low, "times_cheaper_high": conclusion.gain.high}
            self._log_metrics(self._recorder.run_id, interval)
        if conclusion.fresh_accuracies:
            mean = sum(conclusion.fresh_accuracies) / len(conclusion.fresh_accuracies)
            self._log_metrics(self._recorder.run_id, {f"{self._measure.metric}_on_fresh_seeds": mean})
        tags = {
            **make_overrides_tag(conclusion.result.words),
            "final_command": self._interpret(conclusion.result.words).command_line("run"),
            "ended": conclusion.reason,
            WALK: self._recorder.run_id,
            "plot_order": "0-",
            "mlflow.runColor": LINE,
        }
        for stop in diagnosis_view.list_baselines(baseline, attempts, conclusion.result):
            self._log_at_cost(self._recorder.run_id, stop.point)
        self._recorder.set_tags(tags)
        log_long_overrides(self._recorder.client, self._recorder.run_id, conclusion.result.words)

    def plant_view(self, attempts: Sequence[Attempt], ui_base: str) -> str:
        """Set the view of this diagnosis into its experiment; return its link in the UI at `ui_base`."""
        record = self._recorder
        page = diagnosis_view.make_page(record.run_id, attempts, self.cost_name, self._measure)
        name = f"{record.name} {record.run_id[:6]}"
        return shared_views.plant_views(
            record.client, record.experiment_id, record.run_id, name, (page,), ui_base
        )

    def log_pictures(
        self,
        breakdowns: Sequence[tuple[str, Breakdown]],
        rooflines: Sequence[tuple[str, Roofline]],
        walked: bytes,
    ) -> None:
        """Log three pictures; two where there is no roofline."""
        pictures = {"pictures/walk.png": walked}
        if breakdowns:
            pictures["pictures/breakdown.png"] = diagnosis_plots.draw_breakdown(breakdowns)
        if rooflines:
            pictures["pictures/roofline.png"] = diagnosis_plots.draw_roofline(rooflines, self._device)
        self._recorder.log_files(pictures)

    def log_values(self, values: Mapping[str, object]) -> None:
        """Log everything that was measured, as JSON files by name."""
        texts = {f"{name}.json": json.dumps(value, indent=1, default=str) for name, value in values.items()}
        self._recorder.log_files({name: text.encode() for name, text in texts.items()})

    def record_model(
        self, model: "keras.Model", prepared: Prepared, data: Data, served: ServedFile | None
    ) -> None:
        """Log the Keras model of the last command line, and the file that it is served from."""
        self._recorder.record_model(model, prepared, data)
        self._recorder.record_served(served)


def _list_evidence(attempt: Attempt, metric: str) -> dict[str, float]:
    """Return what the two tests found, by metric name."""
    before = attempt.before.point
    evidence = {
        "expected_gain": attempt.proposal.gain,
        f"before/{metric}": before.accuracy,
        "before/cost": before.device_seconds,
        "kept": float(attempt.kept),
    }
    if attempt.cost and attempt.gain:
        evidence |= {"gain": attempt.gain, "cost_confidence": attempt.cost.confidence}
    if attempt.gain_interval:
        evidence |= dict(zip(("gain_low", "gain_high"), attempt.gain_interval, strict=True))
    if attempt.accuracy:
        evidence |= {
            f"{metric}_change": attempt.accuracy.mean,
            f"{metric}_confidence": attempt.accuracy.confidence,
        }
    return evidence
