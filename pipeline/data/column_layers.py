"""The front end of tables: fitted on the training split, and as Keras layers."""

import itertools
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.backend import keras
from pipeline.data.features import Columns
from pipeline.data.samples import Table, Texts, split_into_portions
from pipeline.data.tables.column_types import ColumnType, Kind
from pipeline.data.text_layers import fit_columns_of_text, make_column_of_text
from pipeline.settings.preprocess import Vocabulary

MAX_CATEGORIES = 100
"""Categories of a column that have an input of their own; the rarest others share that of unknown words."""
DAY, YEAR = 86400.0, 31556952.0
"""Seconds; a year of the Gregorian calendar has 365.2425 days."""
MOST_FOR_FLOAT32 = 1e12
LEAST_SPREAD = 1e-4
"""Numbers whose spread is a smaller part of them lose digits that tell them apart."""
ROWS_OF_A_PIECE = 16
"""Training rows that a piece of a number holds at least, so that fewer of them have fewer pieces."""
LEAST_PIECE = 1e-6
"""Width of a piece as a part of the largest edge: float32 tells narrower ones hardly apart."""
MOST_IN_PIECES = 64
"""Columns of numbers up to which they are cut into pieces: a wide table would be several times as wide."""
LAYER_NAMES = re.compile(
    r"(samples|scaling|logits|probabilities|hidden|category|column|log_mel|ngrams|tokens|word|flatten|embedding)s?(_\d+)*$"
)

# A column may have a name that Keras allows for no layer; its input is then called otherwise.
warnings.filterwarnings(
    "ignore", "When providing `inputs` as a dict, all keys in the dict must match", UserWarning
)


# ---- fitting ----------------------------------------------------------------------------------------------


def fit_columns(
    train: Table,
    types: Sequence[ColumnType] = (),
    vocabulary: Vocabulary | None = None,
    pieces: int = 0,
) -> Columns:
    """Fit medians, units, pieces, categories and words on the training rows.

    `types`: of the columns, where known; `vocabulary`: of columns of free text, which there may be with it;
    `pieces`: into which each column of numbers is cut at most.
    """
    free = {column.name for column in types if column.kind is Kind.text} if vocabulary else set()
    by_kind: dict[bool, dict[str, Texts]] = {True: {}, False: {}}
    for name, column in zip(train.categorical, train.words, strict=True):
        by_kind[name in free][name] = column
    texts, words = by_kind[True], by_kind[False]
    dates = {column.name for column in types if column.kind is Kind.date}
    by_name = {
        name: np.asarray(train.numbers[:, position], np.float64)
        for position, name in enumerate(train.numeric)
    }
    numbers = {name: column for name, column in by_name.items() if name not in dates}
    widths = [_measure_width(column) for column in numbers.values()]
    is_wide = tuple(unit is not None for _, unit in widths)
    most = min(pieces, len(train) // ROWS_OF_A_PIECE) if len(numbers) <= MOST_IN_PIECES else 0
    edges = tuple(
        _find_edges(column, *width, most) for column, width in zip(numbers.values(), widths, strict=True)
    )
    return Columns(
        numeric=tuple(numbers),
        medians=tuple(map(_compute_median, numbers.values())),
        categorical=tuple(words),
        categories=tuple(map(_collect_categories, words.values())),
        offsets=tuple(offset if unit is not None else 0.0 for offset, unit in widths) if any(is_wide) else (),
        units=tuple(1.0 if unit is None else unit for _, unit in widths) if any(is_wide) else (),
        is_wide=is_wide if any(is_wide) else (),
        dates=tuple(name for name in train.numeric if name in dates),
        date_medians=tuple(_compute_median(by_name[name]) for name in train.numeric if name in dates),
        has_time=tuple(
            bool(np.nanmax(np.append(by_name[name] % DAY, 0)) > 0) for name in train.numeric if name in dates
        ),
        types=tuple(types),
        texts=tuple(texts),
        counts=fit_columns_of_text(vocabulary, tuple(texts.values())) if vocabulary else (),
        edges=edges if any(edges) else (),
    )


def _compute_median(column: np.ndarray) -> float:
    numbers = column[np.isfinite(column)]
    return float(np.median(numbers)) if len(numbers) else 0.0


def _measure_width(column: np.ndarray) -> tuple[float, float | None]:
    """Return an offset and a unit that bring a column into the range of float32; None where it is in it."""
    numbers = column[np.isfinite(column)]
    if not len(numbers):
        return 0.0, None
    offset, largest = float(np.median(numbers)), float(np.abs(numbers).max())
    apart = numbers / 2 - offset / 2  # the halves of what may be the largest numbers that there are
    reach = float(np.abs(apart).max())
    scaled = apart / reach if reach > 0 else apart
    spread = 2 * reach * float(np.std(scaled)) if reach > 0 else 0.0
    fits = largest < MOST_FOR_FLOAT32 and (
        spread == 0 or (spread > LEAST_SPREAD * largest and spread > 1e-12)
    )
    return offset, None if fits else (spread or 1.0)


def _find_edges(column: np.ndarray, offset: float, unit: float | None, pieces: int) -> tuple[float, ...]:
    """Return the edges of pieces that hold equally many rows, in units; () of fewer than two.

    A value that many rows have is one edge, and what is empty counts as the median.
    """
    if pieces < 2:
        return ()
    numbers = np.where(np.isfinite(column), column, _compute_median(column))
    if unit is not None:
        numbers = numbers / unit - offset / unit
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, pieces + 1)))
    apart = np.diff(edges, prepend=-np.inf) > LEAST_PIECE * np.abs(edges).max()
    return tuple(edges[apart].tolist()) if apart.sum() > 2 else ()


