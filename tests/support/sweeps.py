"""A sweep without training: a pool that makes curves up, and an observer that writes down what it sees."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from pipeline.cli.compose import compose
from pipeline.cli.sweep import space as sweep_space
from pipeline.measures import Curve, Epoch, Point
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.results import Results
from pipeline.search.study_store import StudyStore
from pipeline.search.sweep import Sweep
from pipeline.search.sweep_spec import EndedTrial, RunningTrial
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.pool import End, Event
from pipeline.settings.command_line import CommandLine, Overrides

P = ParamSpec("P")
T = TypeVar("T")
DEVICE = "a CPU, 1 core"
SPACE = sweep_space.build_space(["model.hidden=8,16,32,64", "optimizer=sgd,adam"], {}, [], [])
BASE = Overrides(("data=digits", "train.epochs=3", "device=cpu"))

_composed: dict[tuple[str, ...], CommandLine] = {}


def composed(words: Sequence[str]) -> CommandLine:
    """Each command line once: composing is not what is tested here."""
    key = tuple(words)
    return _composed.setdefault(key, compose(key)) if key not in _composed else _composed[key]


def curve_of(job: Job) -> Curve:
    """Wider is better and dearer; another seed is another draw."""
    settings = job.settings
    wide = settings.model.hidden  # type: ignore[attr-defined]
    luck = int(hashlib.sha256(repr(settings.train.seed).encode()).hexdigest()[:4], 16) / 2**16 / 100
    return Curve(
        DEVICE,
        settings.schedule.fair_midway,
        tuple(
            Epoch(
                number=n,
                device_seconds=n * wide / 100,
                train_loss=1.0,
                validation_loss=1.0,
                validation_accuracy=round(1 - 1 / (1 + n) / wide**0.5 - luck, 6),
            )
            for n in range(1, settings.train.epochs + 1)
        ),
    )


def complete(job: Job) -> TrialOutcome:
    curve = curve_of(job)
    test = curve.last.validation_accuracy - 0.01 if job.read_test else None
    return TrialOutcome(
        status="complete",
        curve=curve,
        chosen_epoch=curve.last,
        paid_seconds=curve.last.device_seconds,
        test_accuracy=test,
        further=make_costs(job, curve),
    )


def make_costs(job: Job, curve: Curve) -> dict[str, tuple[float, ...]]:
    """Wider networks answer more slowly, and each epoch draws energy."""
    wide = job.settings.model.hidden  # type: ignore[attr-defined]
    costs = {
        "latency_ms": (wide / 100,),
        "energy_joules": tuple(10 * epoch.device_seconds for epoch in curve.epochs),
    }
    return {name: costs[name] for name in job.further}


@dataclass
class Pool:
    """Does a job at once, an epoch an event; `work` may say otherwise, `about_to` may interfere.

    `is_quick`: a job has ended before the next one begins.
    """

    wide: int = 1
    is_quick: bool = False
    work: Callable[[Job], End] = complete
    about_to: Callable[[Job], None] = lambda _job: None
    jobs: list[Job] = field(default_factory=list)
    started: list[Job] = field(default_factory=list)
    frontiers: list[Sequence[Point]] = field(default_factory=list)
    closed: int = 0

    def count_free(self) -> int:
        return self.wide - len(self.jobs)

    def start(self, job: Job) -> None:
        assert self.count_free() > 0
        self.jobs.append(job)
        self.started.append(job)

    def has_events(self) -> bool:
        return self.is_quick and bool(self.jobs)

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        self.frontiers.append(frontier)
        if self.jobs:
            job = self.jobs.pop(0)
            self.about_to(job)
            end = self.work(job)
            for epoch in end.curve.epochs if isinstance(end, TrialOutcome) and end.curve else ():
                yield job, Progress(epoch, epoch.device_seconds)
            yield job, end

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    call_here = call

    def close(self) -> None:
        self.jobs.clear()
        self.closed += 1


class Observer:
    records = True
    """Whether trials whose processes died have a record."""

    def __init__(self) -> None:
        self.opened, self.closed, self.discarded = list[RunningTrial](), list[tuple[str, str]](), list[str]()
        self.epochs, self.counts = 0, list[int]()
        self.lost = list[tuple[str, str, float]]()
        self.phases = list[tuple[str, int]]()

    def open_trials(self, trials: Sequence[RunningTrial]) -> list[str]:
        self.opened += trials
        return [f"run of {trial.name}" for trial in trials]

    def show_epoch(self, trial: RunningTrial, epoch: Epoch) -> None:
        assert epoch.number <= trial.command_line.settings.train.epochs
        self.epochs += 1

    def show_loss(self, trial: RunningTrial, reason: str, device_seconds: float) -> None:
        self.lost.append((trial.name, reason, device_seconds))

    def close_trials(self, ended: Sequence[EndedTrial]) -> None:
        for each in ended:
            assert each.run_id == f"run of {each.trial.name}"
            self.closed.append((each.trial.name, each.outcome.status))

    def show_results(self, results: Results) -> None:
        self.counts.append(len(results.trials))

    def begin_phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))

    def advance_phase(self) -> None:
        pass

    def discard_trial(self, name: str, owner: ProcessOwner | None) -> bool:
        assert owner is not None
        self.discarded.append(name)
        return self.records

    def fail_trial(self, name: str, owner: ProcessOwner | None, reason: str) -> str | None:
        assert owner is not None
        assert reason
        if not self.records:
            return None
        self.closed.append((name, "failed"))
        return f"run of {name}"


@dataclass
class Scene:
    sweep: Sweep
    pool: Pool
    observer: Observer
    store: StudyStore


def states(store: StudyStore) -> list[str]:
    return [row.state.name.lower() for row in store.trials()]
