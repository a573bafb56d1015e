"""The command `diagnose`: it makes a command line cheaper, and records the evidence."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline import signals
from pipeline.cli import save_experiment
from pipeline.cli.compose import compose, fit_to_rows
from pipeline.cli.diagnose.log import DiagnosisLog, record_result
from pipeline.cli.stages.recording import tell_quality, tell_unneeded
from pipeline.cli.ui import find_base_address
from pipeline.errors import BadSetting
from pipeline.formatting import format_number
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from pipeline.cli.diagnose.summary import DiagnosisPrinter
    from pipeline.data.prepared import Prepared
    from pipeline.diagnosis.bottleneck import Words


def run(words: Sequence[str]) -> None:
    """Find a cheaper command line, record and print it, and save it where a name is given."""
    command_line = _compose_start(words)
    settings = command_line.settings
    _check_settings(settings)
    began = time.perf_counter()
    from pipeline.hardware import device

    claimed, import_seconds = device.claim_device(settings.device, pin=True), time.perf_counter() - began
    claimed.check()
    from pipeline.cli.diagnose.summary import DiagnosisPrinter
    from pipeline.diagnosis.improve import improve
    from pipeline.diagnosis.remedies import REMEDIES
    from pipeline.diagnosis.runner import TrialRunner
    from pipeline.tracking.diagnosis_recorder import DiagnosisRecorder
    from pipeline.tracking.record_run import record_run
    from pipeline.trial.network import check_trial, forget_prepared, load_prepared

    runner = TrialRunner(_compose_settings, settings.diagnose.aim, claimed)
    forget_prepared()
    prepared = load_prepared(settings)
    command_line = fit_to_rows(command_line, len(prepared.train))
    settings, start = command_line.settings, command_line.overrides.trial_part()
    check_trial(prepared, settings)
    _check_memory(prepared, settings)
    tell_unneeded("diagnose", command_line.overrides.keys, settings, prepared)
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
        with _show_where_stopped(printer, command_line, start), printer.show_live():
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
        record_result(log, runner, final, settings)
        record.write_note(printer.write_note(final))
        link = log.recorder.plant_view(log.attempts, find_base_address(settings.ui))
    printer.print_result(final, link)
    if name := settings.diagnose.save:
        first, last = log.baseline.point, log.result.point
        times = first.device_seconds / last.device_seconds
        path = save_experiment.save(
            name, final, f"Found by diagnose: {format_number(times)}x cheaper than it began"
        )
        printer.print_saved(path, name)


@contextmanager
def _show_where_stopped(
    printer: "DiagnosisPrinter", command_line: CommandLine, start: "Words"
) -> Iterator[None]:
    """Show how to go on with a diagnosis where Ctrl-C or a signal ends the block."""
    try:
        yield
    except BaseException as error:
        if signals.is_stop(error):
            with signals.hold_back():
                printer.print_stopped(command_line, start)
        raise


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


def _check_settings(settings: Settings) -> None:
    """Refuse what cannot be diagnosed.

    Raises:
        BadSetting: several devices, or private training.
    """
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
