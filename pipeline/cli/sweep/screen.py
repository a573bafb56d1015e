"""What a sweep shows while it runs: a panel on a terminal, plain lines elsewhere."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline import output
from pipeline.formatting import format_number
from pipeline.frontier import flatten, select_frontier
from pipeline.measures import Epoch, Point
from pipeline.reports.study_markdown import format_accuracies, format_further
from pipeline.search.ends.standstill import MODELS, PICTURES
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint
from pipeline.settings.command_line import EPOCHS
from pipeline.settings.measuring import Price
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

if TYPE_CHECKING:
    from pipeline.search.workers.job import TrialOutcome

BLOCKS = " ▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 40
MAX_POINTS_SHOWN = 8
"""Points of the frontier in the panel."""


MODEL_SECONDS, PICTURE_SECONDS = 2.0, 6.0
"""What a model and all pictures take on a usual machine, until they are measured."""
LEAST_MONEY = 0.001
FIRST_TRIALS, LONG_SECONDS = 3, 60.0
"""After so many trials the time to go is told where it is no terminal, if it is as long as that."""


@dataclass(slots=True)
class Phase:
    """A part of a sweep after its search: `done` of `total` steps, begun at `started` (monotonic seconds)."""

    name: str
    total: int
    started: float
    done: int = 0

    def describe(self) -> str:
        """Return the name, with the steps where there are several."""
        return f"{self.name} {self.done}/{self.total}" if self.total > 1 else self.name

    def forecast_left(self) -> float | None:
        """Return the wall seconds that the other steps will take; None before the first is done."""
        return (time.monotonic() - self.started) / self.done * (self.total - self.done) if self.done else None


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
        self._measure, self._seeds, self._price = measure, seeds, price
        self._phase: Phase | None = None
        self._has_told = False
        self._study, self._trials, self._budget, self._unit = study, trials, budget, unit
        self._console = Console(highlight=False)
        self._started = time.monotonic()
        self._trials_at_start: int | None = None
        self._paid_at_start = 0.0
        self._results: Results | None = None
        self._running: dict[int, str] = {}
        self._live: Live | None = None
        if self._console.is_terminal and not output.is_collected():
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
            self._console.print(f"  {escape(line)}", soft_wrap=True)
        self._console.print(f"  watch it: {escape(run)}", soft_wrap=True)
        self._console.print(f"  its page: {escape(page)}", soft_wrap=True)

    def show_started(self, number: int) -> None:
        self._running[number] = f"{number}: begins"

    def show_epoch(self, number: int, epoch: Epoch, of: int) -> None:
        self._running[number] = (
            f"{number}: {epoch.number}/{of} {self._measure.format(epoch.validation_accuracy)}"
        )

    def show_ended(
        self, number: int, state: str, point: Point | None, params: Mapping[str, object], reason: str
    ) -> None:
        self._running.pop(number, None)
        if self._live:
            return
        words = format_params(params)
        result = "no result"
        if point:
            result = f"{self._measure.format(point.accuracy)} at {format_seconds(point.device_seconds)}"
        because = f"; {reason}" if reason else ""
        self._print(f"trial {number} {state}: {result}  {words}{because}")

    def show_lost(self, number: int, reason: str, device_seconds: float) -> None:
        self._running.pop(number, None)
        spent = f"{format_number(device_seconds)} device-seconds lost"
        line = f"trial {number} given back ({reason}), {spent}"
        if self._live:
            self._console.print(line, markup=False)
        else:
            self._print(line)

    def begin_phase(self, name: str, total: int) -> None:
        """Show that what follows the search begins, in so many steps."""
        self._phase = Phase(name, total, time.monotonic())
        if not self._live:
            self._print(f"{name}: {total} to do" if total > 1 else name)

    def advance_phase(self) -> None:
        """Show that a step of the phase is done."""
        if self._phase:
            self._phase.done += 1

    def show_confirmation(self, number: int, epoch: object, seed: int, outcome: "TrialOutcome") -> None:
        self._running.pop(number, None)
        self.advance_phase()
        if self._live:
            return
        point, test = (outcome.points or (None,))[-1], outcome.test_accuracy
        result = (
            f"{self._measure.format(point.accuracy)} validation" if point else f"failed; {outcome.reason}"
        )
        test_accuracy = f", {self._measure.format(test)} test" if test is not None else ""
        self._print(f"trial {number} at epoch {epoch} confirmed with seed {seed}: {result}{test_accuracy}")

    def update(self, results: Results) -> None:
        self._results = results
        if self._trials_at_start is None:
            self._trials_at_start = len(results.trials)
            self._paid_at_start = results.paid_seconds
        if not self._live and not self._has_told and self._count_fresh() >= FIRST_TRIALS:
            self._tell_once(results)

    def _tell_once(self, results: Results) -> None:
        """Print how long it will take by the first trials, where that is long enough to be of use."""
        self._has_told = True
        left = self._forecast_left(len(results.trials), results.paid_seconds)
        if left is not None and left >= LONG_SECONDS:
            after = self._forecast_afterwards()
            line = f"by the first trials: about {format_seconds(left + after)} to go"
            self._print(f"{line}, {format_seconds(after)} of them after the search" if after else line)

    def _count_fresh(self) -> int:
        """Count the trials that have ended since this start of the study."""
        return len(self._results.trials) - (self._trials_at_start or 0) if self._results else 0

    def _print(self, line: str) -> None:
        if not output.is_collected():
            print(line, flush=True)

    def _draw_panel(self) -> RenderableType:
        results = self._results
        if results is None or not results.points:
            return Text(f"study {self._study}: {self._format_progress()}")
        points = results.frontier
        shown = results.select_shown(points)[-MAX_POINTS_SHOWN:]
        return Group(
            Text(f"study {self._study}: {self._format_progress()}", style="bold"),
            Text(f"running  {'   '.join(self._running.values())}", style="dim"),
            Text(f"{self._measure.label} by cost  {draw_sparkline([m.point for m in points])}", style="cyan"),
            build_frontier_table(shown, results.knee),
        )

    def _format_progress(self) -> str:
        done = len(self._results.trials) if self._results else 0
        phrases = [f"{done}/{self._trials} trials" if self._trials else f"{done} trials"]
        paid = self._results.paid_seconds if self._results else 0.0
        budget = f" of {format_seconds(self._budget)}" if self._budget else ""
        phrases.append(f"{self._unit} time {format_seconds(paid)}{budget}{format_money(self._price, paid)}")
        if self._phase:
            phrases.append(self._phase.describe())
            left = self._phase.forecast_left()
        else:
            left = self._forecast_left(done, paid)
        if left is not None:
            phrases.append(f"about {format_seconds(left + self._forecast_afterwards())} to go")
        return ", ".join(phrases)

    def _forecast_left(self, done: int, paid: float) -> float | None:
        """Return the seconds until trials or budget are used up, whichever is first; None: not known yet."""
        fresh = self._count_fresh()
        if fresh < 2:
            return None
        elapsed, left = time.monotonic() - self._started, list[float]()
        if self._trials:
            left.append(elapsed / fresh * (self._trials - done))
        if self._budget and paid > self._paid_at_start:
            left.append(elapsed / (paid - self._paid_at_start) * (self._budget - paid))
        return max(0.0, min(left)) if left else None

    def _forecast_afterwards(self) -> float:
        """Return the wall seconds of the phases after the present one, for the frontier as it is now."""
        results = self._results
        if self._seeds is None or results is None or (self._phase and self._phase.name == PICTURES):
            return 0.0
        seconds = PICTURE_SECONDS
        if self._phase is None or self._phase.name != MODELS:
            seconds += MODEL_SECONDS * len(results.trials_on_frontier)
        if self._phase is None:
            fresh = results.paid_seconds - self._paid_at_start
            rate = (time.monotonic() - self._started) / fresh if fresh > 0 else 1.0
            seconds += rate * sum(
                member.estimate.device_seconds * max(0, self._seeds - _count_seeds(member))
                for member in results.representatives
            )
        return seconds


def _count_seeds(member: FrontierPoint) -> int:
    return len(member.confirmation.seeds) if member.confirmation else 0


def draw_sparkline(points: Sequence[Point], width: int = SPARKLINE_WIDTH) -> str:
    """Return the best accuracy within each cost as a line of blocks, cheap to dear on a log scale."""
    if not points:
        return ""
    points = select_frontier(flatten(points))
    low, high = points[0].device_seconds, points[-1].device_seconds
    worst, best = points[0].accuracy, points[-1].accuracy
    line = ""
    for column in range(width):
        limit = low * (high / low) ** (column / max(1, width - 1)) * (1 + 1e-9)
        accuracy = max(point.accuracy for point in points if point.device_seconds <= limit)
        # Errors on a log scale: the last half percent is as visible as the first ten.
        share = _scale_error(1 - accuracy, 1 - worst, 1 - best)
        line += BLOCKS[1 + round(share * (len(BLOCKS) - 2))]
    return f"{format_seconds(low)} {line} {format_seconds(high)}"


def _scale_error(error: float, highest: float, lowest: float) -> float:
    floor = 1e-4
    top, bottom, value = (math.log(max(share, floor)) for share in (highest, lowest, error))
    return 1.0 if top == bottom else (top - value) / (top - bottom)


def build_frontier_table(points: Sequence[FrontierPoint], knee: FrontierPoint | None) -> Table:
    """Build a table of the frontier: costs, accuracies and parameters of each point.

    Where a point is confirmed, the accuracies are the mean over all seeds with its interval, what the search
    saw, the mean of the new seeds, and their mean on the test split. Costs are means over all seeds, with
    half the width of their interval in per cent where the seeds differ.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    confirmed = any(row.confirmation for row in points)
    accuracies = (
        ["all seeds", "search", "new seeds", "test"]
        if confirmed
        else [points[0].measure.label if points else ""]
    )
    further = [kind.label for kind in points[0].kinds] if points else []
    for heading in ["cost", *further, *accuracies, "trial", "epoch"]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for member in sorted(points, key=lambda member: member.estimate.device_seconds):
        estimate = member.estimate
        cost = f"{format_seconds(estimate.device_seconds):>7}{estimate.seconds_spread.format()}"
        mark = "[bold yellow]knee[/] " if knee is not None and member is knee else ""
        cells = [mark + cost, *format_further(member)]
        cells += format_accuracies(member) if confirmed else [member.measure.format(member.point.accuracy)]
        params = {key: value for key, value in member.trial.params.items() if key != EPOCHS}
        table.add_row(*cells, str(member.trial.number), str(member.epoch), escape(format_params(params)))
    return table


