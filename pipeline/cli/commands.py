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

from pipeline.cli import diagnose, help, ui
from pipeline.cli.compose import compose
from pipeline.errors import BadModel, BadSetting
from pipeline.measures import Seconds
from pipeline.settings.command_line import CommandLine
from pipeline.settings.model import Mlp
from pipeline.settings.tracking import RecordInto

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.data.prepared import Prepared
    from pipeline.hardware.device import Held
    from pipeline.tracking.model_references import Reference
    from pipeline.tracking.run_recorder import Record
    from pipeline.training.train import Start


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
        "profile": _profile,
        "sweep": _sweep,
        "frontier": _frontier,
        "diagnose": diagnose.run,
        "ui": ui.run,
    }
    if command not in commands:
        near = get_close_matches(command, commands, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadSetting(f"the command must be one of {', '.join(help.COMMANDS)}, got {command}{hint}")
    commands[command](words)


# ---- what stands before a run is opened ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ready:
    told: CommandLine
    held: "Held"
    prepared: "Prepared"
    prepare_seconds: float


def _ready(told: CommandLine) -> _Ready:
    from pipeline.data.preprocess import preprocess
    from pipeline.hardware import device
    from pipeline.trial import timed

    held = device.claim_and_pin_device(told.settings.device)
    if warning := device.unseen_gpu():
        print(f"warning: {warning}", file=sys.stderr)
    prepared, seconds = timed(lambda: preprocess(told.settings))
    return _Ready(told, held, prepared, seconds)


def _start(ready: _Ready) -> "tuple[_Ready, Start]":
    """Where training begins; where it goes on from another run, the data lie under that one's scaling."""
    settings = ready.told.settings
    if settings.train.start_from is None:
        return ready, _start_weights(ready.told)
    from pipeline.tracking import model_references
    from pipeline.training import compiled_epoch, device_data, warm_start

    reference = model_references.find(settings.train.start_from)
    model = model_references.load(reference)
    prepared = warm_start.under_scaling_of(model, ready.prepared)
    left, spent = model_references.left_behind(reference, ready.held.kind)
    kind = compiled_epoch.pick_engine(settings, ready.held, device_data.streams(settings, prepared))
    start = warm_start.onward(model, left, spent, reference.run_id, settings, prepared, kind)
    if start.fresh:
        print(f"train.from: {', '.join(start.fresh)} did not fit and begin anew", file=sys.stderr)
    return replace(ready, prepared=prepared), start


def _start_weights(told: CommandLine) -> "list[np.ndarray] | None":
    """Weights of another model, where the settings say so."""
    model = told.settings.model
    if not isinstance(model, Mlp) or model.pretrained is None:
        return None
    from pipeline.models import keras_models
    from pipeline.tracking import model_references

    return keras_models.dense_weights(model_references.load(model_references.find(model.pretrained)))


def _told_about_model(words: Sequence[str]) -> "tuple[CommandLine, Reference]":
    """Settings as the model's own run had them, what is typed now on top."""
    told = compose(words)
    if told.settings.trained is None:
        raise BadSetting("trained must be a run id, registry URI or path, got nothing; add trained=...")
    from pipeline.tracking import model_references

    reference = model_references.find(told.settings.trained)
    if told.settings.record is RecordInto.model and reference.run_id is None:
        raise BadSetting(f"record must be own for a model without a run, got model with {reference.text}")
    return compose([*reference.overrides, *words]), reference


def _fitting(reference: "Reference", prepared: "Prepared") -> "keras.Model":
    from pipeline.models import keras_models
    from pipeline.tracking import model_references

    model = model_references.load(reference)
    if not keras_models.answers_to(model, prepared):
        wants, gives = model.input_shape, model.output_shape[-1]
        samples = tuple(prepared.train.samples.shape[1:])
        raise BadModel(
            f"the model must fit the data (samples {samples}, {len(prepared.classes)} classes), "
            f"got {reference.text} (samples {wants}, {gives} classes); choose the data with data=..."
        )
    return model


# ---- the commands ------------------------------------------------------------------------------------


@contextmanager
def _recording(ready: _Ready, stage: str, into: str | None = None) -> "Iterator[Record]":
    from pipeline.tracking.run_recorder import recording

    with recording(ready.told, stage, ready.held, into) as record:
        record.prepared(ready.prepared)
        yield record


def _run(words: Sequence[str]) -> None:
    """One trial, or with `--multirun` one for each combination of the values that are typed."""
    if not MULTIRUN & set(words):
        _run_one(compose(words))
        return
    from pipeline.cli import arguments, sweep_space

    fixed, several = sweep_space.split(arguments.overrides(word for word in words if word not in MULTIRUN))
    grid = sweep_space.build([], {}, fixed, several)
    # All are composed before the first is trained: a mistake in one is told at once.
    for told in [compose([*fixed, *grid.words(params)]) for params in grid.combinations()]:
        _run_one(told)


def _run_one(told: CommandLine) -> None:
    ready = _ready(told)
    from pipeline.cli import run_summary
    from pipeline.models import litert
    from pipeline.training.train import check
    from pipeline.trial import run_trial

    ready, start = _start(ready)
    check(ready.prepared, told.settings, start)
    litert.check(told.settings.profile.runtime, ready.prepared)
    with _recording(ready, "run") as record:
        outcome = run_trial(ready.prepared, told.settings, record, start)
        record.trained(outcome.trained)
        record.left(outcome.trained, start)
        record.evaluation(outcome.evaluation, ready.prepared)
        record.cost(outcome.cost)
        record.seconds(replace(outcome.seconds, prepare=ready.prepare_seconds))
        record.model(outcome.model, ready.prepared, told.settings.tracking.register)
        record.served(litert.served(outcome.model, told.settings.profile.runtime, ready.prepared.validation))
        record.note(run_summary.note(outcome, record))
    run_summary.run(told, ready.prepared, outcome, record)


def _preprocess(words: Sequence[str]) -> None:
    ready = _ready(compose(words))
    from pipeline.cli import run_summary

    with _recording(ready, "preprocess") as record:
        record.seconds(Seconds(prepare=ready.prepare_seconds))
    run_summary.preprocess(ready.prepared, ready.prepare_seconds, record)


def _train(words: Sequence[str]) -> None:
    told = compose(words)
    ready = _ready(told)
    from pipeline.cli import run_summary
    from pipeline.training.train import check
    from pipeline.trial import train_watched

    ready, start = _start(ready)
    check(ready.prepared, told.settings, start)
    with _recording(ready, "train") as record:
        trained = train_watched(ready.prepared, told.settings, record, start)
        record.trained(trained)
        record.left(trained, start)
        record.seconds(replace(trained.seconds, prepare=ready.prepare_seconds))
        record.model(trained.model(), ready.prepared, told.settings.tracking.register)
    run_summary.train(trained, record)


def _evaluate(words: Sequence[str]) -> None:
    told, reference = _told_about_model(words)
    ready = _ready(told)
    from pipeline.cli import run_summary
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.models.keras_models import predictor

    model = _fitting(reference, ready.prepared)
    with _recording(ready, "evaluate", _into(told, reference)) as record:
        evaluation = evaluate(predictor(model), ready.prepared, told.settings)
        record.evaluation(evaluation, ready.prepared)
    run_summary.evaluate(evaluation, ready.prepared, record)


def _profile(words: Sequence[str]) -> None:
    told, reference = _told_about_model(words)
    ready = _ready(told)
    from pipeline.cli import run_summary
    from pipeline.models import litert
    from pipeline.models.keras_models import predictor
    from pipeline.profiling.profile import profile

    litert.check(told.settings.profile.runtime, ready.prepared)
    model = _fitting(reference, ready.prepared)
    with _recording(ready, "profile", _into(told, reference)) as record:
        cost = profile(model, predictor(model), ready.prepared, told.settings)
        record.cost(cost)
    run_summary.profile(cost, record)


def _into(told: CommandLine, reference: "Reference") -> str | None:
    return reference.run_id if told.settings.record is RecordInto.model else None


def _sweep(words: Sequence[str]) -> None:
    from pipeline.cli import sweep

    sweep.run(words)


def _frontier(words: Sequence[str]) -> None:
    from pipeline.cli import frontier

    frontier.run(words)
