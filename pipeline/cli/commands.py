"""The commands: compose, prepare, open a run, work, record, say what came out.

Everything that a user can get wrong is checked before a run is opened, so a mistake records nothing.
TensorFlow and MLflow are imported inside the functions: a mistake in the settings is told before.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pipeline.cli import diagnose, help, studies, ui
from pipeline.cli.compose import compose, fit_to_rows
from pipeline.cli.explain import composed
from pipeline.cli.explain.names import INT8
from pipeline.cli.loops import run_loop
from pipeline.cli.loops import words as loop_words
from pipeline.errors import BadModel, BadSetting, FulcrumError
from pipeline.measures import Epoch, Seconds
from pipeline.settings import addresses
from pipeline.settings.command_line import CommandLine
from pipeline.settings.measuring import Runtime
from pipeline.settings.tracking import RecordInto
from pipeline.settings.training import Engine, UserLoop

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.data.prepared import Prepared
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.tracking.model_references import ModelReference
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.training.privacy.account import PrivacySpent
    from pipeline.training.warm_start import Start


MULTIRUN = {"--multirun", "-m"}


def run(command: str, words: Sequence[str]) -> None:
    """Run one command.

    Raises:
        FulcrumError: see `pipeline.errors`; the text is one line.
    """
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "run": _run,
        "preprocess": _preprocess,
        "train": _train,
        "evaluate": _evaluate,
        "predict": _predict,
        "profile": _profile,
        "serve-bench": _serve_bench,
        "sweep": _sweep,
        "frontier": _frontier,
        "studies": studies.run,
        "diagnose": diagnose.run,
        "doctor": _doctor,
        "ui": ui.run,
    }
    if command not in commands:
        near = get_close_matches(command, commands, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadSetting(f"the command must be one of {', '.join(help.COMMANDS)}, got {command}{hint}")
    if composed.is_asked(words):
        print(composed.format_composed(command, words))
        return
    loop_words.check_command(command, words)
    commands[command](words)


# ---- what stands before a run is opened ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Preparation:
    """What is ready before a run is opened: settings, the device, the prepared data and what that took."""

    command_line: CommandLine
    device: "ClaimedDevice"
    prepared: "Prepared"
    prepare_seconds: float


def _prepare(command_line: CommandLine) -> _Preparation:
    addresses.check_store()  # before TensorFlow is imported
    from pipeline.data.preprocess import preprocess
    from pipeline.hardware import device
    from pipeline.trial.network import time_call

    claimed = device.claim_device(command_line.settings.device, pin=True)
    if warning := device.explain_unseen_gpu():
        print(f"warning: {warning}", file=sys.stderr)
    prepared, seconds = time_call(lambda: preprocess(command_line.settings))
    return _Preparation(command_line, claimed, prepared, seconds)


def _fit_to_rows(preparation: _Preparation) -> _Preparation:
    fitted = fit_to_rows(preparation.command_line, len(preparation.prepared.train))
    return replace(preparation, command_line=fitted)


def _plan_start(preparation: _Preparation) -> "tuple[_Preparation, Start]":
    """Return where training begins; where it goes on from another run, the data get that one's scaling."""
    settings = preparation.command_line.settings
    if settings.train.start_from is None:
        return preparation, _load_start_weights(preparation.command_line)
    from pipeline.tracking import model_references
    from pipeline.training import engine_choice, warm_start

    reference = model_references.find_model(settings.train.start_from)
    model = model_references.load_model(reference)
    prepared = warm_start.take_over_scaling(model, preparation.prepared)
    state, device_seconds = model_references.load_training_state(reference, preparation.device.kind)
    engine = engine_choice.pick_engine(settings, preparation.device, prepared)
    start = warm_start.plan_warm_start(
        model, state, device_seconds, reference.run_id, settings, prepared, engine
    )
    if start.fresh_layers:
        print(f"train.from: {', '.join(start.fresh_layers)} did not fit and begin anew", file=sys.stderr)
    return replace(preparation, prepared=prepared), start


def _name_engine(preparation: _Preparation, start: "Start") -> _Preparation:
    """Check the trial, and name the engine that was chosen by measurement: the command repeats the curve."""
    from pipeline.models.architectures import architecture_of
    from pipeline.training import engine_choice
    from pipeline.trial.network import check_trial

    command_line, prepared = preparation.command_line, preparation.prepared
    settings = command_line.settings
    check_trial(prepared, settings, start)
    if settings.engine is not Engine.auto or architecture_of(settings.model).is_perceptron:
        return preparation
    engine = engine_choice.pick_engine(settings, preparation.device, prepared)
    named = compose([*command_line.overrides, f"engine={engine}"])
    return replace(preparation, command_line=named)


