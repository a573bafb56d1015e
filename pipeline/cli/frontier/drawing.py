"""The frontier on a terminal: a table, and its accuracies by cost as a line of blocks."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from pipeline.formatting import format_duration, format_params, format_setting, shorten_keys
from pipeline.frontier.dominance import flatten, select_frontier
from pipeline.measures import Point
from pipeline.reports.study_markdown import format_accuracies, format_further
from pipeline.search.study_trial import FrontierPoint

BLOCKS = " ▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 40
GAP, INDENT = 2, 6
LEAST_SETTINGS = 40
"""Columns in which settings can be read beside the numbers."""
SUMMED_UP = ("search", "new seeds")
"""Accuracies that the mean over all seeds sums up."""
KNEE = "[bold yellow]knee[/] "
"""Stands before the cost of the knee."""


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
    return f"{format_duration(low)} {line} {format_duration(high)}"


def _scale_error(error: float, highest: float, lowest: float) -> float:
    floor = 1e-4
    top, bottom, value = (math.log(max(share, floor)) for share in (highest, lowest, error))
    return 1.0 if top == bottom else (top - value) / (top - bottom)


class FrontierTable:
    """A table of the frontier, as wide as the terminal: costs, accuracies and settings of each point.

    Settings that all points share stand once above it, of the others each has a column.

    Where a point is confirmed, the accuracies are the mean over all seeds with its interval, what the search
    saw, the mean of the new seeds, and their mean on the test split. Costs are means over all seeds, with
    half the width of their interval in per cent where the seeds differ.

    Where columns of settings have no room, they stand as words behind the numbers of their point, or below
    them where they would be squeezed. Where the numbers have no room, those that the mean sums up are left
    out; where even that is too wide, a point is a line of words.
    """

    def __init__(self, points: Sequence[FrontierPoint], knee: FrontierPoint | None) -> None:
        """Prepare the table of these points, one of which may be the knee."""
        members = sorted(points, key=lambda member: member.estimate.device_seconds)
        self._rows = [_list_cells(member, member is knee, members) for member in members]
        params = [member.settings for member in members]
        shared = dict.fromkeys(key for key in params[0] if _is_shared(key, params)) if params[1:] else {}
        self._shared = format_params({key: params[0][key] for key in shared})
        own = [{key: value for key, value in row.items() if key not in shared} for row in params]
        self._settings = [escape(format_params(row)) for row in own]
        headings = self._rows[0] if self._rows else {}
        names = shorten_keys(dict.fromkeys([*headings, *(key for row in params for key in row)]))
        self._columns = {
            escape(names[key]): [escape(format_setting(row[key])) if key in row else "" for row in own]
            for key in dict.fromkeys(key for row in own for key in row)
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table in the widest layout for which there is room."""
        if self._shared:
            yield Text(f"all points: {self._shared}", style="dim")
        in_columns = self._build((), self._columns)
        if console.measure(in_columns, options=options.update(max_width=10_000)).maximum <= options.max_width:
            yield in_columns
            return
        longest = max((len(text) for text in self._settings), default=0)
        for left_out in ((), SUMMED_UP):
            table = self._build(left_out)
            width = console.measure(table, options=options.update(max_width=10_000)).maximum
            room = options.max_width - width - GAP
            if room >= min(longest, LEAST_SETTINGS):
                yield self._build(left_out, {"": self._settings})
                return
            if room >= -GAP:
                yield from self._interleave(console.render_lines(table, options, pad=False))
                return
        for row, settings in zip(self._rows, self._settings, strict=True):
            words = ", ".join(f"{name} {text.removeprefix(KNEE).strip()}" for name, text in row.items())
            yield Text.from_markup((KNEE if row["cost"].startswith(KNEE) else "") + words)
            if settings:
                yield Padding(Text.from_markup(settings), (0, 0, 0, INDENT), expand=False)

    def _build(self, left_out: Sequence[str], settings: Mapping[str, Sequence[str]] | None = None) -> Table:
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
        names = [name for name in (self._rows[0] if self._rows else ()) if name not in left_out]
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        columns = settings or {}
        for name in columns:
            table.add_column(name, overflow="fold", justify="right" if name else "left")
        for number, row in enumerate(self._rows):
            table.add_row(*(row[name] for name in names), *(column[number] for column in columns.values()))
        return table

    def _interleave(self, lines: Sequence[Sequence[Segment]]) -> RenderResult:
        """Yield the lines of a table of numbers, each point's settings below its own."""
        heading, *rows = lines
        yield Segments([*heading, Segment.line()])
        for row, settings in zip(rows, self._settings, strict=True):
            yield Segments([*row, Segment.line()])
            if settings:
                yield Padding(Text.from_markup(settings), (0, 0, 0, INDENT), expand=False)


def build_frontier_table(points: Sequence[FrontierPoint], knee: FrontierPoint | None) -> FrontierTable:
    """Build the table of the frontier: see `FrontierTable`."""
    return FrontierTable(points, knee)


def _list_cells(member: FrontierPoint, is_knee: bool, members: Sequence[FrontierPoint]) -> dict[str, str]:
    """Return the numbers of a point by the heading of their column, with the styles of rich."""
    estimate = member.estimate
    cost = f"{format_duration(estimate.device_seconds):>7}{estimate.seconds_spread.format()}"
    cells = {"cost": (KNEE if is_knee else "") + cost}
    cells |= dict(zip((kind.label for kind in member.kinds), format_further(member), strict=True))
    if any(row.confirmation for row in members):
        cells |= dict(zip(("all seeds", *SUMMED_UP, "test"), format_accuracies(member), strict=True))
    else:
        cells[member.measure.label] = member.measure.format(member.point.accuracy)
    return {**cells, "trial": str(member.trial.number), "epoch": str(member.epoch)}


def _is_shared(key: str, params: Sequence[Mapping[str, object]]) -> bool:
    """Return whether all points have one value of a setting."""
    return all(key in row and row[key] == params[0][key] for row in params)
