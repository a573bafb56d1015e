"""What sees the events of a sweep: it writes them into MLflow and shows them on the terminal."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import signals
from pipeline.cli.sweep.screen import Screen
from pipeline.measures import Epoch
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.space import read_searched_values, strip_condition
from pipeline.settings.command_line import EPOCHS
from pipeline.settings.training import UserLoop

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.study_store import StudyStore
    from pipeline.search.sweep import Sweep
    from pipeline.search.sweep_spec import EndedTrial, RunningTrial
    from pipeline.search.workers.job import TrialOutcome
    from pipeline.tracking.pages.live_page import LivePage
    from pipeline.tracking.study_recorder import StudyRecorder


class StudyObserver:
    """An observer of a sweep: writes into MLflow and shows on the terminal."""

    def __init__(
        self,
        record: "StudyRecorder",
        screen: Screen,
        store: "StudyStore",
        device: str,
        page: "LivePage",
        base: str,
    ) -> None:
        """Begin without a trial. `base`: the address of the UI that shows the runs."""
        self.record, self.page, self.link = record, page, ""
        self.phase = ""  # that after the search which was begun last
        self._screen, self._store, self._device, self._base = screen, store, device, base
        self._unit: tuple[str, float] | None = None

    def open_trials(self, trials: "Sequence[RunningTrial]") -> list[str]:
        from pipeline.tracking.trial_recorder import TrialStart

        for trial in trials:
            self._screen.show_started(trial.number)
        starts = [
            TrialStart(
                attempt=trial.name,
                number=trial.number,
                command_line=trial.command_line,
                role=None if trial.seed is None else "confirm",
                # Of a loop it is the code.
                data=None if isinstance(trial.command_line.settings.trial, UserLoop) else trial.job.source,
                confirmed_run=trial.confirmed_run,
            )
            for trial in trials
        ]
        return self.record.trials.open_trials(starts, self._device)

    def show_epoch(self, trial: "RunningTrial", epoch: Epoch) -> None:
        self._screen.show_epoch(trial.number, epoch, trial.command_line.settings.train.epochs)

    def show_loss(self, trial: "RunningTrial", reason: str, device_seconds: float) -> None:
        self._screen.show_lost(trial.number, reason, device_seconds)

    def close_trials(self, ended: "Sequence[EndedTrial]") -> None:
        points = (end.outcome.points[0] for end in ended if end.outcome.points)
        if first := next(points, None):
            self._choose_unit(first.device_seconds)
        outcomes = [(end.run_id, end.outcome) for end in ended if end.run_id is not None]
        self.record.trials.end_trials(outcomes, self.unit)
        for end in ended:
            self._show_ended(end.trial, end.outcome)

    def _show_ended(self, trial: "RunningTrial", outcome: "TrialOutcome") -> None:
        last = outcome.points[-1] if outcome.points else None
        if trial.seed is None:
            values = read_searched_values(trial.command_line, tuple(map(strip_condition, trial.params)))
            self._screen.show_ended(trial.number, outcome.status, last, values, outcome.reason)
        else:
            self._screen.show_confirmation(trial.number, trial.params[EPOCHS], trial.seed, outcome)

    def show_results(self, results: "Results", complete: bool = False) -> None:
        self._screen.update(results)
        self.page.update(results, is_forced=complete)
        self._record_results(results, complete)

    def show_stopped(self, results: "Results") -> None:
        """Show the last state of a search that is stopped."""
        self._screen.update(results)
        self.page.end(results)
        self._record_results(results, complete=True)

    def _record_results(self, results: "Results", complete: bool) -> None:
        began = time.monotonic()
        drawn = self.record.update_frontier(results, self.unit, complete)
        if (drawn or not self.link) and results.points:
            self.link = self._plant(results)
        if drawn:
            self.record.rest(time.monotonic() - began)

    def begin_phase(self, name: str, total: int) -> None:
        self.phase = name
        self._screen.begin_phase(name, total)

    def advance_phase(self) -> None:
        self._screen.advance_phase()

    def discard_trial(self, name: str, owner: ProcessOwner | None) -> bool:
        return self.record.trials.delete_attempt(name, owner)

    def fail_trial(self, name: str, owner: ProcessOwner | None, reason: str) -> str | None:
        return self.record.trials.fail_attempt(name, owner, reason)

    @property
    def unit(self) -> tuple[str, float]:
        """Return the unit of the cost axis, the same for the whole study: its first point decides."""
        from pipeline.tracking import shared_views

        return self._read_unit() or shared_views.MICROSECONDS

    def _read_unit(self) -> tuple[str, float] | None:
        if self._unit is None and (unit := self._store.read_attrs().get("unit")):
            self._unit = (unit[0], unit[1])
        return self._unit

    def _choose_unit(self, device_seconds: float) -> None:
        from pipeline.tracking import shared_views

        if self._read_unit() is None:
            with self._store.exclusive("unit"):
                if self._read_unit() is None:
                    self._unit = shared_views.choose_cost_unit(device_seconds / 10)  # others may be cheaper
                    self._store.write_attr("unit", list(self._unit))

    def _plant(self, results: "Results") -> str:
        from pipeline.tracking import study_view

        return study_view.plant_study_views(
            self.record.client,
            self.record.experiment_id,
            self.record.run_id,
            results,
            self.record.cost_metric,
            self.unit,
            self._base,
        )

    def finish(self, sweep: "Sweep") -> None:
        """Show the last state of everything; publish pictures, note and models once for the study."""
        from pipeline.tracking.publish_study import publish_study

        def publish() -> None:
            with signals.hold_back():
                self.show_results(sweep.results, complete=True)
            if sweep.results.points:
                publish_study(sweep, self.record, self._plant(sweep.results), self.page)

        self.show_results(sweep.results)
        confirmed = sum(member.confirmation is not None for member in sweep.results.frontier)
        name = f"end {self.record.run_id} {len(sweep.results.trials)} {confirmed}"
        sweep.dispatcher.run_once(name, publish)
