"""The picture: how much of the one-core floor each cell reaches. Style as in `pipeline.reports.style`."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.cells import Cell
from benchmarks.results import OURS, OURS_BF16, Results

INK, GREY, LINE, BLUE, SKY = "#222222", "#6b6b6b", "#d9d9d9", "#0072B2", "#8cc8ea"
PALE = "#b5b5b5"


def picture(results: Results) -> bytes:
    """A line a cell, 100 % is the floor: blue ours, light blue bf16 (its own floor), grey the rest."""
    grid = results.cells()
    height = 1.35 + 0.42 * len(grid)
    figure = Figure(figsize=(9, height), dpi=130, facecolor="white")
    left, bottom, top = 2.3 / 9, 0.55 / height, 0.75 / height
    axes = figure.add_axes((left, bottom, 0.97 - left, 1 - bottom - top))
    title = "Share of what one core can do, one epoch of 784-H-10"
    told = f"100 % is the floor by measured matrix products or bandwidth · {results.about['device']}"
    figure.text(0.12 / 9, 1 - 0.22 / height, title, size=12, weight="bold", color=INK, va="center")
    figure.text(0.12 / 9, 1 - 0.46 / height, told, size=9, color=GREY, va="center", parse_math=False)
    for place, cell in enumerate(grid):
        _line(axes, results, place, cell)
    _frame(axes, grid, results)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _line(axes: Axes, results: Results, place: int, cell: Cell) -> None:
    rivals = {
        name: share
        for name in results.names()
        if name not in (OURS, OURS_BF16) and (share := results.reached(cell, name)) is not None
    }
    axes.scatter(list(rivals.values()), [place] * len(rivals), s=26, color=PALE, zorder=3)
    if rivals:
        best = max(rivals, key=lambda name: rivals[name])
        axes.annotate(
            best, (rivals[best], place), (0, -11), textcoords="offset points", ha="center", size=7, color=GREY
        )
    for name, colour in ((OURS_BF16, SKY), (OURS, BLUE)):
        share = results.reached(cell, name)
        if share is None:
            continue
        axes.scatter([share], [place], s=80, color=colour, edgecolor="white", zorder=5)
        axes.annotate(
            f"{share:.0%}",
            (share, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            size=8,
            color=INK if name == OURS else GREY,
        )


def _frame(axes: Axes, grid: Sequence[Cell], results: Results) -> None:
    axes.set_yticks(range(len(grid)), [f"{cell} · {results.floor(cell).bound}" for cell in grid])
    axes.set(ylim=(len(grid) - 0.4, -0.7), xlim=(0, 1.04))
    axes.axvline(1, color=INK, linewidth=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.set_xlabel(
        "blue: ours float32 · light blue: ours bf16, of its own floor · grey: rivals, the best one named",
        size=8,
        color=GREY,
    )
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(length=0, pad=5, labelsize=8, labelcolor=INK)
