"""What a sweep shows while it runs: a panel on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from pipeline import output
from pipeline.cli.console import Console
from pipeline.cli.frontier.drawing import build_frontier_table, draw_sparkline
from pipeline.cli.sweep.progress import SweepProgress
from pipeline.formatting import format_device_seconds, format_duration, format_params
from pipeline.measures import Epoch, Point
from pipeline.search.results import Results
from pipeline.settings.measuring import Price
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

if TYPE_CHECKING:
    from pipeline.search.workers.job import TrialOutcome

MAX_POINTS_SHOWN, MAX_RUNNING_SHOWN = 8, 16
"""Points of the frontier and running trials in the panel."""

FIRST_TRIALS, LONG_SECONDS = 3, 60.0
"""After so many trials the time to go is told where it is no terminal, if it is as long as that."""


class Screen:
    """Trials done, budget, time to go, and the frontier so far."""

    def __init__(
        self,
        study: str,
        trials: int | None,
        budget: float | None,
        unit: str,
        measure: Measure = ACCURACY_MEASURE,
        *,
        seeds: int | None = None,
        price: Price | None = None,
    ) -> None:
        """Prepare the screen of a study with its total.

        `budget`: device-seconds; `unit`: cpu or gpu; `seeds`: with how many each point of the frontier is
        confirmed, None: nothing comes after the search; `price`: of the device.
        """
        self._study, self._measure = study, measure
        self._progress = SweepProgress(trials, budget, unit, seeds, price)
        self._has_told = False
        self._console = Console()
        self._results: Results | None = None
        self._running: dict[int, tuple[Epoch, int] | None] = {}
        self._live: Live | None = None
        if self._console.is_animated and not output.is_collected():
            self._live = Live(
                console=self._console, refresh_per_second=4, transient=True, get_renderable=self._draw_panel
            )

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show_plan(self, lines: Sequence[str], run: str, page: str) -> None:
        """Show what will happen, and where it can be watched: the study's run in MLflow, and its page."""
        if output.is_collected():
            return
        self._console.print(f"[bold]study {escape(self._study)}[/]", soft_wrap=True)
        for line in lines:
            if self._console.is_terminal:  # between words, under each other
                self._console.print(Padding(escape(line), (0, 0, 0, 2)))
            else:
                self._console.print(f"  {escape(line)}", soft_wrap=True)
        self._console.print(f"  watch it: {escape(run)}", soft_wrap=True)
        self._console.print(f"  its page: {escape(page)}", soft_wrap=True)

    def show_started(self, number: int) -> None:
        """Show that a trial begins."""
        self._running[number] = None

    def show_epoch(self, number: int, epoch: Epoch, of: int) -> None:
        """Show what a trial has reached after an epoch; `of`: how many it trains."""
        self._running[number] = epoch, of

    def show_ended(
        self, number: int, state: str, point: Point | None, params: Mapping[str, object], reason: str
    ) -> None:
        """Show how a trial ended; `reason`: why it was paused or failed, "" otherwise."""
        self._running.pop(number, None)
        if self._live:
            return
        words = format_params(params)
        result = "no result"
        if point:
            result = f"{self._measure.format(point.accuracy)} at {format_duration(point.device_seconds)}"
        because = f"; {reason}" if reason else ""
        self._print(f"trial {number} {state}: {result}  {words}{because}")

    def show_lost(self, number: int, reason: str, device_seconds: float) -> None:
        """Show that a trial was given back, and what it had spent."""
        self._running.pop(number, None)
        spent = f"{format_device_seconds(device_seconds)} lost"
        line = f"trial {number} given back ({reason}), {spent}"
        if self._live:
            self._console.print(line, markup=False)
        else:
            self._print(line)

    def begin_phase(self, name: str, total: int) -> None:
        """Show that what follows the search begins, in so many steps."""
        self._progress.begin_phase(name, total)
        if not self._live:
            self._print(f"{name}: {total} to do" if total > 1 else name)

    def advance_phase(self) -> None:
        """Show that a step of the phase is done."""
        self._progress.advance_phase()

    def show_confirmation(self, number: int, epoch: object, seed: int, outcome: "TrialOutcome") -> None:
        """Show what a new seed of a frontier point has reached."""
        self._running.pop(number, None)
        self.advance_phase()
        if self._live:
            return
        point, test = (outcome.points or (None,))[-1], outcome.test_accuracy
        result = f"failed; {outcome.reason}"
        if point and outcome.status != "failed":
            result = f"{self._measure.format(point.accuracy)} validation"
        test_accuracy = f", {self._measure.format(test)} test" if test is not None else ""
        self._print(f"trial {number} at epoch {epoch} confirmed with seed {seed}: {result}{test_accuracy}")

    def update(self, results: Results) -> None:
        """Show what the study has come to so far."""
        self._results = results
        self._progress.update(results)
        if not self._live and not self._has_told and self._progress.count_fresh() >= FIRST_TRIALS:
            self._tell_once()

    def _tell_once(self) -> None:
        """Print how long it will take by the first trials, where that is long enough to be of use."""
        self._has_told = True
        left = self._progress.forecast_left()
        if left is not None and left >= LONG_SECONDS:
            after = self._progress.forecast_afterwards()
            line = f"by the first trials: about {format_duration(left + after)} to go"
            self._print(f"{line}, {format_duration(after)} of them after the search" if after else line)

    def _print(self, line: str) -> None:
        if not output.is_collected():
            print(line, flush=True)

    def _describe_running(self) -> str:
        """Describe the trials that run: the first, and how many others; a cluster may have 1,000."""
        phrases, running = [], list(self._running.items())  # at once: it changes meanwhile
        for number, reached in running[:MAX_RUNNING_SHOWN]:
            if reached is None:
                phrases.append(f"{number}: begins")
            else:
                epoch, of = reached
                accuracy = self._measure.format(epoch.validation_accuracy)
                phrases.append(f"{number}: {epoch.number}/{of} {accuracy}")
        if left := len(running) - len(phrases):
            phrases.append(f"and {left} more")
        return "   ".join(phrases)

    def _draw_panel(self) -> RenderableType:
        results = self._results
        if results is None or not results.points:
            return Text(f"study {self._study}: {self._progress.describe()}")
        points = results.frontier
        shown = results.select_shown(points)[-MAX_POINTS_SHOWN:]
        return Group(
            Text(f"study {self._study}: {self._progress.describe()}", style="bold"),
            Text(f"running  {self._describe_running()}", style="dim"),
            Text(f"{self._measure.label} by cost  {draw_sparkline([m.point for m in points])}", style="cyan"),
            build_frontier_table(shown, results.knee),
        )
