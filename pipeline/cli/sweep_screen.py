"""What a sweep shows while it runs: a panel on a terminal, plain lines elsewhere."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline.measures import Epoch, Point
from pipeline.search.results import EPOCHS, Member, Results

if TYPE_CHECKING:
    from pipeline.search.job import Ended

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDE = 40
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

    def began(self, number: int) -> None:
        self._running[number] = f"{number}: begins"

    def epoch(self, number: int, epoch: Epoch, of: int) -> None:
        self._running[number] = f"{number}: {epoch.number}/{of} {epoch.validation_accuracy:.2%}"

    def ended(
        self, number: int, state: str, point: Point | None, own: Mapping[str, object], reason: str
    ) -> None:
        self._running.pop(number, None)
        if self._live:
            return
        words = text_of(own)
        result = f"{point.accuracy:.2%} at {seconds(point.device_seconds)}" if point else "no result"
        told = f"; {reason}" if reason else ""
        self._say(f"trial {number} {state}: {result}  {words}{told}")

    def confirming(self, number: int, epoch: object, seed: int, ended: "Ended") -> None:
        self._running.pop(number, None)
        if self._live:
            return
        point, test = (ended.points or (None,))[-1], ended.test_accuracy
        result = f"{point.accuracy:.2%} validation" if point else f"failed; {ended.reason}"
        told = f", {test:.2%} test" if test is not None else ""
        self._say(f"trial {number} at epoch {epoch} confirmed with seed {seed}: {result}{told}")

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
            frontier_table(members[-SHOWN:], results.knee()),
        )

    def _progress(self) -> str:
        done = len(self._results.tried) if self._results else 0
        parts = [f"{done}/{self._trials} trials"]
        spent = sum(each.paid_seconds for each in self._results.tried) if self._results else 0.0
        budget = f" of {seconds(self._budget)}" if self._budget else ""
        parts.append(f"{self._unit} time {seconds(spent)}{budget}")
        fresh = done - (self._begun_with or 0)
        if fresh > 1 and done < self._trials:
            left = (time.monotonic() - self._started) / fresh * (self._trials - done)
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


def frontier_table(members: Sequence[Member], knee: Member | None) -> Table:
    """One line a member: cost, accuracy, what was confirmed, what it is."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    confirmed = any(member.confirmation for member in members)
    for heading in ["cost", "accuracy", *(["test"] if confirmed else []), "trial", "epoch"]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for member in members:
        cost = f"{seconds(member.point.device_seconds):>7}"
        mark = "[bold yellow]knee[/] " if knee is not None and member is knee else ""
        cells = [mark + cost, f"{member.point.accuracy:.2%}"]
        if confirmed:
            cells.append(_confirmed(member))
        own = {key: value for key, value in member.tried.params.items() if key != EPOCHS}
        table.add_row(*cells, str(member.tried.number), str(member.epoch), escape(text_of(own)))
    return table


def text_of(params: Mapping[str, object]) -> str:
    """`hidden=32 optimizer=sgd learning_rate=0.35`: the last part of each key where that is enough."""
    names = {key: key.rpartition(".")[2] for key in params}
    unique = {name for name, count in Counter(names.values()).items() if count == 1}
    return " ".join(
        f"{names[key] if names[key] in unique else key}={short(value)}" for key, value in params.items()
    )


def _confirmed(member: Member) -> str:
    found = member.confirmation
    if found is None:
        return "-"
    half = (max(found.test_accuracies) - min(found.test_accuracies)) / 2
    return f"{found.test_accuracy:.2%}" + (f" ±{100 * half:.2f}" if len(found.seeds) > 1 else "")


def short(value: object) -> str:
    """Two figures are enough to tell settings apart; the command has all of them."""
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def seconds(value: float) -> str:
    """Three figures, with a unit that fits."""
    if value >= 600:
        return f"{value / 60:.0f} min"
    if value >= 10:
        return f"{value:.0f} s"
    if value >= 0.1:
        return f"{value:.2f} s"
    return f"{1000 * value:.1f} ms" if value >= 0.001 else f"{1e6 * value:.0f} µs"
