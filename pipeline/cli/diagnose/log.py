"""The events of a diagnosis, kept and recorded; at its end pictures, values and the model that is served."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.formatting import format_count
from pipeline.settings.command_line import CommandLine
from pipeline.settings.diagnosis import Aim
from pipeline.settings.model import Mlp
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from pipeline.diagnosis.attempt import Attempt
    from pipeline.diagnosis.bottleneck import Bottleneck, Case
    from pipeline.diagnosis.improve import Conclusion, Event
    from pipeline.diagnosis.measured_command import MeasuredCommand
    from pipeline.diagnosis.runner import TrialRunner
    from pipeline.profiling.breakdown import Breakdown
    from pipeline.tracking.diagnosis_recorder import DiagnosisRecorder


@dataclass(kw_only=True)
class DiagnosisLog:
    """Every event of a diagnosis, in MLflow and here; `import_seconds`: what importing TensorFlow took."""

    recorder: "DiagnosisRecorder"
    import_seconds: float
    tracking_seconds: float = 0.0
    cases: "list[Case]" = field(default_factory=list)
    verdicts: "list[Bottleneck]" = field(default_factory=list)
    attempts: "list[Attempt]" = field(default_factory=list)
    measured_baseline: "MeasuredCommand | None" = None
    last_event: "Conclusion | None" = None

    def write(self, event: "Event") -> None:
        """Keep one event, and record it in MLflow."""
        from pipeline.diagnosis import attempt, improve

        match event:
            case improve.BaselineMeasured(baseline):
                self.measured_baseline = baseline
                self.tracking_seconds = _time(lambda: self.recorder.record_baseline(baseline))
            case improve.SinglePointNamed(case, verdict):
                self._write_single_point(case, verdict)
            case attempt.Attempt():
                self.attempts.append(event)
                self.recorder.record_attempt(event, self.verdicts[-1])
            case improve.Conclusion():
                self.last_event = event
                self.recorder.record_result(self.baseline, event, self.attempts)

    def _write_single_point(self, case: "Case", verdict: "Bottleneck") -> None:
        from pipeline.profiling.breakdown import summarise_seconds

        extras = {
            **case.breakdown.beside,
            "import": summarise_seconds([self.import_seconds], "TensorFlow, once a process"),
            "tracking": summarise_seconds(
                [self.tracking_seconds], "the record of the baseline in MLflow, once"
            ),
        }
        self.cases.append(replace(case, breakdown=replace(case.breakdown, beside=extras)))
        self.verdicts.append(verdict)
        self.recorder.record_single_point(verdict, self.cases[-1].breakdown, len(self.attempts))

    @property
    def baseline(self) -> "MeasuredCommand":
        """Return what the command line cost and reached before any remedy."""
        assert self.measured_baseline is not None
        return self.measured_baseline

    @property
    def conclusion(self) -> "Conclusion":
        """Return the last event, which says what the diagnosis came to."""
        assert self.last_event is not None
        return self.last_event

    @property
    def result(self) -> "MeasuredCommand":
        """Return the command line that the diagnosis ends with, as it was measured."""
        return self.conclusion.result

    def list_cases(self) -> "list[tuple[str, Case]]":
        """Return the first case and, where it differs, the last one, each with its name."""
        first = [("baseline", self.cases[0])]
        changed = self.cases[-1].breakdown.whole != self.cases[0].breakdown.whole
        return [*first, ("last", self.cases[-1])] if changed else first


def record_result(log: DiagnosisLog, runner: "TrialRunner", final: CommandLine, settings: Settings) -> None:
    """Record pictures and all values, and with `aim=latency` the model as it is served."""
    from pipeline.reports import diagnosis_plots

    recorder, cases = log.recorder, log.list_cases()
    accuracy_needed = (
        sum(log.baseline.accuracies) / len(log.baseline.accuracies) - settings.diagnose.tolerance
    )
    breakdowns: list[tuple[str, Breakdown]] = [
        (_name_case(name, case), case.breakdown) for name, case in cases
    ]
    recorder.log_pictures(
        breakdowns,
        [(name, case.roofline) for name, case in cases if case.roofline],
        diagnosis_plots.draw_improvement(
            log.baseline,
            log.attempts,
            log.conclusion,
            accuracy_needed,
            recorder.cost_name,
            breakdowns[0][1].device,
            settings.measure,
        ),
    )
    recorder.log_values(
        {
            "walk": [asdict(attempt) for attempt in log.attempts],
            "breakdown": {name: asdict(breakdown) for name, breakdown in breakdowns},
            "roofline": {name: asdict(case.roofline) for name, case in cases if case.roofline},
        }
    )
    if settings.diagnose.aim is Aim.latency:
        _record_served_model(log, runner, final)


def _name_case(name: str, case: "Case") -> str:
    from pipeline.training.measured_engine import describe_measured

    settings, loop = case.settings, case.breakdown.loop
    hidden = getattr(settings.model, "hidden", "")
    measured = (
        "" if isinstance(settings.model, Mlp) else describe_measured(settings, case.breakdown.device, loop)
    )
    return (
        f"{name}: batch {settings.train.batch_size}, {hidden} hidden, {settings.precision.policy}, "
        f"{loop}{f' (measured: {measured})' if measured else ''}, "
        f"{format_count(case.breakdown.steps, 'step')}"
    )


def _record_served_model(log: DiagnosisLog, runner: "TrialRunner", final: CommandLine) -> None:
    """Record the Keras model of the last command line, and the file it is served from where there is one."""
    from pipeline.models import litert
    from pipeline.trial.network import load_prepared

    model, prepared = runner.get_model(final.settings), load_prepared(final.settings)
    served = litert.make_served_file(model, final.settings.profile.runtime, prepared.validation)
    log.recorder.record_model(model, prepared, final.settings.data, served)


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
