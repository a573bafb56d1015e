"""Pictures of samples that are no texts, as tiles: training samples, and the surest mistakes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.data.features import LogMel
from pipeline.data.prepared import Prepared
from pipeline.evaluation.evaluate import Evaluation
from pipeline.formatting import format_count, format_percent, shorten
from pipeline.reports.palette import BLUE, INK, LINE, ORANGE
from pipeline.reports.style import MIDDLE, SMALL, in_own_style, make_figure, render_png

MAX_CLASSES = 12  # classes in a grid of samples
SAMPLES_PER_CLASS = 10  # samples of each
MAX_STEPS = 256  # in the profile of a sample that is no image


@dataclass(frozen=True, slots=True)
class Tile:
    """A sample [*shape] with a line of text above and below."""

    sample: np.ndarray
    above: str = ""
    below: str = ""


def select_mistake_tiles(evaluation: Evaluation, prepared: Prepared) -> tuple[Tile, ...]:
    """Select the surest mistakes as tiles: the true class above, the answer below."""
    features = prepared.test.features
    return tuple(
        Tile(
            features[mistake.row],
            shorten(mistake.true),
            f"{shorten(mistake.predicted)}  {format_percent(mistake.confidence)}",
        )
        for mistake in evaluation.worst
    )


@in_own_style
def draw_worst_mistakes(evaluation: Evaluation, prepared: Prepared) -> bytes:
    """Draw the surest mistakes on the test split."""
    tiles = select_mistake_tiles(evaluation, prepared)
    columns = min(8, max(4, math.ceil(math.sqrt(len(tiles)))))
    lines = math.ceil(len(tiles) / columns)
    width = 1.2 if max(len(tile.below) for tile in tiles) < 14 else 1.6
    side, height = 1.1, 1.7  # room for a line of words above each tile and below
    subtitle = f"{len(tiles)} of {evaluation.mistakes:,} · above: true class; below: answer and confidence"
    figure = make_figure(width * columns, height * lines, "Surest mistakes, test split", subtitle)
    axes = _make_sheet(figure, width * columns, height * lines)
    for number, tile in enumerate(tiles):
        line, column = divmod(number, columns)
        corner = (width * column + (width - side) / 2, height * line + (height - side) / 2)
        _draw_tile(axes, tile, prepared, corner, side)
    return render_png(figure)


@in_own_style
def draw_saliency(evaluation: Evaluation, prepared: Prepared) -> bytes:
    """Draw the mistakes that were explained: the sample, and beside it what speaks for the answer."""
    found = evaluation.saliency
    columns = min(4, len(found))
    lines = math.ceil(len(found) / columns)
    side, width, height = 1.1, 2.6, 1.7
    subtitle = (
        "above: true class; below: answer and confidence · orange: speaks for the answer, blue: against"
    )
    figure = make_figure(width * columns, height * lines, "Why: the surest mistakes, test split", subtitle)
    axes = _make_sheet(figure, width * columns, height * lines)
    for number, saliency in enumerate(found):
        line, column = divmod(number, columns)
        corner = (width * column + 0.15, height * line + (height - side) / 2)
        mistake = saliency.mistake
        below = f"{shorten(mistake.predicted)}  {format_percent(mistake.confidence)}"
        _draw_tile(
            axes,
            Tile(prepared.test.features[mistake.row], shorten(mistake.true), below),
            prepared,
            corner,
            side,
        )
        _draw_weights(
            axes,
            saliency.weights,
            isinstance(prepared.front, LogMel),
            (corner[0] + side + 0.08, corner[1]),
            side,
        )
    return render_png(figure)


def _draw_weights(
    axes: Axes, weights: np.ndarray, sound: bool, corner: tuple[float, float], side: float
) -> None:
    """Draw weights [height, width]: white is nothing, the strongest has the full colour."""
    shares = weights / max(float(np.abs(weights).max()), 1e-12)
    colours = np.where(shares[..., None] > 0, to_rgb(ORANGE), to_rgb(BLUE))
    pixels = 1 - np.abs(shares)[..., None] * (1 - colours)
    lines, columns = (1, 1) if sound else weights.shape
    width, height = side * columns / max(lines, columns), side * lines / max(lines, columns)
    left, top = corner[0] + (side - width) / 2, corner[1] + (side - height) / 2
    extent = (left, left + width, top + height, top)
    axes.imshow(pixels[::-1] if sound else pixels, extent=extent)
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=LINE, linewidth=0.8))


def select_class_tiles(prepared: Prepared) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """Yield for each of the first classes its name and training samples from all over the split."""
    for name, rows in prepared.iterate_examples(MAX_CLASSES, SAMPLES_PER_CLASS):
        yield name, tuple(Tile(prepared.train.features[row]) for row in rows)


@in_own_style
def draw_samples(prepared: Prepared) -> bytes:
    """Draw training samples, a row for each class."""
    rows = list(select_class_tiles(prepared))
    shape = " x ".join(map(str, prepared.shape)) or "1"
    shown = f"the first {len(rows)} of " if len(rows) < len(prepared.classes) else ""
    kinds = (
        f"{shown}{format_count(len(prepared.classes), 'class')}" if prepared.classes else "from low to high"
    )
    subtitle = f"{len(prepared.train):,} of shape {shape} · {kinds}"
    names = 0.3 + 0.08 * max(len(shorten(name)) for name, _ in rows)
    cell, side = 0.72, 0.66
    figure = make_figure(cell * SAMPLES_PER_CLASS + names, cell * len(rows), "Training samples", subtitle)
    axes = _make_sheet(figure, cell * SAMPLES_PER_CLASS, cell * len(rows))
    for line, (name, tiles) in enumerate(rows):
        for column, tile in enumerate(tiles):
            _draw_tile(axes, tile, prepared, (cell * column, cell * line), side)
        _write(axes, shorten(name), -0.08, cell * line + side / 2, ha="right", va="center")
    return render_png(figure)


def _make_sheet(figure: Figure, width: float, height: float) -> Axes:
    """Make the one axes that holds all tiles of a picture, in inches from its upper left corner.

    An axes for each tile would take seconds.
    """
    axes = figure.subplots()
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.set_axis_off()
    return axes


def _write(
    axes: Axes, words: str, x: float, y: float, size: int = MIDDLE, color: str = INK, **alignment: Any
) -> None:
    if words:  # an empty text costs as much as another
        axes.text(x, y, words, size=size, color=color, parse_math=False, **alignment)


def _draw_tile(axes: Axes, tile: Tile, prepared: Prepared, corner: tuple[float, float], side: float) -> None:
    """Draw an image as an image, anything else as a profile of its values; greys span the range of the data.

    `corner`: the upper left one of its square, which is `side` inches wide.
    """
    low, high = prepared.report.smallest, prepared.report.largest
    high = high if high > low else low + 1
    sample = np.asarray(tile.sample)
    sample = sample[..., 0] if sample.ndim == 3 and sample.shape[2] == 1 else sample
    coloured, sound = sample.ndim == 3 and sample.shape[2] in (3, 4), isinstance(prepared.front, LogMel)
    fills = sound or not (coloured or sample.ndim == 2)
    lines, columns = (1, 1) if fills else sample.shape[:2]
    width, height = side * columns / max(lines, columns), side * lines / max(lines, columns)
    middle = corner[0] + side / 2
    left, top = middle - width / 2, corner[1] + (side - height) / 2
    extent = (left, left + width, top + height, top)
    if coloured:
        pixels = sample if sample.dtype == np.uint8 else np.clip((sample - low) / (high - low), 0, 1)
        axes.imshow(pixels, extent=extent)
    elif sample.ndim == 2:
        pixels, colours = (sample[::-1], "magma") if sound else (sample, "gray")  # low bands below
        axes.imshow(pixels, cmap=colours, vmin=low, vmax=high, extent=extent)
    else:
        _draw_profile(axes, sample.ravel(), low, high, extent)
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=LINE, linewidth=0.8))
    _write(axes, tile.above, middle, top - 0.05, ha="center", va="bottom")
    _write(axes, tile.below, middle, top + height + 0.06, SMALL, ORANGE, ha="center", va="top")


def _draw_profile(
    axes: Axes, values: np.ndarray, low: float, high: float, extent: tuple[float, float, float, float]
) -> None:
    """Draw values as steps from zero, or from the value nearest to zero; many values as an outline."""
    zero, step = float(np.clip(0, low, high)), math.ceil(len(values) / MAX_STEPS)
    chunks = [values[start : start + step] for start in range(0, len(values), step)]
    bottoms, tops = [min(zero, chunk.min()) for chunk in chunks], [max(zero, chunk.max()) for chunk in chunks]
    left, right, below, above = extent
    bottoms, tops = (np.interp(heights, (low, high), (below, above)) for heights in (bottoms, tops))
    axes.stairs(
        tops, np.linspace(left, right, len(chunks) + 1), baseline=bottoms, fill=True, color=BLUE, linewidth=0
    )
