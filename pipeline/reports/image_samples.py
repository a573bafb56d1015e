"""Pictures of samples that are no texts, as tiles: of the training split, and the surest mistakes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.data.features import LogMel
from pipeline.data.prepared import Prepared
from pipeline.evaluation.evaluate import Evaluation
from pipeline.formatting import cut, percent
from pipeline.reports.palette import BLUE, INK, LINE, ORANGE
from pipeline.reports.style import MIDDLE, SMALL, make_figure, render_png

MOST_SHOWN = 12  # classes in a grid of samples
EACH_SHOWN = 10  # samples of each
MOST_STEPS = 256  # in the profile of a sample that is no image


@dataclass(frozen=True, slots=True)
class Tile:
    """One sample [*shape] with words above it and below."""

    sample: np.ndarray
    above: str = ""
    below: str = ""


def mistake_tiles(evaluation: Evaluation, prepared: Prepared) -> tuple[Tile, ...]:
    """The worst mistakes: the true class above, the answer below."""
    features = prepared.test.features
    return tuple(
        Tile(features[each.row], cut(each.true), f"{cut(each.predicted)}  {percent(each.confidence)}")
        for each in evaluation.worst
    )


def worst_mistakes(evaluation: Evaluation, prepared: Prepared) -> bytes:
    """The surest mistakes on the test split."""
    tiles = mistake_tiles(evaluation, prepared)
    columns = min(8, max(4, math.ceil(math.sqrt(len(tiles)))))
    lines = math.ceil(len(tiles) / columns)
    width = 1.2 if max(len(tile.below) for tile in tiles) < 14 else 1.6
    side, height = 1.1, 1.7  # room for a line of words above each tile and below
    told = f"{len(tiles)} of {evaluation.mistakes:,} · above: true class; below: answer and confidence"
    figure = make_figure(width * columns, height * lines, "Surest mistakes, test split", told)
    axes = _sheet(figure, width * columns, height * lines)
    for number, tile in enumerate(tiles):
        line, column = divmod(number, columns)
        corner = (width * column + (width - side) / 2, height * line + (height - side) / 2)
        _draw(axes, tile, prepared, corner, side)
    return render_png(figure)


def class_tiles(prepared: Prepared) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """For each of the first classes its name and training samples from all over the split."""
    for number, name in enumerate(prepared.classes[:MOST_SHOWN]):
        rows = prepared.train.spread(number, EACH_SHOWN)
        yield name, tuple(Tile(prepared.train.features[row]) for row in rows)


def samples(prepared: Prepared) -> bytes:
    """Training samples, a row for each class."""
    found = list(class_tiles(prepared))
    shape = " x ".join(map(str, prepared.shape)) or "1"
    shown = f"the first {len(found)} of " if len(found) < len(prepared.classes) else ""
    told = f"{len(prepared.train):,} of shape {shape} · {shown}{len(prepared.classes)} classes"
    names = 0.3 + 0.08 * max(len(cut(name)) for name, _ in found)
    cell, side = 0.72, 0.66
    figure = make_figure(cell * EACH_SHOWN + names, cell * len(found), "Training samples", told)
    axes = _sheet(figure, cell * EACH_SHOWN, cell * len(found))
    for line, (name, tiles) in enumerate(found):
        for column, tile in enumerate(tiles):
            _draw(axes, tile, prepared, (cell * column, cell * line), side)
        _write(axes, cut(name), -0.08, cell * line + side / 2, ha="right", va="center")
    return render_png(figure)


def _sheet(figure: Figure, width: float, height: float) -> Axes:
    """Ground for all tiles of a picture, in inches from its upper left corner.

    An axes for each tile would take seconds.
    """
    axes = figure.subplots()
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.set_axis_off()
    return axes


def _write(
    axes: Axes, words: str, x: float, y: float, size: int = MIDDLE, color: str = INK, **at: Any
) -> None:
    axes.text(x, y, words, size=size, color=color, parse_math=False, **at)


def _draw(axes: Axes, tile: Tile, prepared: Prepared, corner: tuple[float, float], side: float) -> None:
    """An image as an image, anything else as a profile of its values; greys span the data's range.

    `corner`: upper left one of the square that it gets, of `side` inches.
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
        _profile(axes, sample.ravel(), low, high, extent)
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=LINE, linewidth=0.8))
    _write(axes, tile.above, middle, top - 0.05, ha="center", va="bottom")
    _write(axes, tile.below, middle, top + height + 0.06, SMALL, ORANGE, ha="center", va="top")


def _profile(
    axes: Axes, values: np.ndarray, low: float, high: float, extent: tuple[float, float, float, float]
) -> None:
    """Steps from zero, or from the nearest value to it in the data; a long one as its outline."""
    zero, each = float(np.clip(0, low, high)), math.ceil(len(values) / MOST_STEPS)
    parts = [values[at : at + each] for at in range(0, len(values), each)]
    bottoms, tops = [min(zero, part.min()) for part in parts], [max(zero, part.max()) for part in parts]
    left, right, below, above = extent
    bottoms, tops = (np.interp(heights, (low, high), (below, above)) for heights in (bottoms, tops))
    axes.stairs(
        tops, np.linspace(left, right, len(parts) + 1), baseline=bottoms, fill=True, color=BLUE, linewidth=0
    )
