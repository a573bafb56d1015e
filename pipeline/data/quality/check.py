"""Look through prepared splits for what makes a score look better or worse than it is.

Time and memory are bounded: of large splits rows are taken that are evenly spread over them. Trials of a
search never ask; a command asks once, and what was found lies beside the prepared arrays from then on.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from pipeline.data.features import Counts, FrontEnd, Tokens
from pipeline.data.prepared import Prepared, Split
from pipeline.data.quality.column_spread import ColumnSpread, fit_spreads
from pipeline.data.quality.columns import (
    MOST_COMPARED,
    MOST_MEASURED,
    is_table_like,
    measure_rows,
    measure_training,
    pick_rows,
)
from pipeline.data.quality.drift import FEW_ROWS, ColumnDrift, DriftCounter
from pipeline.data.quality.label_errors import MODEL_OF_WORDS, MODELS, LabelSuspects, cross_fit, list_suspects
from pipeline.data.quality.report import (
    QualityReport,
    SplitDrift,
    TellingColumn,
    decode_quality,
    encode_quality,
)
from pipeline.data.quality.twins import find_twins, shrink_rows
from pipeline.data.samples import pick_evenly, split_into_portions
from pipeline.files import write_content
from pipeline.formatting import format_count

QUALITY_FILE = "quality.json"
TRAIN, OTHERS, LABELS = "train", ("validation", "test"), "labels"
MOST_ROWS = {TRAIN: MOST_COMPARED, "validation": 5000, "test": 5000}
MOST_FEATURES, MOST_MIXED = 256, 2048
"""Columns of numbers that a linear model has, and that are mixed into these."""
SMALL_SIDE = 16
"""Of images as a linear model sees them."""
FINE_BINS = 64
TELLING, USUAL = 0.98, 0.9
"""Share of validation rows of which one column tells the class; more are of one class anyway."""


def look_through(prepared: Prepared) -> QualityReport:
    """Return what was found in prepared data; it is kept in their entry of the cache.

    Data that were changed since they were prepared have another key, and are looked through each time.
    """
    is_entry, path = prepared.directory.name == prepared.key, prepared.directory / QUALITY_FILE
    if is_entry:
        with suppress(OSError, ValueError, KeyError, TypeError):  # not there yet, or of another release
            return decode_quality(path.read_text())
    splits = {name: getattr(prepared, name) for name in (TRAIN, *OTHERS)}
    report = check_quality(splits, prepared.classes, prepared.front)
    if is_entry:
        with suppress(OSError):  # a cache that may only be read: it is looked through again
            write_content(path, encode_quality(report))
    return report


def check_quality(
    splits: Mapping[str, Split], classes: tuple[str, ...], front: FrontEnd | None
) -> QualityReport:
    """Look through the splits. `classes`: none where labels are quantities; `front`: their front end."""
    train, by_column = splits[TRAIN], is_table_like(splits[TRAIN].samples, front)
    rows = {name: pick_rows(splits[name], MOST_ROWS[name]) for name in (TRAIN, *OTHERS)}
    measured = rows if by_column else {name: pick_rows(splits[name], MOST_MEASURED) for name in rows}
    columns = {name: measure_rows(splits[name].samples, measured[name], front) for name in OTHERS}
    columns[TRAIN] = measure_training(train, measured[TRAIN], front)
    spreads = fit_spreads(columns[TRAIN])
    counts = np.bincount(np.asarray(train.labels), minlength=len(classes)) if classes else None
    return QualityReport(
        rows={name: len(numbers) for name, numbers in rows.items()},
        smallest=None if counts is None else (classes[counts.argmin()], int(counts.min())),
        largest=None if counts is None else (classes[counts.argmax()], int(counts.max())),
        twins=tuple(find_twins(splits, rows, columns, name, front) for name in OTHERS),
        drift=tuple(
            SplitDrift(
                split=name,
                rows=len(measured[name]),
                columns=_compare(spreads, columns[name]),
                labels=_compare_labels(train, rows[TRAIN], splits[name], rows[name], classes),
            )
            for name in OTHERS
        ),
        telling=_find_telling(spreads, columns, splits, rows) if classes and by_column else (),
        suspects=_find_suspects(train, classes, front) if classes else None,
        left_out=tuple(_list_left_out(splits, rows)),
    )


def _list_left_out(splits: Mapping[str, Split], rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    for name, numbers in rows.items():
        if len(numbers) < len(splits[name]):
            yield f"{len(splits[name]) - len(numbers):,} of {format_count(len(splits[name]), f'{name} row')}"


def _compare(spreads: Sequence[ColumnSpread], columns: Mapping[str, np.ndarray]) -> tuple[ColumnDrift, ...]:
    counter = DriftCounter(spreads)
    counter.add(columns)
    return counter.judge()


def _compare_labels(
    train: Split, train_rows: np.ndarray, split: Split, rows: np.ndarray, classes: tuple[str, ...]
) -> ColumnDrift:
    """Compare the labels of a split, names or quantities, with those of training."""
    before, after = np.asarray(train.labels)[train_rows], np.asarray(split.labels)[rows]
    if classes:
        names = np.array(classes, object)
        before, after = names[before], names[after]
    (drift,) = _compare(fit_spreads({LABELS: before}), {LABELS: after})
    return drift


# ---- leaks --------------------------------------------------------------------------------------------


def _find_telling(
    spreads: Sequence[ColumnSpread],
    columns: Mapping[str, Mapping[str, np.ndarray]],
    splits: Mapping[str, Split],
    rows: Mapping[str, np.ndarray],
) -> tuple[TellingColumn, ...]:
    """Find columns whose bins, by the training rows, tell nearly always the class of validation rows."""
    train, validation = (np.asarray(splits[name].labels)[rows[name]] for name in (TRAIN, "validation"))
    if len(spreads) < 2 or len(validation) < FEW_ROWS:
        return ()
    if np.bincount(validation).max() > USUAL * len(validation):
        return ()
    telling = []
    for spread in spreads:
        bins, asked = _make_fine_bins(spread, columns[TRAIN][spread.name], columns["validation"][spread.name])
        counts = np.zeros((max(bins.max(), asked.max()) + 1, int(train.max()) + 1), np.int64)
        np.add.at(counts, (bins, train), 1)
        guesses = counts.argmax(axis=1)[asked]
        accuracy = float((guesses == validation).mean())
        if accuracy >= TELLING:
            telling.append(TellingColumn(spread.name, accuracy))
    return tuple(sorted(telling, key=lambda column: -column.accuracy))


def _make_fine_bins(
    spread: ColumnSpread, train: np.ndarray, validation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each training and validation row, in `FINE_BINS` of numbers; empty cells are one."""
    if spread.words is not None:
        return spread.find_bins(train), spread.find_bins(validation)
    edges = np.unique(np.quantile(train[np.isfinite(train)], np.linspace(0, 1, FINE_BINS + 1)[1:-1]))
    both = [np.searchsorted(edges, values) for values in (train, validation)]
    for places, values in zip(both, (train, validation), strict=True):
        places[np.isnan(values)] = len(edges) + 1
    return both[0], both[1]


