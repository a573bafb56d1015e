"""Style of all pictures: matplotlib's objects and no pyplot, so nothing is global and nothing left open.

A bold line says what is shown, a grey line below it gives the result and how to read it. Blue is what is
right or measured, orange is what is wrong; everything else is grey.
"""

import io
import math
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.formatting import format_number
from pipeline.reports.palette import GREY, INK, LINE

Drawn = ParamSpec("Drawn")
Picture = TypeVar("Picture")
DPI = 130
BIG, MIDDLE, SMALL = 12, 9, 8  # points
HEAD = 0.66  # inches above the drawing, for the two lines
FONTS = ("font.family", "font.sans-serif", "font.serif", "font.monospace", "axes.unicode_minus")
"""Settings of matplotlib that say what has the letters of a language."""


def in_own_style(draw: Callable[Drawn, Picture]) -> Callable[Drawn, Picture]:
    """Let a function draw in matplotlib's own style, whatever a program or a training loop has set before.

    Its fonts stay.
    """

    @wraps(draw)
    def draw_so(*values: Drawn.args, **named: Drawn.kwargs) -> Picture:
        fonts = {key: matplotlib.rcParams[key] for key in FONTS}
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(fonts)
            return draw(*values, **named)

    return draw_so


def make_figure(width: float, height: float, title: str, subtitle: str) -> Figure:
    """Make an empty figure with `height` inches below its title and subtitle."""
    width, total = max(width, 5.2), height + HEAD
    layout = ConstrainedLayoutEngine(h_pad=0.04, rect=(0.02, 0.01, 0.96, height / total - 0.01))
    figure = Figure(figsize=(width, total), dpi=DPI, facecolor="white", layout=layout)
    left = 0.12 / width
    figure.text(
        left, 1 - 0.22 / total, title, size=BIG, weight="bold", color=INK, va="center", parse_math=False
    )
    figure.text(left, 1 - 0.46 / total, subtitle, size=MIDDLE, color=GREY, va="center", parse_math=False)
    return figure


def strip_axes(axes: Axes) -> None:
    """Leave only a light grid and small grey tick labels, without a frame."""
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(length=0, pad=5, labelsize=SMALL, labelcolor=GREY)


def render_png(figure: Figure) -> bytes:
    """Render a figure; the same drawing gives the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class name in a script that the font lacks
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def use_log_cost(axes: Axes, seconds: Sequence[float]) -> None:
    """Scale the cost axis: logarithmic, at least a factor of ten wide, ticks at 1, 2 and 5."""
    low, high = max(min(seconds), 1e-6), max(*seconds, 1e-6)
    wider = max(1.15, math.sqrt(10 * low / high))
    axes.set_xscale("log")
    axes.set_xlim(low / wider, high * wider)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value)))
