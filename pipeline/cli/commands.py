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
from pipeline.settings import Mlp, RecordInto, Told

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.meter import Held
    from pipeline.prepared import Prepared
    from pipeline.registry import Reference
    from pipeline.stages.train import Start
    from pipeline.tracking import Record


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
    told: Told
    held: "Held"
    prepared: "Prepared"
    prepare_seconds: float


def _ready(told: Told) -> _Ready:
    from pipeline import meter
    from pipeline.stages.preprocess import preprocess
    from pipeline.trial import timed

    held = meter.settle(told.settings.device)
    if warning := meter.unseen_gpu():
        print(f"warning: {warning}", file=sys.stderr)
    prepared, seconds = timed(lambda: preprocess(told.settings))
    return _Ready(told, held, prepared, seconds)


def _start(ready: _Ready) -> "tuple[_Ready, Start]":
    """Where training begins; where it goes on from another run, the data lie under that one's scaling."""
    settings = ready.told.settings
    if settings.train.start_from is None:
        return ready, _start_weights(ready.told)
    from pipeline import continuing, engine, inputs, registry

    reference = registry.find(settings.train.start_from)
    model = registry.load(reference)
    prepared = continuing.under_scaling_of(model, ready.prepared)
    left, spent = registry.left_behind(reference, ready.held.kind)
    kind = engine.pick_engine(settings, ready.held, inputs.streams(settings, prepared))
    start = continuing.onward(model, left, spent, reference.run_id, settings, prepared, kind)
    if start.fresh:
        print(f"train.from: {', '.join(start.fresh)} did not fit and begin anew", file=sys.stderr)
    return replace(ready, prepared=prepared), start


def _start_weights(told: Told) -> "list[np.ndarray] | None":
    """Weights of another model, where the settings say so."""
    model = told.settings.model
    if not isinstance(model, Mlp) or model.pretrained is None:
        return None
    from pipeline import models, registry

    return models.dense_weights(registry.load(registry.find(model.pretrained)))


def _told_about_model(words: Sequence[str]) -> "tuple[Told, Reference]":
    """Settings as the model's own run had them, what is typed now on top."""
    told = compose(words)
    if told.settings.trained is None:
        raise BadSetting("trained must be a run id, registry URI or path, got nothing; add trained=...")
    from pipeline import registry

    reference = registry.find(told.settings.trained)
    if told.settings.record is RecordInto.model and reference.run_id is None:
        raise BadSetting(f"record must be own for a model without a run, got model with {reference.text}")
    return compose([*reference.overrides, *words]), reference


def _fitting(reference: "Reference", prepared: "Prepared") -> "keras.Model":
    from pipeline import models, registry

    model = registry.load(reference)
    if not models.answers_to(model, prepared):
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
    from pipeline.tracking import recording

    with recording(ready.told, stage, ready.held, into) as record:
        record.prepared(ready.prepared)
        yield record


def _run(words: Sequence[str]) -> None:
    """One trial, or with `--multirun` one for each combination of the values that are typed."""
    if not MULTIRUN & set(words):
        _run_one(compose(words))
        return
    from pipeline.cli import arguments, space

    fixed, several = space.split(arguments.overrides(word for word in words if word not in MULTIRUN))
    grid = space.build([], {}, fixed, several)
    # All are composed before the first is trained: a mistake in one is told at once.
    for told in [compose([*fixed, *grid.words(params)]) for params in grid.combinations()]:
        _run_one(told)


def _run_one(told: Told) -> None:
    ready = _ready(told)
    from pipeline import export
    from pipeline.cli import summary
    from pipeline.stages.train import check
    from pipeline.trial import run_trial

    ready, start = _start(ready)
    check(ready.prepared, told.settings, start)
    export.check(told.settings.profile.runtime, ready.prepared)
    with _recording(ready, "run") as record:
        outcome = run_trial(ready.prepared, told.settings, record, start)
        record.trained(outcome.trained)
        record.left(outcome.trained, start)
        record.evaluation(outcome.evaluation, ready.prepared)
        record.cost(outcome.cost)
        record.seconds(replace(outcome.seconds, prepare=ready.prepare_seconds))
        record.model(outcome.model, ready.prepared, told.settings.tracking.register)
        record.served(export.served(outcome.model, told.settings.profile.runtime, ready.prepared.validation))
        record.note(summary.note(outcome, record))
    summary.run(told, ready.prepared, outcome, record)


def _preprocess(words: Sequence[str]) -> None:
    ready = _ready(compose(words))
    from pipeline.cli import summary

    with _recording(ready, "preprocess") as record:
        record.seconds(Seconds(prepare=ready.prepare_seconds))
    summary.preprocess(ready.prepared, ready.prepare_seconds, record)


def _train(words: Sequence[str]) -> None:
    told = compose(words)
    ready = _ready(told)
    from pipeline.cli import summary
    from pipeline.stages.train import check
    from pipeline.trial import train_watched

    ready, start = _start(ready)
    check(ready.prepared, told.settings, start)
    with _recording(ready, "train") as record:
        trained = train_watched(ready.prepared, told.settings, record, start)
        record.trained(trained)
        record.left(trained, start)
        record.seconds(replace(trained.seconds, prepare=ready.prepare_seconds))
        record.model(trained.model(), ready.prepared, told.settings.tracking.register)
    summary.train(trained, record)


def _evaluate(words: Sequence[str]) -> None:
    told, reference = _told_about_model(words)
    ready = _ready(told)
    from pipeline.cli import summary
    from pipeline.models import predictor
    from pipeline.stages.evaluate import evaluate

    model = _fitting(reference, ready.prepared)
    with _recording(ready, "evaluate", _into(told, reference)) as record:
        evaluation = evaluate(predictor(model), ready.prepared, told.settings)
        record.evaluation(evaluation, ready.prepared)
    summary.evaluate(evaluation, ready.prepared, record)


def _profile(words: Sequence[str]) -> None:
    told, reference = _told_about_model(words)
    ready = _ready(told)
    from pipeline import export
    from pipeline.cli import summary
    from pipeline.models import predictor
    from pipeline.stages.profile import profile

    export.check(told.settings.profile.runtime, ready.prepared)
    model = _fitting(reference, ready.prepared)
    with _recording(ready, "profile", _into(told, reference)) as record:
        cost = profile(model, predictor(model), ready.prepared, told.settings)
        record.cost(cost)
    summary.profile(cost, record)


def _into(told: Told, reference: "Reference") -> str | None:
    return reference.run_id if told.settings.record is RecordInto.model else None


def _sweep(words: Sequence[str]) -> None:
    from pipeline.cli import sweep

    sweep.run(words)


def _frontier(words: Sequence[str]) -> None:
    from pipeline.cli import frontier

    frontier.run(words)
