"""`sweep`: search, confirm, record, and show the frontier."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import signals
from pipeline.cli import frontier
from pipeline.cli import sweep_plan as plans
from pipeline.cli.compose import compose
from pipeline.cli.sweep_screen import Screen
from pipeline.cli.ui import base_address
from pipeline.measures import Epoch
from pipeline.search.results import EPOCHS
from pipeline.search.space import key_in
from pipeline.settings.command_line import CommandLine

if TYPE_CHECKING:
    from pipeline.search.job import Ended
    from pipeline.search.results import Results
    from pipeline.search.study_store import Ledger
    from pipeline.search.sweep import Search, Sweep, Trial
    from pipeline.tracking.study_recorder import StudyRecord


def run(words: Sequence[str]) -> None:
    """Search as the words say.

    Raises:
        BadInput: the words, the storage or the data are at fault; nothing was begun.
        SearchStopped: a trial showed an error of the program.
    """
    plan = plans.plan(words)
    from pipeline.hardware.device import claim_and_pin_device, claim_device
    from pipeline.search import ask_tell, epoch_work, study_store, worker_pool
    from pipeline.search.job import prepared_for
    from pipeline.search.sweep import Search, Sweep
    from pipeline.tracking import mlflow_store
    from pipeline.tracking.study_recorder import StudyRecord
    from pipeline.training.train import check

    told, search = plan.told, plan.told.settings.search
    ask_tell.sampler(search.sampler, plan.space, plan.epochs, search.seed, search.workers)  # or why not
    held = (claim_and_pin_device if search.workers == 1 else claim_device)(told.settings.device)
    prepared = prepared_for(told.settings, search.under_shift)
    check(prepared, told.settings)
    inputs = math.prod(prepared.shape)
    amount = epoch_work.of(told.settings, len(prepared.train), inputs, len(prepared.classes))
    address = search.storage or mlflow_store.studies()
    about = plan.about(held.name)
    name = search.study or plan.default_name(held.name)
    client = mlflow_store.open_store()
    mlflow_store.reap(client)
    ledger = study_store.Ledger(address, name, about)
    sweep = Sweep(told, plan.fixed, plan.space, compose, _checkpoints(told, name), amount)
    with signals.held_back():
        record = StudyRecord(client, told, name, held.kind, ledger.alone)
    with Screen(name, search.trials, search.budget_device_seconds, held.kind) as screen:
        watcher = _Watcher(record, screen, ledger, held.name)
        crew = worker_pool.crew(search.workers, told.settings.device)
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
        if signals.requested() or isinstance(error, KeyboardInterrupt):
            status = "KILLED"
            with signals.held_back():
                watcher.standing(task.results, whole=True)
        raise
    finally:
        with signals.held_back():
            task.close()
            watcher.record.close(status)


def _show(task: "Search", watcher: "_Watcher") -> None:
    frontier.show(task.results)
    frontier.link(watcher.link)


def _checkpoints(told: CommandLine, name: str) -> Path:
    return Path(told.settings.cache_dir).expanduser().absolute().parent / "checkpoints" / name


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
            from pipeline.search.trial_rows import searched

            own = searched(trial.told, tuple(map(key_in, trial.params)))
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
        from pipeline.tracking import shared_views

        return self._known_unit() or shared_views.MICROSECONDS

    def _known_unit(self) -> tuple[str, float] | None:
        if self._unit is None and (known := self._ledger.attrs().get("unit")):
            self._unit = (known[0], known[1])
        return self._unit

    def _choose_unit(self, device_seconds: float) -> None:
        from pipeline.tracking import shared_views

        if self._known_unit() is None:
            with self._ledger.alone("unit"):
                if self._known_unit() is None:
                    self._unit = shared_views.cost_unit(device_seconds / 10)  # others may be cheaper
                    self._ledger.note("unit", list(self._unit))

    def _plant(self, results: "Results") -> str:
        from pipeline.tracking import study_view

        return study_view.plant(
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
        from pipeline.tracking.publish_study import finish

        def last() -> None:
            with signals.held_back():
                self.standing(task.results, whole=True)
            if task.results.points():
                finish(task, self.record, self._plant(task.results))

        self.standing(task.results)
        confirmed = sum(member.confirmation is not None for member in task.results.members())
        task.once(f"end {self.record.run_id} {len(task.results.tried)} {confirmed}", last)
