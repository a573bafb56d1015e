"""`sweep`: search, confirm, record, and show the frontier."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import stopping
from pipeline.cli import arguments, around, frontier, space
from pipeline.cli.compose import compose
from pipeline.cli.live import Screen
from pipeline.cli.ui import base_address
from pipeline.dimensions import Dimension, Space, Value, word
from pipeline.errors import BadSetting
from pipeline.measures import Epoch
from pipeline.results import EPOCHS
from pipeline.settings import Objective, Shift, Told

if TYPE_CHECKING:
    from pipeline.jobs import Ended
    from pipeline.results import Results
    from pipeline.search import Search, Sweep, Trial
    from pipeline.study import Ledger
    from pipeline.study_record import StudyRecord

AROUND = ("search", "tracking", "ui", "record", "trained")
"""Keys that are no part of a trial's command line."""


def run(words: Sequence[str]) -> None:
    """Search as the words say.

    Raises:
        BadInput: the words, the storage or the data are at fault; nothing was begun.
        SearchStopped: a trial showed an error of the program.
    """
    plan = _plan(words)
    from pipeline import meter, proposer, store, study, work, workers
    from pipeline.jobs import prepared_for
    from pipeline.search import Search, Sweep
    from pipeline.stages.train import check
    from pipeline.study_record import StudyRecord

    told, search = plan.told, plan.told.settings.search
    proposer.sampler(search.sampler, plan.space, plan.epochs, search.seed, search.workers)  # or why not
    held = (meter.settle if search.workers == 1 else meter.hold)(told.settings.device)
    under_shift = search.objective is Objective.accuracy_under_shift
    prepared = prepared_for(told.settings, under_shift)
    check(prepared, told.settings)
    inputs = math.prod(prepared.shape)
    amount = work.of(told.settings, len(prepared.train), inputs, len(prepared.classes))
    address = search.storage or store.studies()
    about = plan.about(held.name)
    name = search.study or plan.default_name(held.name)
    client = store.open_store()
    store.reap(client)
    ledger = study.Ledger(address, name, about)
    sweep = Sweep(told, plan.fixed, plan.space, compose, _checkpoints(told, name), amount)
    with stopping.held_back():
        record = StudyRecord(client, told, name, held.kind, ledger.alone)
    with Screen(name, search.trials, search.budget_device_seconds, held.kind) as screen:
        watcher = _Watcher(record, screen, ledger, held.name)
        crew = workers.crew(search.workers, told.settings.device)
        task = Search(sweep, plan.epochs, ledger, crew, watcher)
        with ledger.beating():
            _search(task, watcher, sweep)
    _show(task, watcher)


def _search(task: "Search", watcher: "_Watcher", sweep: "Sweep") -> None:
    """The search and its end; whatever happens, the study's run ends as what happened."""
    status = "FAILED"
    try:
        task.run()
        if sweep.search.confirm:
            task.confirm()
        watcher.finish(task)
        status = "FINISHED"
    except BaseException as error:
        if stopping.requested() or isinstance(error, KeyboardInterrupt):
            status = "KILLED"
            with stopping.held_back():
                watcher.standing(task.results, whole=True)
        raise
    finally:
        with stopping.held_back():
            task.close()
            watcher.record.close(status)


def _show(task: "Search", watcher: "_Watcher") -> None:
    frontier.show(task.results)
    frontier.link(watcher.link)


def _checkpoints(told: Told, name: str) -> Path:
    return Path(told.settings.cache_dir).expanduser().absolute().parent / "checkpoints" / name


# ---- what is asked for --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    told: Told
    fixed: tuple[str, ...]
    space: Space
    epochs: str | None

    def about(self, device: str) -> dict[str, object]:
        """What all trials of the study share."""
        return {
            "space": list(self.space.text()),
            "settings": sorted(self.fixed),
            "device": device,
            "objective": self.told.settings.search.objective.value,
        }

    def default_name(self, device: str) -> str:
        """The same command on the same device takes up the same study."""
        about = repr(sorted(self.about(device).items()))
        return f"{self.told.choices['data']}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


def _plan(words: Sequence[str]) -> _Plan:
    from pipeline.outcomes import searched
    from pipeline.search import with_epochs

    fixed, several = space.split(arguments.overrides(words))
    told, first = compose(fixed), None
    if told.settings.search.from_diagnosis:
        told, fixed, first = _around(told, fixed, several)
    own = [pair for pair in fixed if pair.partition("=")[0].partition(".")[0] not in AROUND]
    if not any(pair.startswith("data=") for pair in own):
        own.insert(0, f"data={told.choices['data']}")  # a baseline may name another set
    if told.settings.train.start_from is not None:
        raise BadSetting("sweep needs train.from=null: its trials begin afresh, got a run; leave it out")
    search = told.settings.search
    if search.objective is Objective.accuracy_under_shift and told.settings.evaluate.shift is Shift.none:
        raise BadSetting(
            "search.objective=accuracy_under_shift needs evaluate.shift=noise (or blur, rotate, ...), "
            "got none; set one"
        )
    found = space.build(search.space, search.when, fixed, several)
    if first is not None:
        found = around.close_in(found, searched(compose([*own, *first]), found.searched()))
    _check(found, own)
    whole, epochs = with_epochs(
        found, told, lambda schedule: compose([*own, f"schedule={schedule}"]).settings.schedule.fair_midway
    )
    for line in search.enqueue:
        compose([*own, *line.split()])
    return _Plan(told, tuple(own), whole, epochs)


