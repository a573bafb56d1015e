"""The frontier on a terminal: a table, and its accuracies by cost as a line of blocks."""

import math
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from pipeline.formatting import format_duration, format_params
from pipeline.frontier.dominance import flatten, select_frontier
from pipeline.measures import Point
from pipeline.reports.study_markdown import format_accuracies, format_further
from pipeline.search.study_trial import FrontierPoint
from pipeline.settings.command_line import EPOCHS

BLOCKS = " ▁▂▃▄▅▆▇█"


SPARKLINE_WIDTH = 40


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
        cost = f"{format_duration(estimate.device_seconds):>7}{estimate.seconds_spread.format()}"
        mark = "[bold yellow]knee[/] " if knee is not None and member is knee else ""
        cells = [mark + cost, *format_further(member)]
        cells += format_accuracies(member) if confirmed else [member.measure.format(member.point.accuracy)]
        params = {key: value for key, value in member.trial.params.items() if key != EPOCHS}
        table.add_row(*cells, str(member.trial.number), str(member.epoch), escape(format_params(params)))
    return table