# ---- labels -------------------------------------------------------------------------------------------


def _find_suspects(train: Split, classes: tuple[str, ...], front: FrontEnd | None) -> LabelSuspects | None:
    rows = pick_rows(train, MOST_MEASURED)
    labels = np.asarray(train.labels)[rows].astype(np.int64)
    features = _make_linear_features(train, rows, front)
    probabilities = cross_fit(features, labels, len(classes))
    if probabilities is None:
        return None
    return list_suspects(
        probabilities,
        labels,
        classes,
        split=TRAIN,
        model=MODELS if isinstance(features, np.ndarray) else MODEL_OF_WORDS,
        rows=rows,
        name_place=train.name_place,
    )


def _make_linear_features(train: Split, rows: np.ndarray, front: FrontEnd | None) -> Any:
    """Return what a linear model sees of these rows: numbers [n, columns], or sparse counts of words.

    More than `MOST_FEATURES` numbers are mixed at random into as many.
    """
    if isinstance(front, Counts | Tokens):
        return _count_words(train.features, rows, front)
    if train.features.ndim > 2:
        flat = shrink_rows(train.features, rows, SMALL_SIDE).reshape(len(rows), -1)
    else:
        width = train.features.shape[1]
        columns_used = pick_evenly(width, MOST_MIXED)
        portions = split_into_portions(len(rows), width)
        flat = np.concatenate(
            [np.asarray(train.features[rows[portion]])[:, columns_used] for portion in portions]
        )
    flat = flat.astype(np.float64)
    spread = flat.std(axis=0)
    scaled = (flat - flat.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if not scaled.shape[1]:
        return np.zeros((len(rows), 1))
    if scaled.shape[1] > MOST_FEATURES:
        mixing = np.random.default_rng(0).normal(size=(scaled.shape[1], MOST_FEATURES))
        scaled = scaled @ (mixing / np.sqrt(scaled.shape[1]))
    return scaled


def _count_words(features: np.ndarray, rows: np.ndarray, front: Counts | Tokens) -> Any:
    """Return the logarithms of counts, sparse [rows, words], weighed where the front end weighs."""
    from scipy.sparse import csr_matrix, vstack  # type: ignore[import-untyped]

    portions = []
    for portion in split_into_portions(len(rows), features.shape[1]):
        some = np.asarray(features[rows[portion]])
        row, position = np.nonzero(some)
        values = some[row, position]
        if isinstance(front, Counts):
            weights = np.log1p(values.astype(np.float64)) * np.array(front.idf)[position]
            portions.append(csr_matrix((weights, (row, position)), shape=some.shape))
            continue
        shape = (len(some), len(front.vocabulary) + 2)
        counts = csr_matrix((np.ones(len(row)), (row, values.astype(np.int64))), shape=shape)
        counts.sum_duplicates()
        portions.append(counts.log1p())
    return vstack(portions).tocsr()
