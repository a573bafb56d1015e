"""The command `diagnose`: it makes a command line cheaper, and records the evidence."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.cli import save_experiment
from pipeline.cli.compose import compose, fit_to_rows
from pipeline.cli.stages.recording import tell_quality
from pipeline.cli.ui import find_base_address
from pipeline.errors import BadSetting
from pipeline.settings.command_line import CommandLine
from pipeline.settings.diagnosis import Aim
from pipeline.settings.model import Mlp
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from pipeline.data.prepared import Prepared
    from pipeline.diagnosis.attempt import Attempt
    from pipeline.diagnosis.bottleneck import Bottleneck, Case, Words
    from pipeline.diagnosis.improve import Conclusion, Event
    from pipeline.diagnosis.measured_command import MeasuredCommand
    from pipeline.diagnosis.runner import TrialRunner
    from pipeline.profiling.breakdown import Breakdown
    from pipeline.tracking.diagnosis_recorder import DiagnosisRecorder


def run(words: Sequence[str]) -> None:
    """Find a cheaper command line, record and print it, and save it where a name is given."""
    command_line = _compose_start(words)
    settings = command_line.settings
    if settings.device.count > 1:
        raise BadSetting(
            "device.count must be 1 for diagnose, which takes the step of one device apart, "
            f"got {settings.device.count}; leave it out"
        )
    if settings.privacy.is_private:
        raise BadSetting(
            "privacy must be none for diagnose, whose remedies would change what is spent of it, got dp_sgd; "
            "search for a cheaper private training with sweep search.objectives=[accuracy,cost,epsilon]"
        )
    began = time.perf_counter()
    from pipeline.hardware import device

    claimed, import_seconds = device.claim_device(settings.device, pin=True), time.perf_counter() - began
    from pipeline.cli.diagnosis_summary import DiagnosisPrinter
    from pipeline.diagnosis.improve import improve
    from pipeline.diagnosis.remedies import REMEDIES
    from pipeline.diagnosis.runner import TrialRunner
    from pipeline.tracking.diagnosis_recorder import DiagnosisRecorder
    from pipeline.tracking.run_recorder import record_run
    from pipeline.trial.network import check_trial, forget_prepared, load_prepared

    runner = TrialRunner(_compose_settings, settings.diagnose.aim, claimed)
    forget_prepared()
    prepared = load_prepared(settings)
    command_line = fit_to_rows(command_line, len(prepared.train))
    settings, start = command_line.settings, command_line.overrides.trial_part()
    check_trial(prepared, settings)
    _check_memory(prepared, settings)
    tell_quality(prepared)
    with record_run(command_line, "diagnose", claimed) as record:
        record.record_data(prepared)
        log = DiagnosisLog(
            recorder=DiagnosisRecorder(
                record, settings.diagnose.aim, compose, claimed.name, settings.measure
            ),
            import_seconds=import_seconds,
        )
        printer = DiagnosisPrinter(settings.diagnose, log.recorder.cost_name, record, settings.measure)
        printer.print_start(start, claimed.name)
        for event in improve(
            start,
            settings.train.seed,
            runner.run,
            runner.make_case,
            settings.diagnose,
            REMEDIES,
            measure=settings.measure,
        ):
            log.write(event)
            printer.print_event(event)
        final = compose(log.result.words)
        _record_result(log, runner, final, settings)
        record.write_note(printer.write_note(final))
        link = log.recorder.plant_view(log.attempts, find_base_address())
    printer.print_result(final, link)
    if name := settings.diagnose.save:
        first, last = log.baseline.point, log.result.point
        times = first.device_seconds / last.device_seconds
        path = save_experiment.save(name, final, f"Found by diagnose: {times:.3g}x cheaper than it began")
        printer.print_saved(path, name)


# ---- what is diagnosed ------------------------------------------------------------------------------


def _compose_start(words: Sequence[str]) -> CommandLine:
    """Return the whole command; a trained model that it names brings the words of its run.

    Raises:
        BadSetting: a word is wrong, the weights are not fresh, or the name to save under exists.
    """
    command_line = compose(words)
    if command_line.settings.trained is not None:
        from pipeline.tracking import model_references

        command_line = compose(
            [*model_references.find_model(command_line.settings.trained).overrides, *words]
        )
    if command_line.settings.diagnose.save:
        save_experiment.check_name(command_line.settings.diagnose.save)
    if command_line.settings.train.start_from is not None:
        raise BadSetting("diagnose needs train.from=null: it trains afresh, got a run; leave it out")
    if getattr(command_line.settings.model, "pretrained", None):
        raise BadSetting("diagnose needs fresh weights, got model.init=pretrained; leave it out")
    return command_line


def _check_memory(prepared: "Prepared", settings: Settings) -> None:
    """Raise where training samples stream from disk: only Keras can do that, and its waits are not measured.

    Raises:
        BadSetting: the training samples are larger than the limit for memory.
    """
    from pipeline.training import device_data

    if device_data.is_streamed(settings, prepared):
        raise BadSetting(
            f"diagnose needs training samples of at most data.in_memory_limit={settings.data.in_memory_limit}"
            f" bytes, got {prepared.train.features.nbytes}; raise it, or set data.fraction for a part of them"
        )


def _compose_settings(words: "Words") -> Settings:
    return compose(words).settings


# ---- the record ---------------------------------------------------------------------------


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

    def first_and_last_case(self) -> "list[tuple[str, Case]]":
        """Return the first case and, where it differs, the last one, each with its name."""
        first = [("baseline", self.cases[0])]
        changed = self.cases[-1].breakdown.whole != self.cases[0].breakdown.whole
        return [*first, ("last", self.cases[-1])] if changed else first


def _record_result(log: DiagnosisLog, runner: "TrialRunner", final: CommandLine, settings: Settings) -> None:
    """Record pictures and all values, and with `aim=latency` the model as it is served."""
    from pipeline.reports import diagnosis_plots

    recorder, cases = log.recorder, log.first_and_last_case()
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
        f"{loop}{f' (measured: {measured})' if measured else ''}, {case.breakdown.steps:,} steps"
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
