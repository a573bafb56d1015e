"""The search: who is free gets the next trial; what comes out is written down; the end is confirmed.

Knows neither Hydra nor MLflow: it is handed a way to compose words, and somebody who watches.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from pipeline import stopping
from pipeline.dimensions import Dimension, Space, Value, When
from pipeline.errors import FulcrumError
from pipeline.jobs import Ended, Job, Limits
from pipeline.measures import Epoch, Point
from pipeline.proposer import Proposer
from pipeline.results import EPOCHS, Confirmation, Member, Results, Tried
from pipeline.settings import Sampler, Told, flatten
from pipeline.study import OUTCOME, WORDS, Ledger, Proposal, is_interrupted
from pipeline.workers import Bug, Crew

RECLAIM_SECONDS = 10.0
CONFIRMED = "confirmed "


class SearchStopped(FulcrumError):
    """A trial ended by an error of the program; the text has the command that repeats it."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is searched. `fixed`: words that all trials share; `compose`: from words to settings."""

    told: Told
    fixed: tuple[str, ...]
    space: Space
    compose: Callable[[Sequence[str]], Told]
    checkpoints: Path

    @property
    def search(self) -> Any:
        return self.told.settings.search

    def words(self, params: Mapping[str, Value]) -> tuple[str, ...]:
        """The command line of a trial: what is shared, then what is its own."""
        own = self.space.words(params)
        return (*_without(self.fixed, own), *own)

    def checkpoint(self, words: Sequence[str], fair_midway: bool) -> Path:
        """One place for all trials that differ in nothing but how long they train, where that is fair."""
        same = sorted(word for word in words if not (fair_midway and word.startswith(f"{EPOCHS}=")))
        return self.checkpoints / f"{hashlib.sha256(repr(same).encode()).hexdigest()[:24]}.npz"


