"""The end of a search: points of its frontier are trained again, with new seeds or to the same weights."""

import shlex
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np
from optuna.trial import FrozenTrial

from pipeline import signals
from pipeline.measures import Epoch
from pipeline.search.ends.standstill import CONFIRMING
from pipeline.search.outcomes import CONFIRM, get_trial_name
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.study_trial import FrontierPoint
from pipeline.search.sweep import Sweep
from pipeline.search.sweep_spec import RunningTrial
from pipeline.search.trial_rows import read_confirmed_key
from pipeline.search.workers.job import Job
from pipeline.settings.command_line import EPOCHS, SEED, CommandLine, Overrides
from pipeline.settings.settings import Settings
from pipeline.settings.training import END_OF_SEEDS
from pipeline.trial import user_loop
from pipeline.trial.loop_states import LoopTrained


@dataclass(frozen=True, slots=True)
class PointTraining:
    """How the weights of a point of the frontier are had again; the fields: see `Job`."""

    settings: Settings
    checkpoint: Path
    under_shift: bool


@dataclass(frozen=True, slots=True)
class TrainedPoint:
    """The weights of a point of the frontier, and the epoch that says what their training has cost."""

    weights: list[np.ndarray]
    last: Epoch


def confirm(sweep: Sweep) -> None:
    """Train each point of the frontier again with new seeds, and read the test split: once.

    What was confirmed before is left as it is; several processes share the work.

    Raises:
        SearchStopped: as `Sweep.run`.
    """
    points = {
        (point.trial.number, point.epoch, seed): point
        for point in sweep.results.representatives
        for seed in _choose_seeds(sweep, point)
    }
    ended = {(point.trial.number, point.epoch, seed) for point in points.values() for seed in point.new_seeds}
    if left := points.keys() - ended:
        sweep.observer.begin_phase(CONFIRMING, len(left))
    queue = sweep.store.task_queue()
    for number, epoch, seed in points:
        about = {CONFIRM: {"trial": number, "epoch": epoch, "seed": seed}}
        queue.queue(ProposedTrial({}, {}, {}), about, once=f"{CONFIRM} {number} {epoch} {seed}")

    def begin(_: int) -> int:
        with signals.hold_back():
            row = queue.claim(lambda waiting: read_confirmed_key(waiting) in points)
            if row is not None:
                _launch(sweep, row, points[read_confirmed_key(row)])  # type: ignore[index]
        return int(row is not None)

    sweep.dispatcher.work_through(queue, begin)
    sweep.observer.show_results(sweep.results)


def _choose_seeds(sweep: Sweep, point: FrontierPoint) -> list[int]:
    """Choose seeds that are new: not that of the sweep or of the point, nor a choice of the search."""
    first = sweep.spec.command_line.settings.train.seed
    point_seed = Overrides(shlex.split(point.trial.command)).to_dict().get(SEED)
    dimensions = [dimension for dimension in sweep.spec.space.dimensions if dimension.key == SEED]
    searched = [choice for dimension in dimensions for choice in dimension.choices]
    used = {str(seed) for seed in (first, point_seed, *searched)}
    others = ((first + step) % END_OF_SEEDS for step in count(1))
    return list(islice((seed for seed in others if str(seed) not in used), sweep.spec.search.confirm))


def _launch(sweep: Sweep, row: FrozenTrial, point: FrontierPoint) -> None:
    """Train the point with the seed of the row, without a checkpoint, and never stop early."""
    seed = row.user_attrs[CONFIRM]["seed"]
    command_line = _compose_point(sweep, point, f"{SEED}={seed}")
    settings = command_line.settings
    job = Job(
        number=row.number,
        settings=replace(settings, pruning=replace(settings.pruning, enabled=False)),
        read_test=True,
        under_shift=sweep.spec.search.under_shift,
        source=sweep.spec.get_source(command_line),
        further=tuple(sweep.spec.search.objectives[2:]),
        measure=sweep.spec.command_line.settings.measure,
    )
    trial = RunningTrial(
        name=get_trial_name(row),
        number=point.trial.number,
        command_line=command_line,
        params={EPOCHS: point.epoch},
        job=job,
        seed=seed,
        confirmed_run=point.trial.run_id,
    )
    sweep.dispatcher.launch([trial])


def _compose_point(sweep: Sweep, point: FrontierPoint, *more: str) -> CommandLine:
    """Return the settings that train to exactly this point's state, with `more` words."""
    row = next(row for row in sweep.store.trials() if row.number == point.trial.number)
    epochs = () if point.trial.ends_at(point.epoch) else (f"{EPOCHS}={point.epoch}",)
    return sweep.spec.compose(sweep.spec.get_words_of(row).with_(*more, *epochs))


def plan_point(sweep: Sweep, point: FrontierPoint) -> PointTraining:
    """Plan the training that gives the weights of a point."""
    command_line = _compose_point(sweep, point)
    checkpoint = sweep.spec.get_checkpoint_path(command_line)
    return PointTraining(command_line.settings, checkpoint, sweep.spec.search.under_shift)


def train_point(point: PointTraining) -> TrainedPoint:
    """Return a point as trained: from its checkpoint, or trained (on) to the same state."""
    from pipeline.trial.network import load_prepared, train_to_end  # which bring TensorFlow

    data = load_prepared(point.settings, point.under_shift)
    trained = train_to_end(data, point.settings, checkpoint=point.checkpoint)
    return TrainedPoint(trained.get_weights(), trained.curve.last)


def train_loop_point(point: PointTraining) -> LoopTrained | None:
    """Return the state of a user's own loop at a point, in the same way; None where it reports no models."""
    return user_loop.train_for_model(point.settings, point.checkpoint)
