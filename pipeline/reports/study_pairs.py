"""A frontier over more than two objectives, in pairs: a picture with a panel for each two of them."""

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.formatting import format_number
from pipeline.frontier.hypervolume import compute_error_floor
from pipeline.measures import Point
from pipeline.reports import study_plots
from pipeline.reports.objective_pairs import PairAxis, find_pair_frontier, list_pairs
from pipeline.reports.palette import BLUE, INK, ORANGE, SKY
from pipeline.reports.style import MIDDLE, in_own_style, make_figure, render_png, strip_axes, use_log_cost
from pipeline.search.results import Results

PANELS_IN_A_ROW = 3


@in_own_style
def draw_pairs(results: Results) -> bytes:
    """Draw the frontier over all objectives in each pair of them, on log scales."""
    pairs = list_pairs(results)
    columns = min(PANELS_IN_A_ROW, len(pairs))
    rows = -(-len(pairs) // columns)
    ringed = " · ringed: the knee" if results.knee else ""
    head = (
        f"blue: on the frontier; dark, with the line: by these two alone{ringed} · grey: where a trial ended"
    )
    title = f"Frontier over {len(results.objective_names)} objectives, {results.study}"
    figure = make_figure(4.3 * columns, 3.9 * rows, title, head)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes, (up, across) in zip(panels, pairs, strict=False):
        strip_axes(axes)
        axes.set_xlabel(across.heading, size=MIDDLE, color=INK, parse_math=False)
        axes.set_ylabel(up.heading, size=MIDDLE, color=INK, parse_math=False)
        if results.frontier:
            _draw_pair(axes, results, up, across)
    return render_png(figure)


def _draw_pair(axes: Axes, results: Results, up: PairAxis, across: PairAxis) -> None:
    members = [member.point for member in results.frontier]
    ends = [trial.points[-1] for trial in results.trials if trial.points]
    floor = compute_error_floor(results.points)

    def place(point: Point) -> tuple[float, float]:
        height = study_plots.locate(point, floor)[1] if up.number == 0 else up.read(point)
        return across.read(point), height

    everything = [place(point) for point in (*ends, *members)]
    use_log_cost(axes, [x for x, _ in everything])
    if up.number == 0:
        study_plots.scale_accuracy_axis(axes, [y for _, y in everything], floor, results.measure)
    else:
        _use_log_height(axes)
    xs, ys = zip(*map(place, ends), strict=True)
    axes.scatter(xs, ys, 16, "#c4c4c4", linewidths=0.8, edgecolors="#a8a8a8", zorder=2)
    stairs = [place(members[index]) for index in find_pair_frontier(members, up, across)]
    for point in members:
        axes.plot(*place(point), "o", ms=5.5, color=SKY, mec=BLUE, mew=0.8, zorder=3)
    xs, ys = zip(*stairs, strict=True)
    axes.plot(
        [*xs, axes.get_xlim()[1]], [*ys, ys[-1]], color=BLUE, linewidth=1.4, drawstyle="steps-post", zorder=2
    )
    axes.plot(xs, ys, "o", color=BLUE, ms=6, mec="white", mew=1.0, zorder=4)
    if results.knee:
        axes.plot(*place(results.knee.point), "o", mfc="none", mec=ORANGE, ms=12, mew=2, zorder=5)


def _use_log_height(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value)))
