"""The content of a new cache entry: rows copied, features made, scaling fitted, and the report."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from pipeline.data import feature_layers, scaling
from pipeline.data.cache_entry import PreparedContent, get_features_path
from pipeline.data.features import CHARACTER, Columns, Counts, FrontEnd, SampleKind, SoundSamples, Tokens
from pipeline.data.prepared import RowPlaces, Scaling, Split
from pipeline.data.report import CleaningReport, Findings
from pipeline.data.samples import RawSamples, copy_rows
from pipeline.data.sources import LoadedData
from pipeline.data.splitting import RowSelection
from pipeline.errors import format_one_line
from pipeline.settings.preprocess import Preprocess, Standardise

PARTS = 10
"""Of the range of quantities, in which a report counts rows."""
MAX_NAMED_FILES = 20
"""Unreadable files that a report names."""
FitFrontEnd = Callable[[SampleKind, RawSamples], FrontEnd]


def build_content(
    loaded: LoadedData,
    selections: dict[str, RowSelection],
    preprocess: Preprocess,
    source: str,
    fit: FitFrontEnd | None,
    folder: Path | None,
    notes: tuple[dict[str, int], Findings],
) -> PreparedContent:
    """Copy the rows, fit the front end and the scaling on the training split, and make the features.

    `notes`: rows that were dropped, by reason, and what was found; what became of texts is added.
    """
    if loaded.kind is None:
        splits = {
            name: Split(
                _copy_rows(selection, folder and get_features_path(folder, name)),
                selection.labels,
            )
            for name, selection in selections.items()
        }
        front, scaling_values = None, scaling.fit_scaling(splits["train"].features, preprocess)
    else:
        assert fit is not None
        raw = {name: copy_rows(selection.source, selection.rows) for name, selection in selections.items()}
        front = fit(loaded.kind, raw["train"])
        compute = feature_layers.make_feature_function(front)
        splits = {
            name: Split(
                _compute_features(compute, raw[name], folder and get_features_path(folder, name)),
                selection.labels,
                raw[name],
                _number_files(selection) if isinstance(loaded.kind, SoundSamples) else None,
            )
            for name, selection in selections.items()
        }
        scaling_values = _choose_scaling(front, splits["train"].features, preprocess)
    splits = {
        name: replace(split, places=RowPlaces(selections[name].list_places(), loaded.unit))
        for name, split in splits.items()
    }
    _note_words(front, sum(map(len, splits.values())), notes[1])
    report = _build_report(loaded, splits, *notes)
    return PreparedContent(
        splits=splits,
        classes=loaded.classes,
        scaling=scaling_values,
        report=report,
        source_sha256=source,
        front=front,
        columns=loaded.columns,
        target=None if loaded.classes else scaling.fit_target(splits["train"].labels),
    )


def _number_files(selection: RowSelection) -> np.ndarray | None:
    """Return the file of each row; None where each row is a file of its own."""
    files = selection.groups
    return files if files is not None and len(np.unique(files)) < len(files) else None


def _copy_rows(selection: RowSelection, path: Path | None) -> np.ndarray:
    """Copy the rows to one array; a source that lies on disk is copied to disk, portion by portion."""
    assert isinstance(selection.source, np.ndarray)
    if path is None or not isinstance(selection.source, np.memmap):
        rows: np.ndarray = selection.source[selection.rows]
        return rows
    shape = (len(selection), *selection.source.shape[1:])
    return _write_portions(path, shape, selection.source.dtype, map(np.asarray, selection.iterate_portions()))


def _compute_features(
    compute: Callable[[RawSamples], Iterator[np.ndarray]], raw: RawSamples, path: Path | None
) -> np.ndarray:
    """Compute the features of one split, in memory or, where `path` is given, in that file."""
    portions = compute(raw)
    first = next(portions)
    if path is None:
        return np.concatenate([first, *portions])
    return _write_portions(path, (len(raw), *first.shape[1:]), first.dtype, chain([first], portions))


def _write_portions(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, portions: Iterable[np.ndarray]
) -> np.ndarray:
    """Write portions of rows to one .npy file; return it memory-mapped."""
    array: np.memmap = np.lib.format.open_memmap(path, "w+", dtype, shape)
    start = 0
    for portion in portions:
        array[start : start + len(portion)] = portion
        start += len(portion)
    array.flush()
    return array


def _choose_scaling(front: FrontEnd, features: np.ndarray, preprocess: Preprocess) -> Scaling:
    """Choose a scaling: counts are weighted, numbers standardised, their pieces centred, all else left."""
    zero, unit = np.zeros((), np.float32), np.ones((), np.float32)
    match front:
        case Counts(idf=idf):
            return Scaling(np.zeros(len(idf), np.float32), (1 / np.array(idf)).astype(np.float32))
        case Tokens():
            return Scaling(zero, unit)
        case Columns(numeric=numeric, dates=dates):
            standardised = scaling.fit_scaling(
                features, replace(preprocess, standardise=Standardise.feature, normalise=False)
            )
            place, numbers = np.arange(features.shape[1]), len(numeric) + len(dates)
            return Scaling(
                np.where(place < numbers + front.pieces, standardised.mean, zero),
                np.where(place < numbers, standardised.std, unit),
            )
        case _:
            return scaling.fit_scaling(features, preprocess)


def _build_report(
    loaded: LoadedData, splits: dict[str, Split], dropped: dict[str, int], findings: Findings
) -> CleaningReport:
    lowest, highest = scaling.find_extremes(splits["train"].features)
    return CleaningReport(
        rows_read=sum(
            len(samples.labels) for samples in (loaded.train, loaded.validation, loaded.test) if samples
        )
        + len(loaded.unreadable),
        rows_kept={name: len(split) for name, split in splits.items()},
        dropped=dropped,
        constant_features=int(np.sum(lowest == highest)),
        smallest=float(lowest.min()),
        largest=float(highest.max()),
        histogram=_count_labels(loaded.classes, splits),
        unreadable=loaded.unreadable[:MAX_NAMED_FILES],
        findings=findings.to_tuple(),
        bits=loaded.bits,
    )


def _count_labels(classes: tuple[str, ...], splits: dict[str, Split]) -> dict[str, dict[str, int]]:
    """Count the rows of each split by class; of quantities by equal parts of the range of all."""
    if classes:
        names, edges = classes, np.arange(len(classes) + 1) - 0.5
    else:
        edges = np.histogram_bin_edges(np.concatenate([split.labels for split in splits.values()]), PARTS)
        names = tuple(f"{low:.6g} .. {high:.6g}" for low, high in pairwise(edges))
    return {
        split_name: dict(zip(names, np.histogram(split.labels, edges)[0].tolist(), strict=True))
        for split_name, split in splits.items()
    }


def _note_words(front: FrontEnd | None, rows: int, findings: Findings) -> None:
    """Add what became of texts: how they were cut, and how many words of each column are counted."""
    fronts: dict[str, FrontEnd | None] = {"": front}
    if isinstance(front, Columns):
        fronts = dict(zip(front.texts, front.counts, strict=True))
    for column, counts in fronts.items():
        if isinstance(counts, Counts | Tokens) and counts.split == CHARACTER:
            text = "cut into letters: written without spaces (vocabulary.split=...)"
            findings.add("text", text, column, rows)
        if isinstance(counts, Counts) and column:
            text = f"of the column {format_one_line(column)} counted"
            findings.add("word", text, count=len(counts.vocabulary))