def _load_start_weights(command_line: CommandLine) -> "list[np.ndarray] | None":
    """Return the weights of another model, where the settings say so."""
    pretrained: str | None = getattr(command_line.settings.model, "pretrained", None)
    if pretrained is None:
        return None
    from pipeline.models import keras_models
    from pipeline.tracking import model_references

    return keras_models.get_dense_weights(
        model_references.load_model(model_references.find_model(pretrained))
    )


def _compose_with_model(words: Sequence[str]) -> "tuple[CommandLine, ModelReference]":
    """Return the settings as the model's own run had them, with what is typed now on top, and the model."""
    command_line = compose(words)
    if command_line.settings.trained is None:
        raise BadSetting("trained must be a run id, registry URI or path, got nothing; add trained=...")
    from pipeline.tracking import model_references

    reference = model_references.find_model(command_line.settings.trained)
    if command_line.settings.record is RecordInto.model and reference.run_id is None:
        raise BadSetting(f"record must be own for a model without a run, got model with {reference.text}")
    if kind := loop_words.find_kind(reference.overrides):
        raise BadSetting(
            f"trained must be a network with data of its own, got {reference.text} of trial={kind}; "
            "use what MLflow has for its models"
        )
    return compose([*reference.overrides, *words]), reference


def _load_fitting_model(reference: "ModelReference", prepared: "Prepared") -> "keras.Model":
    from pipeline.models import keras_models
    from pipeline.tracking import model_references

    model = model_references.load_model(reference)
    if not keras_models.fits_data(model, prepared):
        wants, gives = model.input_shape, model.output_shape[-1]
        samples = tuple(prepared.train.samples.shape[1:])
        raise BadModel(
            f"the model must fit the data (samples {samples}, {prepared.outputs} {_name_answers(prepared)}), "
            f"got {reference.text} (samples {wants}, {gives} outputs); choose the data with data=..."
        )
    return model


def _name_answers(prepared: "Prepared") -> str:
    return "classes" if prepared.target is None else "quantity"


# ---- the commands ------------------------------------------------------------------------------------


@contextmanager
def _open_record(preparation: _Preparation, stage: str, into: str | None = None) -> "Iterator[RunRecorder]":
    from pipeline.tracking.run_recorder import record_run

    with record_run(preparation.command_line, stage, preparation.device, into) as record:
        record.record_data(preparation.prepared)
        yield record


@contextmanager
def _show_epochs(command_line: CommandLine, record: "RunRecorder") -> Iterator[Callable[[Epoch], None]]:
    """Give the function that records an epoch and shows it."""
    from pipeline.cli.run_screen import RunScreen

    def show(epoch: Epoch) -> None:
        record.record_epoch(epoch)
        screen.show_epoch(epoch)

    with RunScreen(command_line.settings.train.epochs, command_line.settings.measure) as screen:
        yield show


def _record_model(
    record: "RunRecorder",
    model: "keras.Model",
    preparation: _Preparation,
    privacy: "PrivacySpent | None",
) -> None:
    settings = preparation.command_line.settings
    record.record_model(model, preparation.prepared, settings.data, settings.tracking.register, privacy)


def _run(words: Sequence[str]) -> None:
    """Run one trial, or with `--multirun` one for each combination of the values that are typed."""
    if not MULTIRUN & set(words):
        _run_any(compose(words))
        return
    from pipeline.cli import arguments
    from pipeline.cli.sweep import space as sweep_space

    pairs = arguments.normalise_words(word for word in words if word not in MULTIRUN)
    fixed, several = sweep_space.split_words(loop_words.rename(pairs))
    grid = sweep_space.build_space([], {}, fixed, several)
    # All are composed before the first is trained: a mistake in one is told at once.
    for command_line in [
        compose([*fixed, *grid.to_overrides(params)]) for params in grid.iterate_combinations()
    ]:
        _run_any(command_line)


def _run_any(command_line: CommandLine) -> None:
    """Run one trial of a network, or of a training loop of the user's own."""
    if isinstance(command_line.settings.trial, UserLoop):
        run_loop.run(command_line)
    else:
        _run_one(command_line)


