"""Rows of a summary: on the terminal with the page of the run, and in Markdown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline import output
from pipeline.cli.compose import compose
from pipeline.cli.console import Console
from pipeline.cli.ui import build_link, format_ui_command
from pipeline.errors import format_one_line
from pipeline.formatting import escape_markdown, format_duration
from pipeline.secrets import mask
from pipeline.settings import addresses

if TYPE_CHECKING:
    from pipeline.tracking.run_recorder import RunRecorder

Rows = list[tuple[str, str]]


def write_table(rows: Rows, pictures: Sequence[str]) -> str:
    """Return rows and pictures in Markdown. `pictures`: names of those of the run."""
    shown = " ".join(f"![{name}](pictures/{name}.png)" for name in pictures)
    return "\n".join(["| | |", "|---|---|", *write_rows(rows), "", shown])


def write_rows(rows: Rows) -> list[str]:
    """Return the lines of a table in Markdown; what comes from a user's data stays text, in one line."""
    plain = [[Text.from_markup(cell).plain for cell in row] for row in rows]
    return [f"| {' | '.join(escape_markdown(format_one_line(cell)) for cell in row)} |" for row in plain]


def list_page(record: "RunRecorder") -> tuple[Rows, str]:
    """Return rows that say how to see the run, and the address of its page."""
    ui = compose([]).settings.ui
    address = addresses.read_uri()
    base = mask(address) if address.startswith("http") else build_link(ui)
    page = f"{base}/{addresses.make_run_route(record.experiment_id, record.run_id)}"
    shown = [] if address.startswith("http") else [("see it", f"{format_ui_command()}[dim], then[/]")]
    return [("run", record.run_id), *shown], page


def show_rows(record: "RunRecorder", rows: Rows) -> None:
    """Show rows, and where the run is seen."""
    if output.hand_over(record.run_id):
        return
    more, page = list_page(record)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in [*rows, *more]:
        table.add_row(name, value)
    console = Console()
    console.print(
        Panel(
            table, title=f"[bold]{escape(record.name)}[/]", title_align="left", box=box.ROUNDED, expand=False
        )
    )
    console.print_line(f"  {page}")  # alone on its line, so that a terminal makes it a link


def format_seconds(value: float) -> str:
    """Format seconds with two digits, long ones with one; short ones in ms or µs."""
    return f"{value:.1f} s" if value >= 10 else format_duration(value)