def format_params(params: Mapping[str, object]) -> str:
    """Return text such as `hidden=32 optimizer=sgd`: the last name of each key where that is unique."""
    names = {key: key.rpartition(".")[2] for key in params}
    unique = {name for name, count in Counter(names.values()).items() if count == 1}
    return " ".join(
        f"{names[key] if names[key] in unique else key}={format_value(value)}"
        for key, value in params.items()
    )


def format_value(value: object) -> str:
    """Return a value with two digits, which are enough to tell settings apart; the command has them all."""
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def format_money(price: Price | None, device_seconds: float) -> str:
    """Return what device-seconds cost, in brackets after a space; nothing without a price."""
    money = price.of(device_seconds) if price else None
    if price is None or money is None:
        return ""
    amount = f"{money:.2g}" if money == 0 or money >= LEAST_MONEY else f"less than {LEAST_MONEY:g}"
    return f" ({amount} {price.currency.upper()})"


def format_seconds(value: float) -> str:
    """Return a duration with two or three digits, in a unit that fits."""
    if value >= 600:
        return f"{value / 60:.0f} min"
    if value >= 10:
        return f"{value:.0f} s"
    if value >= 0.1:
        return f"{value:.2f} s"
    return f"{1000 * value:.1f} ms" if value >= 0.001 else f"{1e6 * value:.0f} µs"
