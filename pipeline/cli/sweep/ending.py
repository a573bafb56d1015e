"""What a sweep says at its end, also where it is stopped: its frontier, why it ended, and how to go on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline import output, signals
from pipeline.cli.console import Console
from pipeline.cli.frontier.output import print_frontier, print_link
from pipeline.formatting import format_duration
from pipeline.settings.command_line import CommandLine

if TYPE_CHECKING:
    from pipeline.cli.sweep.observer import StudyObserver
    from pipeline.search.sweep import Sweep

NOTHING = 0.0005
"""A gain in accuracy that is not worth a sentence with figures."""
ENDS = ("search.budget", "search.budget_device_seconds", "search.trials", "search.timeout", "search.patience")
"""Keys that end a search."""


@dataclass(slots=True)
class WatchedSweep:
    """The sweep that a block is at, from the moment when there is one."""

    sweep: "Sweep | None" = None
    observer: "StudyObserver | None" = None

    def follow(self, sweep: "Sweep", observer: "StudyObserver") -> None:
        """Show this sweep where the block is stopped."""
        self.sweep, self.observer = sweep, observer


@contextmanager
def show_where_stopped() -> Iterator[WatchedSweep]:
    """Show what a sweep has come to, and how to go on, where Ctrl-C or a signal ends the block."""
    watched = WatchedSweep()
    try:
        yield watched
    except BaseException as error:
        if signals.is_stop(error) and watched.sweep and watched.observer and not output.is_collected():
            with signals.hold_back():
                _show_stopped(watched.sweep, watched.observer)
        raise


def _show_stopped(sweep: "Sweep", observer: "StudyObserver") -> None:
    print_frontier(sweep.results, may_confirm=not sweep.spec.search.confirm)
    place = f"while {observer.phase}, its trials are all there" if observer.phase else "before its end"
    _print(f"stopped {place}; go on with: {sweep.spec.command_line.command_line('sweep')}")
    print_link(observer.link)


def show_end(sweep: "Sweep", link: str) -> None:
    """Print the frontier, why the search ended, what more would add, and the link to the view."""
    print_frontier(sweep.results)
    for line in (f"ended: {sweep.end}" if sweep.end else "", describe_outlook(sweep)):
        if line:
            _print(line)
    print_link(link)


def describe_outlook(sweep: "Sweep") -> str:
    """Describe what more device-seconds would add by the sampler's own forecast, and how to go there.

    Empty where the sampler cannot say: see `Sweep.look_ahead`.
    """
    outlook, results = sweep.look_ahead(), sweep.results
    if outlook is None:
        return ""
    measure, price = results.measure, sweep.spec.command_line.settings.price
    seconds = outlook.extra_seconds
    cost = f"about {format_duration(seconds)} more of {results.device}{price.format(seconds)}"
    if outlook.gain < NOTHING:
        bound = measure.format_change(NOTHING).lstrip("+")
        return f"by the forecast, {cost} would add less than {bound} to the best {measure.label}"
    gain, low, high = (
        measure.format_change(value).lstrip("+") for value in (outlook.gain, outlook.low, outlook.high)
    )
    longest = max(member.epoch for member in results.frontier)
    is_longer = outlook.epochs > longest
    epochs = f", at {outlook.epochs} epochs where the longest now has {longest}" if is_longer else ""
    command = make_command_on(sweep.spec.command_line, results.paid_seconds + outlook.extra_seconds)
    return (
        f"by the forecast, {cost} would add about {gain} to the best {measure.label} "
        f"({low.split()[0]} to {high} with 80 % probability){epochs}; go there with: {command}"
    )


def make_command_on(command_line: CommandLine, device_seconds: float) -> str:
    """Return the command that goes on with a study until so many device-seconds are spent in all."""
    words = command_line.overrides.without(*ENDS)
    trials = ["search.trials=null"] if command_line.settings.search.trials is not None else []
    budget = f"search.budget={_round_up(device_seconds):g}s"
    return replace(command_line, overrides=words.with_(*trials, budget)).command_line("sweep")


def _round_up(seconds: float) -> float:
    """Round up to two digits."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return float(math.ceil(seconds / unit - 1e-9) * unit)


def _print(line: str) -> None:
    Console().print_line(line)
