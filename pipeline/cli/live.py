"""What a sweep shows while it runs: a panel on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.measures import Epoch, Point
from pipeline.results import Member, Results

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDE = 48
SHOWN = 8
"""Members of the frontier in the panel."""


class Screen:
    """Trials done, budget, time to go, and the frontier so far."""

    def __init__(self, study: str, trials: int, budget: float | None, unit: str) -> None:
        """`unit`: cpu or gpu; `budget`: device-seconds."""
        self._study, self._trials, self._budget, self._unit = study, trials, budget, unit
        self._console = Console(highlight=False)
        self._started = time.monotonic()
        self._begun_with: int | None = None
        self._results: Results | None = None
        self._running: dict[int, str] = {}
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, refresh_per_second=4, transient=True, get_renderable=self._panel
            )

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        else:
            self._say(f"study {self._study}: {self._trials} trials")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def epoch(self, number: int, epoch: Epoch, of: int) -> None:
        self._running[number] = f"{number}: {epoch.number}/{of} {epoch.validation_accuracy:.2%}"

    def ended(
        self, number: int, state: str, point: Point | None, own: Mapping[str, object], reason: str
    ) -> None:
        self._running.pop(number, None)
        if self._live:
            return
        words = " ".join(f"{key}={short(value)}" for key, value in own.items())
        result = f"{point.accuracy:.2%} at {seconds(point.device_seconds)}" if point else "no result"
        told = f"; {reason}" if reason else ""
        self._say(f"trial {number} {state}: {result}  {words}{told}")

    def confirming(self, number: int, seed: int, accuracy: float | None) -> None:
        if not self._live:
            result = f"{accuracy:.2%}" if accuracy is not None else "failed"
            self._say(f"confirmed trial {number} with seed {seed}: {result} validation")

    def standing(self, results: Results) -> None:
        self._results = results
        if self._begun_with is None:
            self._begun_with = len(results.tried)

    def _say(self, line: str) -> None:
        print(line, flush=True)

    def _panel(self) -> RenderableType:
        results = self._results
        if results is None or not results.points():
            return Text(f"study {self._study}: {self._progress()}")
        members = results.members()
        return Group(
            Text(f"study {self._study}: {self._progress()}", style="bold"),
            Text(f"running  {'   '.join(self._running.values())}", style="dim"),
            Text(f"accuracy by cost  {sparkline([m.point for m in members])}", style="cyan"),
            frontier_table(members[-SHOWN:], results.knee(), self._unit),
        )

    def _progress(self) -> str:
        done = len(self._results.tried) if self._results else 0
        parts = [f"{done}/{self._trials} trials"]
        spent = sum(each.paid_seconds for each in self._results.tried) if self._results else 0.0
        budget = f" of {seconds(self._budget)}" if self._budget else ""
        parts.append(f"{seconds(spent)} {self._unit}-seconds{budget}")
        fresh = done - (self._begun_with or 0)
        if fresh > 1:
            left = (time.monotonic() - self._started) / fresh * max(0, self._trials - done)
            parts.append(f"about {seconds(left)} to go")
        return ", ".join(parts)


def sparkline(points: Sequence[Point], wide: int = WIDE) -> str:
    """Best accuracy within each cost, cheap to dear on a log scale; higher block, higher accuracy."""
    if not points:
        return ""
    low, high = points[0].device_seconds, points[-1].device_seconds
    worst, best = points[0].accuracy, points[-1].accuracy
    line = ""
    for column in range(wide):
        within = low * (high / low) ** (column / max(1, wide - 1)) * (1 + 1e-9)
        reached = max(point.accuracy for point in points if point.device_seconds <= within)
        # Errors on a log scale: the last half percent is as visible as the first ten.
        share = _share(1 - reached, 1 - worst, 1 - best)
        line += BLOCKS[1 + round(share * (len(BLOCKS) - 2))]
    return f"{seconds(low)} {line} {seconds(high)}"


def _share(error: float, most: float, least: float) -> float:
    floor = 1e-4
    top, bottom, here = (math.log(max(each, floor)) for each in (most, least, error))
    return 1.0 if top == bottom else (top - here) / (top - bottom)


def frontier_table(members: Sequence[Member], knee: Member | None, unit: str) -> Table:
    """One line a member: cost, accuracy, what was confirmed, what it is."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    confirmed = any(member.confirmation for member in members)
    table.add_column(f"{unit}_seconds", justify="right")
    table.add_column("accuracy", justify="right")
    if confirmed:
        table.add_column("test, new seeds", justify="right")
    table.add_column("trial", justify="right")
    table.add_column("epoch", justify="right")
    table.add_column("", no_wrap=False)
    for member in members:
        own = " ".join(
            f"{key}={short(value)}" for key, value in member.tried.params.items() if key != "train.epochs"
        )
        mark = " [bold yellow]knee[/]" if knee is not None and member is knee else ""
        cells = [seconds(member.point.device_seconds), f"{member.point.accuracy:.2%}"]
        if confirmed:
            cells.append(_confirmed(member))
        table.add_row(*cells, str(member.tried.number), str(member.epoch), own + mark)
    return table


def _confirmed(member: Member) -> str:
    found = member.confirmation
    if found is None:
        return "-"
    low, high = min(found.test_accuracies), max(found.test_accuracies)
    return f"{found.test_accuracy:.2%} ({100 * low:.2f}-{100 * high:.2f})"


def short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def seconds(value: float) -> str:
    """Three figures, with a unit that fits."""
    if value >= 600:
        return f"{value / 60:.0f} min"
    if value >= 10:
        return f"{value:.0f} s"
    if value >= 0.1:
        return f"{value:.2f} s"
    return f"{1000 * value:.1f} ms" if value >= 0.001 else f"{1e6 * value:.0f} µs"
