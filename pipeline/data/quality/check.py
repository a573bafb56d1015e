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
from pipeline.data.quality.drift import ColumnDrift, DriftCounter
from pipeline.data.quality.label_errors import (
    MODEL_OF_WORDS,
    MODELS,
    MOST_CLASSES,
    NEEDED_ROWS,
    LabelSuspects,
    cross_fit,
    knows_enough,
    list_suspects,
)
from pipeline.data.quality.leaks import NO_CLASSES, explain_no_leaks, find_telling
from pipeline.data.quality.report import LABELS as WRONG
from pipeline.data.quality.report import (
    LEAKS,
    QualityReport,
    SplitDrift,
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
    labels = {name: np.asarray(splits[name].labels)[rows[name]] for name in (TRAIN, "validation")}
    no_leaks = explain_no_leaks(labels["validation"], len(spreads) if by_column else 0, bool(classes))
    suspects, no_suspects, rare = _find_suspects(train, classes, front)
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
        telling=() if no_leaks else find_telling(spreads, columns, labels),
        suspects=suspects,
        left_out=(*_list_left_out(splits, rows), *rare),
        not_asked={name: why for name, why in ((LEAKS, no_leaks), (WRONG, no_suspects)) if why},
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


# ---- labels -------------------------------------------------------------------------------------------


def _find_suspects(
    train: Split, classes: tuple[str, ...], front: FrontEnd | None
) -> tuple[LabelSuspects | None, str, Sequence[str]]:
    """Return the labels that look wrong, why none were looked for, and which rows were left out of it."""
    if not classes:
        return None, NO_CLASSES, ()
    if len(classes) > MOST_CLASSES:
        return None, f"there are more than {MOST_CLASSES} classes", ()
    rows = pick_rows(train, MOST_MEASURED)
    labels = np.asarray(train.labels)[rows].astype(np.int64)
    counts = np.bincount(labels, minlength=len(classes))
    asked = counts[labels] >= NEEDED_ROWS
    left_out, rare = int((~asked).sum()), int(((counts > 0) & (counts < NEEDED_ROWS)).sum())
    rows, labels = rows[asked], labels[asked]
    if len(np.unique(labels)) < 2:
        return None, f"no two classes have {NEEDED_ROWS} rows", ()
    features = _make_linear_features(train, rows, front)
    probabilities = cross_fit(features, labels, len(classes))
    if not knows_enough(probabilities, labels):
        return None, "simple models learn too little of these classes", ()
    suspects = list_suspects(
        probabilities,
        labels,
        classes,
        split=TRAIN,
        model=MODELS if isinstance(features, np.ndarray) else MODEL_OF_WORDS,
        rows=rows,
        name_place=train.name_place,
    )
    of = f"{format_count(rare, 'class')} with fewer than {NEEDED_ROWS}"
    return suspects, "", (f"{format_count(left_out, 'train label')} of {of}",) if rare else ()


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
