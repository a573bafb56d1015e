"""What `diagnose` says while it walks and at its end."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline.cli.run_summary import page_rows
from pipeline.diagnosis.bottleneck import Case, Verdict, Words
from pipeline.diagnosis.improve import Closed, Event, Named, Opened
from pipeline.diagnosis.paired_attempt import Attempt, Measured
from pipeline.profiling.breakdown import Breakdown
from pipeline.settings.command_line import CommandLine
from pipeline.settings.diagnosis import Aim, Diagnose

if TYPE_CHECKING:
    from pipeline.tracking.run_recorder import Record


class Teller:
    """Prints each event as it comes; keeps what the last page needs."""

    def __init__(self, told: Diagnose, cost_name: str, record: "Record") -> None:
        self._told, self._cost, self._record = told, cost_name, record
        self._console = Console(highlight=False)
        self._baseline: Measured | None = None
        self._closed: Closed | None = None
        self._attempts: list[Attempt] = []
        self._first: tuple[Case, Verdict] | None = None
        self._said = ""

    def begin(self, start: Words, device: str) -> None:
        line = escape(" ".join(start)) or "the defaults"
        aim = "device-seconds to the same accuracy" if self._told.aim is Aim.train else "p99 of one answer"
        self._say(f"[bold]Diagnosing[/] {line}")
        self._say(f"[dim]{aim}, {self._told.seeds} paired seeds, on {device}; first the baseline, whole[/]")

    def tell(self, event: Event) -> None:
        match event:
            case Opened(baseline):
                self._baseline = baseline
                self._say(f"\n[cyan]baseline[/]  {self._point(baseline)}")
            case Named(case, verdict):
                self._named(case, verdict)
            case Attempt():
                self._attempted(event)
            case Closed():
                self._closed = event

    def _named(self, case: Case, verdict: Verdict) -> None:
        self._first = self._first or (case, verdict)
        if verdict.sentence != self._said:
            self._said = verdict.sentence
            self._say(f"\n[bold]The single point:[/] {escape(verdict.sentence)}")
            self._say(f"[dim]{shares(case.breakdown)}[/]")

    def _attempted(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)
        mark = "[green]kept    [/]" if attempt.kept else "[yellow]reverted[/]"
        words = escape(" ".join(attempt.proposal.words))
        self._say(f"  {mark}  [bold]{attempt.proposal.remedy}[/]  [dim]{words}[/]")
        self._say(f"            {escape(attempt.reason)}")
        if attempt.kept and attempt.after:
            self._say(f"            now {self._point(attempt.after)}")

    def _point(self, measured: Measured) -> str:
        point = measured.point
        return f"{point.accuracy:.2%} validation for {cost(point.device_seconds)} [dim]({self._cost})[/]"

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=False)

    # ---- the end --------------------------------------------------------------------------------------

    def end(self, final: CommandLine, link: str) -> None:
        """The verdict in a panel, the link to the walk's view, and the command line, whole, to be copied."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        rows, _ = page_rows(self._record)
        for name, value in [*self._rows(), *rows]:
            table.add_row(name, value)
        title = f"[bold]{escape(self._record.name)}[/]"
        self._console.print()
        self._console.print(Panel(table, title=title, title_align="left", box=box.ROUNDED, expand=False))
        self._console.print(f"  {link}", soft_wrap=True)
        if self._kept:
            self._console.print(f"\n{escape(final.command_line('run'))}", style="bold", soft_wrap=True)

    def saved(self, path: Path, name: str) -> None:
        self._say(f"saved as {path}; try it with: python -m pipeline run experiment={name}")

    def note(self, final: CommandLine) -> str:
        """The same in Markdown, for the run's page, with a table of the attempts."""
        rows = [f"| {name} | {Text.from_markup(value).plain} |" for name, value in self._rows()]
        attempts = [
            f"| {each.number} | {each.proposal.remedy} | {_verdict(each)} | {each.reason} |"
            for each in self._attempts
        ]
        pictures = [f"![{name}](pictures/{name}.png)" for name in ("walk", "breakdown", "roofline")]
        return "\n".join(
            [
                *["| | |", "|---|---|", *rows, ""],
                f"`{final.command_line('run')}`\n",
                *["| | remedy | | why |", "|---|---|---|---|", *attempts, ""],
                *(pictures if self._first and self._first[0].roofline else pictures[:2]),
            ]
        )

    def _rows(self) -> list[tuple[str, str]]:
        assert self._baseline is not None
        assert self._closed is not None
        assert self._first is not None
        first, last = self._baseline.point, self._closed.result.point
        rows = [
            ("single point", escape(self._first[1].sentence)),
            ("before", self._point(self._baseline)),
        ]
        if not self._kept:
            tried = f"{len(self._attempts)} attempts, none of them holds"
            return [
                *rows,
                ("result", f"[bold]nothing pays[/]: {tried}; {self._closed.why}"),
                *self._given_up(),
            ]
        times = first.device_seconds / last.device_seconds
        change = 100 * (last.accuracy - first.accuracy)
        rows += [
            ("after", self._point(self._closed.result)),
            ("result", f"[bold green]{times:.3g}x cheaper[/], accuracy {change:+.2f} points"),
            ("fresh seeds", self._fresh()),
            ("attempts", f"{len(self._attempts)}, {self._kept} kept; {self._closed.why}"),
        ]
        return rows + self._given_up()

    @property
    def _kept(self) -> int:
        """Attempts on the way to the result."""
        assert self._closed is not None
        return sum(each.kept for each in self._attempts) - len(self._closed.given_up)

    def _fresh(self) -> str:
        assert self._closed is not None
        found = self._closed.fresh
        say = "that only chose the number of epochs" if self._closed.lengthened else "that had no say"
        return f"{fmean(found):.2%} validation on {len(found)} seeds {say}"

    def _given_up(self) -> list[tuple[str, str]]:
        assert self._closed is not None
        many = len(self._closed.given_up)
        if not many:
            return []
        attempts = "1 attempt" if many == 1 else f"{many} attempts"
        return [("stepped back", f"[yellow]{attempts} kept at first did not hold on fresh seeds[/]")]


def _verdict(attempt: Attempt) -> str:
    return "kept" if attempt.kept else "reverted"


def shares(found: Breakdown) -> str:
    """`backward 44 %, ...`, largest first, and what stands beside it."""
    parts = sorted(found.parts, key=lambda part: -found.share(part))
    within = ", ".join(f"{part} {found.share(part):.0%}" for part in parts)
    beside = ", ".join(f"{name} {cost(span.seconds)}" for name, span in found.beside.items())
    rest = f"; {abs(found.unexplained):.0%} {'unexplained' if found.unexplained > 0 else 'counted twice'}"
    more = f"; beside it: {beside}" if beside else ""
    return f"one {found.of} of {cost(found.whole.seconds)}: {within}{rest}{more}"


def cost(seconds: float) -> str:
    """Seconds, milliseconds or microseconds, three digits."""
    if seconds >= 1:
        return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"
