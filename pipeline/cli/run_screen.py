"""What a run shows while it trains: one line that changes on a terminal, a few plain lines elsewhere."""

import math
import time
from types import TracebackType

from rich.live import Live
from rich.text import Text

from pipeline import output
from pipeline.cli.console import Console
from pipeline.cli.frontier.drawing import BLOCKS
from pipeline.formatting import format_duration
from pipeline.measures import Epoch
from pipeline.settings.searching.measures import Measure

PLAIN_LINES = 10
"""Lines at most where the output is no terminal."""
WIDTH = 24
"""Epochs of the curve that are drawn: the last ones."""


class RunScreen:
    """The epoch, the measure, its curve, the cost so far and the time to go."""

    def __init__(self, epochs: int, measure: Measure) -> None:
        """Prepare the screen of a training over `epochs` epochs."""
        self._epochs, self._measure = epochs, measure
        self._console = Console()
        self._phase, self._seen = "compiling", list[Epoch]()
        self._first_ended: float | None = None
        self._live: Live | None = None
        if self._console.is_animated and not output.is_collected():
            self._live = Live(
                console=self._console, refresh_per_second=4, transient=True, get_renderable=self._draw_line
            )

    def __enter__(self) -> "RunScreen":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show_epoch(self, epoch: Epoch) -> None:
        """Show the state after an epoch."""
        self._seen.append(epoch)
        self._phase = "training" if epoch.number < self._epochs else "evaluating"
        if self._first_ended is None:
            self._first_ended = time.monotonic()
        step = math.ceil(self._epochs / PLAIN_LINES)
        if (
            not self._live
            and not output.is_collected()
            and (epoch.number % step == 0 or epoch.number == self._epochs)
        ):
            print(self._describe(), flush=True)

    def _describe(self) -> str:
        last = self._seen[-1]
        measured = f"{self._measure.format(last.validation_accuracy)} validation"
        return f"epoch {last.number}/{self._epochs}: {measured}, {format_duration(last.device_seconds)}"

    def _draw_line(self) -> Text:
        if not self._seen:
            return Text(f"{self._phase} ...", style="dim")
        line = Text(self._describe())
        line.append(f"  {draw_curve([epoch.validation_accuracy for epoch in self._seen])}", style="cyan")
        left = self._forecast_left()
        line.append(f"  about {format_duration(left)} to go" if left else f"  {self._phase} ...", style="dim")
        return line

    def _forecast_left(self) -> float | None:
        """Return the wall seconds that the other epochs will take; None before the second epoch's end.

        The first one is left out: it waits for the compiler.
        """
        done = len(self._seen) - 1
        if done < 1 or self._first_ended is None:
            return None
        rate = (time.monotonic() - self._first_ended) / done
        return rate * (self._epochs - self._seen[-1].number) or None


def draw_curve(values: list[float]) -> str:
    """Return the last values as a line of blocks, the lowest of them to the highest."""
    shown = [value for value in values[-WIDTH:] if math.isfinite(value)]
    if not shown:
        return ""
    low, span = min(shown), (max(shown) - min(shown)) or 1.0
    return "".join(BLOCKS[1 + round((value - low) / span * (len(BLOCKS) - 2))] for value in shown)
