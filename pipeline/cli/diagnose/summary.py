"""What `diagnose` prints while it runs and at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rich import box
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline import output
from pipeline.cli.console import Console
from pipeline.cli.summary.rows import list_page, write_rows
from pipeline.diagnosis.attempt import Attempt, Decision
from pipeline.diagnosis.bottleneck import Bottleneck, Case, Words
from pipeline.diagnosis.improve import BaselineMeasured, Conclusion, Event, SinglePointNamed, count_kept
from pipeline.diagnosis.measured_command import MeasuredCommand
from pipeline.formatting import format_code, format_count, format_duration, format_roughly, format_seconds
from pipeline.profiling.breakdown import Breakdown
from pipeline.settings.command_line import CommandLine, Overrides
from pipeline.settings.diagnosis import Aim, Diagnose
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

if TYPE_CHECKING:
    from pipeline.tracking.run_recorder import RunRecorder

COLOURS = {Decision.accepted: "green", Decision.refused: "yellow", Decision.promising: "cyan"}


class DiagnosisPrinter:
    """The printer of a diagnosis: each event as it comes, and the result at the end."""

    def __init__(
        self,
        settings: Diagnose,
        cost_name: str,
        record: "RunRecorder",
        measure: Measure = ACCURACY_MEASURE,
    ) -> None:
        self._settings, self._cost_name, self._record = settings, cost_name, record
        self._measure = measure
        self._console = Console()
        self._baseline: MeasuredCommand | None = None
        self._conclusion: Conclusion | None = None
        self._attempts: list[Attempt] = []
        self._first_diagnosis: tuple[Case, Bottleneck] | None = None
        self._last_sentence = ""
        self._began = time.monotonic()

    @contextmanager
    def show_live(self) -> Iterator[None]:
        """Show on a terminal, in one line below the events, what is measured and how long it has taken."""
        if not self._console.is_animated or output.is_collected():
            yield
            return
        self._began = time.monotonic()
        with Live(
            console=self._console, refresh_per_second=1, transient=True, get_renderable=self._draw_line
        ):
            yield

    def _draw_line(self) -> Text:
        """Draw the line: the phase, the best so far, the time spent of that for remedies."""
        seconds = format_duration(time.monotonic() - self._began)
        if self._baseline is None:
            return Text(f"measuring the baseline ...  {seconds}", style="dim")
        kept = [attempt for attempt in self._attempts if attempt.kept]
        best = kept[-1].after if kept and kept[-1].after else self._baseline
        costs = [measured.point.device_seconds for measured in (self._baseline, best)]
        line = Text(f"tried {format_count(len(self._attempts), 'remedy')}, kept {len(kept)}")
        line.append(f"  {format_seconds(costs[0])} -> {format_seconds(costs[1])}", style="cyan")
        line.append(f"  {seconds} of about {self._settings.minutes:g} min", style="dim")
        return line

    def print_start(self, start: Words, device: str) -> None:
        """Print what is diagnosed, and by what it is judged."""
        line = escape(" ".join(start)) or "the defaults"
        aim = (
            f"device-seconds to the same {self._measure.label}"
            if self._settings.aim is Aim.train
            else "p99 of one answer"
        )
        self._print(f"[bold]Diagnosing[/] {line}")
        self._print(
            f"[dim]{aim}, {self._settings.seeds} paired seeds, on {device}; first the baseline, whole[/]"
        )

    def print_event(self, event: Event) -> None:
        """Print a step of the diagnosis as soon as it is known."""
        match event:
            case BaselineMeasured(baseline):
                self._baseline = baseline
                self._print(f"\n[cyan]baseline[/]  {self._format_point(baseline)}")
            case SinglePointNamed(case, verdict):
                self._print_single_point(case, verdict)
            case Attempt():
                self._print_attempt(event)
            case Conclusion():
                self._conclusion = event

    def _print_single_point(self, case: Case, verdict: Bottleneck) -> None:
        self._first_diagnosis = self._first_diagnosis or (case, verdict)
        if verdict.sentence != self._last_sentence:
            self._last_sentence = verdict.sentence
            self._print(f"\n[bold]The single point:[/] {escape(verdict.sentence)}")
            self._print(f"[dim]{format_shares(case.breakdown)}[/]")

    def _print_attempt(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        mark = f"[{COLOURS[attempt.decision]}]{attempt.decision.value:<9}[/]"
        words = escape(" ".join(attempt.proposal.words))
        self._print(f"  {mark}  [bold]{attempt.proposal.remedy}[/]  [dim]{words}[/]")
        self._print(f"             {escape(attempt.reason)}")
        if attempt.kept and attempt.after:
            self._print(f"             now {self._format_point(attempt.after)}")

    def _format_point(self, measured: MeasuredCommand) -> str:
        point = measured.point
        cost = format_seconds(point.device_seconds)
        reached = self._measure.format(point.accuracy)
        return f"{reached} validation for {cost} [dim]({self._cost_name})[/]"

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=False)

    def print_stopped(self, command_line: CommandLine, start: Words) -> None:
        """Print how to go on from what was kept so far, where Ctrl-C or a signal ends the diagnosis."""
        kept = [attempt.after for attempt in self._attempts if attempt.kept and attempt.after]
        others = [word for word in command_line.overrides if word not in start]
        words = Overrides(kept[-1].words if kept else start).with_(*others)
        line = replace(command_line, overrides=words).command_line("diagnose")
        so_far = f" ({format_count(len(kept), 'remedy')} kept)" if kept else ""
        self._console.print_line(f"stopped before its end{so_far}; go on with: {line}")

    # ---- the end --------------------------------------------------------------------------------------

    def print_result(self, final: CommandLine, link: str) -> None:
        """Print the result in a panel, the link to its view, and the whole command line to be copied."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        rows, _ = list_page(self._record)
        for name, value in [*self._rows(), *rows]:
            table.add_row(name, value)
        title = f"[bold]{escape(self._record.name)}[/]"
        self._console.print()
        self._console.print(Panel(table, title=title, title_align="left", box=box.ROUNDED, expand=False))
        self._console.print_line(f"  {link}")
        if self._accepted:
            self._console.print_line(f"\n{final.command_line('run')}", style="bold")

    def print_saved(self, path: Path, name: str) -> None:
        """Print where the result was saved, and the command that uses it."""
        self._console.print_line(f"saved as {path}; try it with: python -m pipeline run experiment={name}")

    def write_note(self, final: CommandLine) -> str:
        """Return the result in Markdown, with a table of the attempts, for the page of the run."""
        rows = write_rows(self._rows())
        attempts = [
            f"| {row.number} | {row.proposal.remedy} | {row.decision.value} | {row.reason} |"
            for row in self._attempts
        ]
        pictures = [f"![{name}](pictures/{name}.png)" for name in ("walk", "breakdown", "roofline")]
        return "\n".join(
            [
                *["| | |", "|---|---|", *rows, ""],
                f"{format_code(final.command_line('run'))}\n",
                *["| | remedy | | why |", "|---|---|---|---|", *attempts, ""],
                *(pictures if self._first_diagnosis and self._first_diagnosis[0].roofline else pictures[:2]),
            ]
        )

    def _rows(self) -> list[tuple[str, str]]:
        assert self._baseline is not None
        assert self._conclusion is not None
        assert self._first_diagnosis is not None
        first, last = self._baseline.point, self._conclusion.result.point
        rows = [
            ("single point", escape(self._first_diagnosis[1].sentence)),
            ("before", self._format_point(self._baseline)),
        ]
        if not self._accepted:
            tried = f"{format_count(len(self._attempts), 'attempt')}, none of them holds"
            return [
                *rows,
                ("result", f"[bold]nothing pays[/]: {tried}; {self._conclusion.reason}"),
                *self._list_rejected(),
                *self._list_promising(),
            ]
        gain = self._conclusion.gain
        assert gain is not None
        change = self._measure.format_change(last.accuracy - first.accuracy)
        rows += [
            ("after", self._format_point(self._conclusion.result)),
            ("result", f"[bold green]{gain.format()}[/]; {self._measure.label} {change}"),
            ("fresh seeds", self._format_fresh_seeds()),
            ("attempts", f"{len(self._attempts)}, {self._accepted} kept; {self._conclusion.reason}"),
        ]
        return rows + self._list_rejected() + self._list_promising()

    @property
    def _accepted(self) -> int:
        """Return the number of attempts that the result is made of."""
        assert self._conclusion is not None
        return count_kept(self._attempts, self._conclusion)

    def _format_fresh_seeds(self) -> str:
        assert self._conclusion is not None
        accuracies = self._conclusion.fresh_accuracies
        role = "that only chose the number of epochs" if self._conclusion.lengthened else "that had no say"
        return (
            f"{self._measure.format(fmean(accuracies))} validation on "
            f"{format_count(len(accuracies), 'seed')} {role}"
        )

    def _list_promising(self) -> list[tuple[str, str]]:
        """List the remedies that are not proven, and what would settle each."""
        promising = [row for row in self._attempts if row.decision is Decision.promising]
        return [("promising", escape(f"{row.proposal.remedy}: {row.reason}")) for row in promising]

    def _list_rejected(self) -> list[tuple[str, str]]:
        assert self._conclusion is not None
        count = len(self._conclusion.rejected)
        if not count:
            return []
        attempts = format_count(count, "attempt")
        return [("stepped back", f"[yellow]{attempts} kept at first did not hold on fresh seeds[/]")]


def format_shares(breakdown: Breakdown) -> str:
    """Return the share of each part of a step, largest first, and the seconds outside the steps."""
    names = sorted(breakdown.parts, key=lambda name: -breakdown.share(name))
    within_step = ", ".join(f"{name} {format_roughly(breakdown.share(name))}" for name in names)
    extras = ", ".join(f"{name} {format_seconds(span.seconds)}" for name, span in breakdown.beside.items())
    kind = "unexplained" if breakdown.unexplained > 0 else "counted twice"
    rest = f"; {abs(breakdown.unexplained):.0%} {kind}"
    more = f"; beside it: {extras}" if extras else ""
    return f"one {breakdown.of} of {format_seconds(breakdown.whole.seconds)}: {within_step}{rest}{more}"