def _without(words: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    taken = {word.partition("=")[0] for word in own}
    return tuple(word for word in words if word.partition("=")[0] not in taken)


def with_epochs(space: Space, told: Told, fair: Callable[[str], bool]) -> tuple[Space, str | None]:
    """The space with how long to train, where a sampler may choose that, and the name of that dimension.

    Only the frontier sampler does, and only where the states on the way are fair points. `fair`: whether they
    are under a schedule of that name.
    """
    most = told.settings.train.epochs
    if told.settings.search.sampler is not Sampler.frontier or most == 1 or EPOCHS in space.searched():
        return space, None
    schedules = next((each for each in space.dimensions if each.key == "schedule"), None)
    when = None
    if schedules is not None:
        fair_ones = [choice for choice in schedules.choices if fair(str(choice))]
        if len(fair_ones) != 1:
            return space, None
        when = When(schedules.name, fair_ones[0])
    elif not told.settings.schedule.fair_midway:
        return space, None
    epochs = Dimension(EPOCHS, low=1, high=most, whole=True, when=when)
    return Space((*space.dimensions, epochs)), epochs.name


# ---- who watches --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that runs: its row in the study, its words and what it is asked to do."""

    number: int
    told: Told
    params: Mapping[str, Value]
    job: Job
    role: str = "trial"  # or "confirm"
    seed: int | None = None


class Watcher(Protocol):
    """Sees everything; writes it into MLflow, shows it on the terminal."""

    def began(self, trial: Trial) -> str | None:
        """A trial begins; the id of its run."""

    def epoch(self, trial: Trial, epoch: Epoch) -> None: ...

    def ended(self, trial: Trial, run_id: str | None, ended: Ended) -> None: ...

    def standing(self, results: Results) -> None:
        """What the study has come to so far."""

    def dropped(self, number: int) -> None:
        """The trial was interrupted; its record counts for nothing."""


# ---- what a study has come to -------------------------------------------------------------------------


def results(ledger: Ledger, data: str) -> Results:
    """Read from the study; the trials in the order in which they ended."""
    confirmed = _confirmations(ledger.attrs())
    rows = [row for row in ledger.trials() if row.state.is_finished() and not is_interrupted(row)]
    rows.sort(key=lambda row: (row.user_attrs[OUTCOME]["ended"], row.number))
    return Results(ledger.name, data, tuple(_tried(row, confirmed.get(row.number, {})) for row in rows))


def _tried(row: FrozenTrial, confirmed: Mapping[int, Confirmation]) -> Tried:
    outcome = row.user_attrs[OUTCOME]
    curve = tuple(Point(accuracy, seconds) for _, seconds, accuracy in outcome["curve"])
    return Tried(
        row.number,
        outcome["run_id"],
        outcome["command"],
        outcome["params"],
        curve,
        outcome["fair_midway"],
        outcome["state"],
        outcome["reason"],
        outcome["paid_seconds"],
        outcome["device"],
        confirmed,
    )


def _confirmations(attrs: Mapping[str, Any]) -> dict[int, dict[int, Confirmation]]:
    """By trial and epoch, from the study's notes `confirmed TRIAL EPOCH SEED`."""
    found: dict[int, dict[int, list[tuple[int, dict[str, float]]]]] = {}
    for key, value in attrs.items():
        if key.startswith(CONFIRMED):
            number, epoch, seed = map(int, key.removeprefix(CONFIRMED).split())
            found.setdefault(number, {}).setdefault(epoch, []).append((seed, value))
    return {
        number: {epoch: _confirmation(sorted(each, key=lambda one: one[0])) for epoch, each in epochs.items()}
        for number, epochs in found.items()
    }


def _confirmation(seeds: Sequence[tuple[int, Mapping[str, float]]]) -> Confirmation:
    def column(name: str) -> tuple[float, ...]:
        return tuple(value[name] for _, value in seeds)

    return Confirmation(
        tuple(seed for seed, _ in seeds),
        column("accuracy"),
        column("test_accuracy"),
        column("device_seconds"),
    )


# ---- the search -----------------------------------------------------------------------------------------


class Search:
    """A sweep in progress."""

    def __init__(
        self, sweep: Sweep, epochs: str | None, ledger: Ledger, crew: Crew, watcher: Watcher
    ) -> None:
        """`epochs`: name of the dimension that says how long to train, if there is one."""
        self._sweep, self._ledger, self._crew, self._watcher = sweep, ledger, crew, watcher
        told = sweep.search
        self._proposer = Proposer(sweep.space, told.sampler, epochs, told.seed, told.workers)
        self._running: dict[int, tuple[Trial, str | None]] = {}
        self._reclaimed, self._started, self._exhausted = 0.0, time.monotonic(), False
        self._results: Results | None = None
        self._data = sweep.told.choices["data"]

    @property
    def results(self) -> Results:
        """As of now."""
        if self._results is None:
            self._results = results(self._ledger, self._data)
        return self._results

    def run(self) -> None:
        """Try until all trials are done or the budget is spent.

        Raises:
            SearchStopped: a trial showed an error of the program.
        """
        self._enqueue()
        self._watcher.standing(self.results)
        try:
            while self._busy():
                for job, event in self._crew.events(self._frontier()):
                    self._on(job, event)
        except BaseException:
            with stopping.held_back():
                self._give_back()
            raise

    def _busy(self) -> bool:
        """Keep everybody at work; whether there is any left, here or elsewhere."""
        self._ledger.beat()
        if time.monotonic() - self._reclaimed > RECLAIM_SECONDS:
            self._reclaimed = time.monotonic()
            for number in self._ledger.reclaim():
                self._watcher.dropped(number)
        while self._crew.free() and self._begin():
            pass
        if self._running:
            return True
        elsewhere = any(row.state is TrialState.RUNNING for row in self._ledger.trials())
        if elsewhere and not self._over():
            time.sleep(0.5)  # another process may yet die and leave its trial to us
            self._results = None
            return True
        return False

    def _over(self) -> bool:
        """Whether no new trial may begin."""
        told = self._sweep.search
        if told.timeout is not None and time.monotonic() - self._started > told.timeout:
            return True
        spent = sum(each.paid_seconds for each in self.results.tried)
        return told.budget_device_seconds is not None and spent >= told.budget_device_seconds

    def _begin(self) -> bool:
        """Start a trial that waits, or a new one; whether there was one."""
        if self._over():
            return False
        with stopping.held_back():
            if row := self._ledger.claim():
                return self._start(row.number, row.user_attrs.get(WORDS), row.params)
        if self._exhausted or self._ledger.begun() >= self._sweep.search.trials:
            return False
        self._proposer.see(self._ledger.trials())
        proposal = self._proposer.propose()
        if proposal is None:
            self._exhausted = True
            return False
        with stopping.held_back():
            number = self._ledger.begin(proposal, self._sweep.search.trials, {})
            self._proposer.bind(number)
            return number is not None and self._start(number, None, proposal.params)

    def _start(self, number: int, words: Sequence[str] | None, params: Mapping[str, Value]) -> bool:
        told = self._sweep.compose(tuple(words) if words else self._sweep.words(params))
        fair, search = told.settings.schedule.fair_midway, self._sweep.search
        limits = Limits(search.max_latency_ms, search.max_parameters)
        place = self._sweep.checkpoint(told.overrides, fair)
        trial = Trial(number, told, params, Job(number, told.settings, place, limits))
        with stopping.held_back():
            self._running[number] = trial, self._watcher.began(trial)
            self._crew.start(trial.job)
        return True

    def _enqueue(self) -> None:
        """Baselines first: once a study, by whoever creates it."""
        if self._ledger.trials() or self._ledger.attrs().get("enqueued"):
            return
        self._ledger.note("enqueued", True)
        for line in self._sweep.search.enqueue[: self._sweep.search.trials]:
            own = line.split()
            words = (*_without(self._sweep.fixed, own), *own)
            self._ledger.queue(Proposal({}, {}, {}), {WORDS: words})

    def close(self) -> None:
        """Send the workers home; what still runs here is given back."""
        self._give_back()

    # ---- what comes back --------------------------------------------------------------------------------

    def _frontier(self) -> tuple[Point, ...]:
        members = self.results.members()
        if getattr(self, "_members", None) is not members:
            self._members, self._points = members, tuple(member.point for member in members)
        return self._points

    def _on(self, job: Job, event: Epoch | Ended | Bug) -> None:
        trial, run_id = self._running[job.number]
        match event:
            case Epoch():
                self._watcher.epoch(trial, event)
            case Bug(text=text):
                self._running.pop(job.number)
                self._fail(trial, run_id, text)
            case Ended():
                self._running.pop(job.number)
                self._write(trial, run_id, event)
        self._ledger.beat()

    def _fail(self, trial: Trial, run_id: str | None, text: str) -> None:
        last = text.strip().splitlines()[-1]
        ended = Ended("failed", f"error of the program: {last}")
        self._write(trial, run_id, ended)
        raise SearchStopped(
            f"trial {trial.number} ended by an error of the program ({last}); the sweep stops, what it found "
            f"is kept; repeat the trial with: {trial.told.command_line('run')}\n{text}"
        )

    def _write(self, trial: Trial, run_id: str | None, ended: Ended) -> None:
        """First the record, then the study: its row is what makes a trial count."""
        points = ended.points
        values = (points[-1].accuracy, points[-1].device_seconds) if points else None
        with stopping.held_back():
            self._watcher.ended(trial, run_id, ended)
            self._ledger.finish(
                trial.number, outcome(trial, run_id, ended, self._sweep.space.searched()), values
            )
        self._proposer.see(self._ledger.trials())
        self._results = None
        self._watcher.standing(self.results)

    def _give_back(self) -> None:
        """On the way out: nobody goes on with what runs here."""
        self._crew.close()
        for number in list(self._running):
            self._running.pop(number)
            self._watcher.dropped(number)
            self._ledger.drop(number)

    # ---- the end ----------------------------------------------------------------------------------------

    def confirm(self) -> None:
        """Train each member of the frontier again with new seeds, and read the test split: once.

        What was confirmed before is left as it is.
        """
        seeds = [
            self._sweep.told.settings.train.seed + number
            for number in range(1, self._sweep.search.confirm + 1)
        ]
        known = self._ledger.attrs()
        left = [
            (member, seed)
            for member in self.results.members()
            for seed in seeds
            if _confirmed_key(member, seed) not in known
        ]
        left.reverse()
        try:
            while left or self._running:
                self._ledger.beat()
                while left and self._crew.free():
                    self._start_confirming(*left.pop())
                for job, event in self._crew.events(()):
                    self._on_confirming(job, event)
        except BaseException:
            self._running.clear()
            raise
        self._results = None
        self._watcher.standing(self.results)

    def _start_confirming(self, member: Member, seed: int) -> None:
        told = self._again(member, f"train.seed={seed}")
        number = -1 - len(self._running) - 1000 * seed - member.tried.number * 1_000_000  # told apart, no row
        pruning = replace(told.settings.pruning, enabled=False)
        job = Job(number, replace(told.settings, pruning=pruning), test=True)
        trial = Trial(member.tried.number, told, {EPOCHS: member.epoch}, job, "confirm", seed)
        self._running[number] = trial, self._watcher.began(trial)
        self._crew.start(job)

    def _again(self, member: Member, *more: str) -> Told:
        """The settings that train to exactly this member's state, and more words."""
        own = [*more, f"{EPOCHS}={member.epoch}"]
        row = next(row for row in self._ledger.trials() if row.number == member.tried.number)
        words = row.user_attrs.get(WORDS) or self._sweep.words(row.params)
        return self._sweep.compose((*_without(words, own), *own))

    def _on_confirming(self, job: Job, event: Epoch | Ended | Bug) -> None:
        trial, run_id = self._running[job.number]
        if isinstance(event, Epoch):
            self._watcher.epoch(trial, event)
            return
        self._running.pop(job.number)
        if isinstance(event, Bug):
            self._watcher.ended(trial, run_id, Ended("failed", event.text.strip().splitlines()[-1]))
            raise SearchStopped(
                f"confirming ended by an error of the program; repeat it with: "
                f"{trial.told.command_line('run')}\n{event.text}"
            )
        self._watcher.ended(trial, run_id, event)
        if event.state == "complete" and event.curve and event.test_accuracy is not None:
            last = event.curve.last
            self._ledger.note(
                f"{CONFIRMED}{trial.number} {trial.params[EPOCHS]} {trial.seed}",
                {
                    "accuracy": last.validation_accuracy,
                    "test_accuracy": event.test_accuracy,
                    "device_seconds": last.device_seconds,
                    "run_id": run_id,
                },
            )

    def model_of(self, member: Member) -> tuple[Told, Any]:
        """A member's settings and its trained state: from its checkpoint, or trained again to the same."""
        from pipeline import checkpoints
        from pipeline.jobs import prepared_for
        from pipeline.stages.train import train

        told = self._again(member)
        path = self._sweep.checkpoint(told.overrides, told.settings.schedule.fair_midway)
        found = checkpoints.load(path)
        if found is not None and found.kept == member.epoch == len(found.curve.epochs):
            return told, list(found.parameters)
        *_, trained = train(prepared_for(told.settings), told.settings)
        return told, trained.weights()


def _confirmed_key(member: Member, seed: int) -> str:
    return f"{CONFIRMED}{member.tried.number} {member.epoch} {seed}"


def outcome(trial: Trial, run_id: str | None, ended: Ended, keys: Sequence[str]) -> dict[str, Any]:
    """What the study keeps of a trial: plain values. `keys`: those that are searched."""
    curve, points = ended.curve, ended.points
    return {
        "state": ended.state,
        "reason": ended.reason,
        "run_id": run_id,
        "command": trial.told.command_line("run"),
        "params": searched(trial.told, keys),
        "curve": [
            [number, round(point.device_seconds, 9), round(point.accuracy, 9)]
            for number, point in enumerate(points, start=1)
        ],
        "fair_midway": trial.told.settings.schedule.fair_midway,
        "paid_seconds": ended.paid_seconds,
        "device": curve.device if curve else "",
        "ended": time.time(),
        "latency_p99_ms": ended.latency_p99_ms,
        "parameters": ended.parameters,
    }


def searched(told: Told, keys: Sequence[str]) -> dict[str, Value]:
    """What a trial has of the searched keys: the option of a group, or a setting; those that apply."""
    flat = dict(flatten(told.settings))
    found = {key: told.choices.get(key, flat.get(key)) for key in keys}
    return {key: value for key, value in found.items() if value is not None}  # type: ignore[misc]