def _collect_categories(texts: Texts) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for rows in split_into_portions(len(texts), 64):
        counts.update(texts[rows].tolist())
    del counts[""]
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(sorted(words[:MAX_CATEGORIES]))


# ---- layers -----------------------------------------------------------------------------------------------


def make_column_inputs(front: Columns) -> dict[str, Any]:
    """Return a Keras input for each column, by the column's name."""
    dtypes = {
        name: "float64" if is_wide else "float32"
        for name, is_wide in zip(front.numeric, list_wide(front), strict=True)
    }
    dtypes |= dict.fromkeys(front.dates, "float64") | dict.fromkeys(
        (*front.categorical, *front.texts), "string"
    )
    return {
        name: keras.Input((), dtype=dtype, name=_name_input(name, position))
        for position, (name, dtype) in enumerate(dtypes.items())
    }


def list_wide(front: Columns) -> tuple[bool, ...]:
    """Return for each column of numbers whether float32 cannot hold it."""
    return front.is_wide or (False,) * len(front.numeric)


def _name_input(name: str, position: int) -> str:
    """Return the column's name, or `column_` and its place where a layer may not be called so or is."""
    base = re.sub(r"(_\d+)+$", "", name).lower()
    is_layer = (
        LAYER_NAMES.match(name.lower())
        or hasattr(keras.ops, base)
        or hasattr(keras.layers, base.title().replace("_", ""))
    )
    return f"column_{position}" if is_layer or "/" in name or not name.isprintable() or not name else name


def make_column_features(front: Columns, inputs: dict[str, Any]) -> Any:
    """Return the features [n, width] of a table, float32. `inputs`: of columns, by name.

    Numbers, ages of dates, pieces of numbers, parts of dates, categories, then words of free texts.
    """
    columns = [keras.ops.cast(inputs[name], "float64") for name in front.numeric]
    return join_features(front, keras.ops.stack(columns, -1) if columns else None, inputs)


def join_features(front: Columns, numbers: Any, inputs: dict[str, Any]) -> Any:
    """Return the features [n, width]; `numbers`: [n, columns] float64; `inputs`: other columns, by name."""
    columns, pieces = [], []
    if front.numeric:
        filled = _fill_numbers(front, numbers)
        columns.append(keras.ops.cast(filled, "float32"))
        if front.edges:
            pieces.append(_cut_numbers(front, filled))
    ages = []
    for name, median, has_time in zip(front.dates, front.date_medians, front.has_time, strict=True):
        age, more = _make_date_features(inputs[name], median, has_time)
        ages.append(age)
        pieces.append(more)
    columns += [*ages, *pieces]
    for number_of_column, (name, words) in enumerate(zip(front.categorical, front.categories, strict=True)):
        lookup = keras.layers.StringLookup(
            vocabulary=list(words) or [""], output_mode="one_hot", name=f"category_{number_of_column}"
        )
        columns.append(lookup(inputs[name]))
    columns += [
        make_column_of_text(counts, inputs[name], number)
        for number, (name, counts) in enumerate(zip(front.texts, front.counts, strict=True))
    ]
    return keras.ops.concatenate(columns, -1) if len(columns) > 1 else columns[0]


def _fill_numbers(front: Columns, numbers: Any) -> Any:
    """Return numbers [n, columns], float64, with medians for none, and in units for float32."""
    ops = keras.ops
    filled = ops.where(ops.isfinite(numbers), numbers, np.array(front.medians))
    return (filled - np.array(front.offsets)) / np.array(front.units) if front.units else filled


def _cut_numbers(front: Columns, numbers: Any) -> Any:
    """Return how much of each piece lies below the number, 0..1 [n, pieces].

    The piecewise linear encoding of Gorishniy et al. 2022 (arXiv 2203.05556, section 3.2), with its first and
    last piece bounded as well, so that what lies outside the training rows is no farther away.
    """
    pieces = [
        (column, *ends) for column, edges in enumerate(front.edges) for ends in itertools.pairwise(edges)
    ]
    columns, low, high = (np.array(values) for values in zip(*pieces, strict=True))
    shares = (keras.ops.take(numbers, columns, -1) - low) / (high - low)
    return keras.ops.cast(keras.ops.clip(shares, 0, 1), "float32")


def _make_date_features(seconds: Any, median: float, has_time: bool) -> tuple[Any, Any]:
    """Return years since the median [n, 1], and the parts: angle of the year (and day), weekday one-hot."""
    ops = keras.ops
    seconds = ops.where(ops.isfinite(seconds), seconds, median)
    weekday = ops.cast((ops.floor(seconds / DAY) + 3) % 7, "int32")  # 1970 began on a Thursday
    angles = [seconds * (2 * np.pi / period) for period in ((YEAR, DAY) if has_time else (YEAR,))]
    waves = [wave(angle) for angle in angles for wave in (ops.sin, ops.cos)]
    pieces = [*(ops.cast(ops.expand_dims(wave, -1), "float32") for wave in waves), ops.one_hot(weekday, 7)]
    age = ops.cast(ops.expand_dims((seconds - median) / YEAR, -1), "float32")
    return age, ops.concatenate(pieces, -1)