def _around(told: Told, fixed: list[str], several: Sequence[str]) -> tuple[Told, list[str], list[str]]:
    """The command with what a diagnosis came to typed in front, and the words that place its first trial."""
    search = told.settings.search
    assert search.from_diagnosis
    lines = [*several, *search.space, *(line for lines in search.when.values() for line in lines)]
    keys = {line.partition("=")[0] for line in lines} - {word.partition("=")[0] for word in fixed}
    settled, first = around.split(around.found(search.from_diagnosis), fixed, sorted(keys))
    fixed = [*settled, *fixed]
    told = compose(fixed)
    enqueue = [" ".join(first), *search.enqueue]
    search = replace(told.settings.search, enqueue=enqueue)
    return replace(told, settings=replace(told.settings, search=search)), fixed, first


def _check(found: Space, fixed: Sequence[str]) -> None:
    """Compose the ends of every dimension, so that a wrong key or value is told before anything runs."""
    parents: dict[str, tuple[str, ...]] = {}
    for each in found.dimensions:
        under = _under(each, parents)
        parents[each.name] = under
        for value in _probes(each):
            try:
                compose([*fixed, *under, f"{each.key}={word(value)}"])
            except BadSetting as error:
                # A pair of values that exclude each other is no trial; one value alone is a mistake.
                if str(error).startswith(each.key.partition(".")[0]):
                    raise _explained(each, value, error) from None


def _under(each: Dimension, parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The words under which a dimension counts."""
    if each.when is None:
        return ()
    key = each.when.key.partition(" (")[0]
    return (*parents[each.when.key], f"{key}={word(each.when.value)}")


def _probes(each: Dimension) -> Sequence[Value]:
    """All choices; of a range its ends, and of a continuum a number in between."""
    if each.choices:
        return each.choices
    between = () if each.whole or each.step else (each.low + 0.382 * (each.high - each.low),)
    return (each.low, each.high, *between)


def _explained(each: Dimension, value: Value, error: BadSetting) -> BadSetting:
    if isinstance(value, float) and not value.is_integer() and "must be a whole number" in str(error):
        ends = f"{word(each.low)},{word(each.high)}"
        return BadSetting(
            f"{each.key} must be a whole number, got {each.text()!r}; write {each.key}=int(interval({ends}))"
        )
    return error


# ---- who watches --------------------------------------------------------------------------------------


class _Watcher:
    """Writes into MLflow and shows on the terminal."""

    def __init__(self, record: "StudyRecord", screen: Screen, ledger: "Ledger", device: str) -> None:
        self.record, self.link = record, ""
        self._screen, self._ledger, self._device = screen, ledger, device
        self._unit: tuple[str, float] | None = None

    def began(self, trial: "Trial") -> str | None:
        self._screen.began(trial.number)
        role = None if trial.seed is None else "confirm"
        return self.record.begin(trial.name, trial.number, trial.told, role, self._device)

    def epoch(self, trial: "Trial", epoch: Epoch) -> None:
        self._screen.epoch(trial.number, epoch, trial.told.settings.train.epochs)

    def ended(self, trial: "Trial", run_id: str | None, ended: "Ended") -> None:
        assert run_id is not None
        if ended.points:
            self._choose_unit(ended.points[0].device_seconds)
        self.record.end(run_id, ended, self.unit)
        last = ended.points[-1] if ended.points else None
        if trial.seed is None:
            from pipeline.outcomes import searched

            own = searched(trial.told, tuple(key.partition(" (")[0] for key in trial.params))
            self._screen.ended(trial.number, ended.state, last, own, ended.reason)
        else:
            self._screen.confirming(trial.number, trial.params[EPOCHS], trial.seed, ended)

    def standing(self, results: "Results", whole: bool = False) -> None:
        self._screen.standing(results)
        drawn = self.record.standing(results, self.unit, whole)
        if results.points() and (drawn or not self.link):
            self.link = self._plant(results)

    def dropped(self, name: str) -> None:
        self.record.drop(name)

    @property
    def unit(self) -> tuple[str, float]:
        """Of the cost axis, the same for the whole study: decided by its first point."""
        from pipeline import pages

        return self._known_unit() or pages.MICROSECONDS

    def _known_unit(self) -> tuple[str, float] | None:
        if self._unit is None and (known := self._ledger.attrs().get("unit")):
            self._unit = (known[0], known[1])
        return self._unit

    def _choose_unit(self, device_seconds: float) -> None:
        from pipeline import pages

        if self._known_unit() is None:
            with self._ledger.alone("unit"):
                if self._known_unit() is None:
                    self._unit = pages.cost_unit(device_seconds / 10)  # others may be cheaper
                    self._ledger.note("unit", list(self._unit))

    def _plant(self, results: "Results") -> str:
        from pipeline import views

        return views.plant(
            self.record.client,
            self.record.experiment_id,
            self.record.run_id,
            results,
            self.record.cost_metric,
            self.unit,
            base_address(),
        )

    def finish(self, task: "Search") -> None:
        """The last state of everything: line and view; pictures, note and models once for the study."""
        from pipeline.study_end import finish

        def last() -> None:
            with stopping.held_back():
                self.standing(task.results, whole=True)
            if task.results.points():
                finish(task, self.record, self._plant(task.results))

        self.standing(task.results)
        confirmed = sum(member.confirmation is not None for member in task.results.members())
        task.once(f"end {self.record.run_id} {len(task.results.tried)} {confirmed}", last)