def _run_one(command_line: CommandLine) -> None:
    preparation = _fit_to_rows(_prepare(command_line))
    from pipeline.cli import run_summary
    from pipeline.trial.network import run_trial

    preparation, start = _plan_start(preparation)
    preparation = _name_engine(preparation, start)
    command_line = preparation.command_line
    with _open_record(preparation, "run") as record:
        with _show_epochs(command_line, record) as show:
            result = run_trial(preparation.prepared, command_line.settings, show, start)
        record.record_training(result.trained)
        record.record_warm_start(result.trained, start)
        record.record_evaluation(result.evaluation, preparation.prepared)
        record.record_cost(result.cost)
        record.record_seconds(replace(result.seconds, prepare=preparation.prepare_seconds))
        _record_model(record, result.model, preparation, result.trained.privacy)
        record.record_served(result.served)
        record.write_note(run_summary.write_note(result, record))
    run_summary.show_run(command_line, preparation.prepared, result, record)


def _preprocess(words: Sequence[str]) -> None:
    preparation = _prepare(compose(words))
    from pipeline.cli import run_summary

    with _open_record(preparation, "preprocess") as record:
        record.record_seconds(Seconds(prepare=preparation.prepare_seconds))
    run_summary.show_preprocess(preparation.prepared, preparation.prepare_seconds, record)


def _train(words: Sequence[str]) -> None:
    preparation = _fit_to_rows(_prepare(compose(words)))
    from pipeline.cli import run_summary
    from pipeline.trial.network import train_to_end

    preparation, start = _plan_start(preparation)
    preparation = _name_engine(preparation, start)
    command_line = preparation.command_line
    with _open_record(preparation, "train") as record:
        with _show_epochs(command_line, record) as show:
            trained = train_to_end(preparation.prepared, command_line.settings, show, start)
        record.record_training(trained)
        record.record_warm_start(trained, start)
        record.record_seconds(replace(trained.seconds, prepare=preparation.prepare_seconds))
        _record_model(record, trained.build_model(), preparation, trained.privacy)
    run_summary.show_train(trained, record)


def _evaluate(words: Sequence[str]) -> None:
    command_line, reference = _compose_with_model(words)
    preparation = _prepare(command_line)
    from pipeline.cli import run_summary
    from pipeline.evaluation.evaluate import check_evaluation, evaluate
    from pipeline.models.predictor import make_predictor
    from pipeline.tracking import model_references

    check_evaluation(preparation.prepared, command_line.settings)
    model = _load_fitting_model(reference, preparation.prepared)
    with _open_record(preparation, "evaluate", _get_target_run(command_line, reference)) as record:
        predict = make_predictor(model)
        evaluation = evaluate(predict, preparation.prepared, command_line.settings, model)
        record.record_evaluation(evaluation, preparation.prepared)
        privacy, epsilon = model_references.read_privacy(reference)
        if privacy:
            record.record_privacy(privacy, epsilon)
    run_summary.show_evaluate(evaluation, preparation.prepared, record, privacy)


def _predict(words: Sequence[str]) -> None:
    from pipeline.cli.predict import command

    command.run(words)


def _profile(words: Sequence[str]) -> None:
    # Nothing is trained here, so a precision is that of the answers.
    int8 = f"profile.runtime={Runtime.litert_int8}"
    command_line, reference = _compose_with_model([int8 if word == INT8 else word for word in words])
    preparation = _prepare(command_line)
    from pipeline.cli import run_summary
    from pipeline.models import litert
    from pipeline.models.predictor import make_predictor
    from pipeline.profiling.measure_roofline import MeasuredStep, measure_step
    from pipeline.profiling.profile import profile

    settings = command_line.settings
    litert.check_runtime(settings.profile.runtime, preparation.prepared)
    model = _load_fitting_model(reference, preparation.prepared)
    served = litert.make_served_file(model, settings.profile.runtime, preparation.prepared.validation)
    with _open_record(preparation, "profile", _get_target_run(command_line, reference)) as record:
        cost = profile(model, make_predictor(model), preparation.prepared, settings, served)
        record.record_cost(cost)
        record.record_served(served)
        step: MeasuredStep | FulcrumError
        try:
            step = measure_step(settings, preparation.prepared)
            record.record_step(step)
        except FulcrumError as error:  # the model answers to these data, but could not be trained on them
            step = error
    run_summary.show_profile(cost, record, served, step)


def _serve_bench(words: Sequence[str]) -> None:
    from pipeline.cli.serve_bench import command

    command.run(words, _compose_with_model)


def _get_target_run(command_line: CommandLine, reference: "ModelReference") -> str | None:
    return reference.run_id if command_line.settings.record is RecordInto.model else None


def _sweep(words: Sequence[str]) -> None:
    from pipeline.cli.sweep import command as sweep

    sweep.run(words)


def _doctor(words: Sequence[str]) -> None:
    from pipeline.cli.doctor import command

    command.run(words)


def _frontier(words: Sequence[str]) -> None:
    from pipeline.cli.frontier import command

    command.run(words)
