"""Clean, split and scale; the result is cached under a hash of the source and the settings."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from pipeline.data import feature_layers, prepared, repeats, scaling, sources, splitting
from pipeline.data.features import (
    CHARACTER,
    Columns,
    Counts,
    FrontEnd,
    SampleKind,
    SoundSamples,
    TableSamples,
    TextSamples,
    Tokens,
)
from pipeline.data.prepared import Prepared, PreparedContent, RowPlaces, Scaling, Split
from pipeline.data.report import CleaningReport, Findings
from pipeline.data.samples import RawSamples, Table, copy_rows
from pipeline.data.sources import LoadedData
from pipeline.data.splitting import RowSelection
from pipeline.errors import BadInput, BadSetting, DataChanged, format_one_line
from pipeline.settings.data import Datasets, SoundData, TextData
from pipeline.settings.kinds import option_name
from pipeline.settings.preprocess import AUTO_RULE, Preprocess, Standardise, Storage
from pipeline.settings.settings import Settings
from pipeline.settings.tables import Csv

FORMAT = 3  # raise it when the same settings come to mean other arrays
PARTS = 10
"""Of the range of quantities, in which a report counts rows."""
MAX_NAMED_FILES = 20
"""Unreadable files that a report names."""
FitFrontEnd = Callable[[SampleKind, RawSamples], FrontEnd]


def preprocess(settings: Settings) -> Prepared:
    """Return the prepared data of `settings.data`, from the cache if it is there.

    Raises:
        BadData: the data is missing, damaged, or cannot be split.
        BadInput: the cache is not writable, or the user has no home folder for it.
    """
    source = fingerprint_source(settings)
    data_dir = _expand_home("data_dir", settings.data_dir)
    cache_dir = _expand_home("cache_dir", settings.cache_dir).absolute()
    key = _compute_key(source, settings)
    entry = prepared.load_entry(cache_dir, key)
    if entry is None:
        entry = prepared.create_entry(cache_dir, key, partial(_make_content, settings, data_dir, source))
    _check_storage(entry, settings.preprocess)
    return entry


def fingerprint_source(settings: Settings) -> str:
    """Return the SHA-256 (hex) of the raw content that `settings.data` names; fetch what is missing.

    Raises:
        BadData: a file is missing, damaged or has the wrong hash.
        BadInput: the user has no home folder for the data.
    """
    return sources.fingerprint(settings.data, _expand_home("data_dir", settings.data_dir))


def _expand_home(key: str, path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a container's user may have neither a name nor HOME
        raise BadInput(
            f"{key} must be a folder, got {path} of a user without a home folder; "
            "set FULCRUM_CACHE and FULCRUM_DATA to folders"
        ) from None


def describe_data_settings(settings: Settings) -> str:
    """Return a text that is equal for settings with the same prepared data, as long as no file changes."""
    read = (settings.data, settings.preprocess, settings.data_dir, settings.cache_dir)
    return repr((*read, settings.spectrogram, settings.vocabulary, feature_layers.uses_tokens(settings)))


def _make_content(settings: Settings, data_dir: Path, source: str, folder: Path) -> PreparedContent:
    scratch = folder / "scratch"
    loaded = sources.load(settings.data, data_dir, scratch)
    fit = partial(_fit_front_end, settings)
    content = prepare(loaded, settings.preprocess, source, fit, settings.data.fraction, folder)
    shutil.rmtree(scratch, ignore_errors=True)
    if fingerprint_source(settings) != source:  # what was prepared is neither the one nor the other
        raise DataChanged(
            "the data was changed while it was read; give the command again when it is complete"
        )
    return content


def _fit_front_end(settings: Settings, kind: SampleKind, train: RawSamples) -> FrontEnd:
    if settings.preprocess.standardise is not Standardise.auto and not isinstance(kind, SoundSamples):
        raise BadSetting(
            f"preprocess.standardise must be {AUTO_RULE}, got {settings.preprocess.standardise}; leave it out"
        )
    return feature_layers.fit_front_end(kind, train, settings)


def _compute_key(source: str, settings: Settings) -> str:
    """Compute the SHA-256 (hex) over all that decides the arrays on disk.

    Neither their folder nor how they are stored on the device changes them.
    """
    data, preprocess_values = settings.data, asdict(settings.preprocess)
    del preprocess_values["storage"]
    if not isinstance(data, Csv | Datasets):
        del preprocess_values["pieces"]  # of tables alone
    about = {
        "format": sources.get_format(data, FORMAT),
        "source": source,
        "kind": option_name(type(data)),
        **asdict(data),
        **preprocess_values,
    }
    if isinstance(data, Csv):
        official = [key for key in ("validation", "test_path") if getattr(data, key) is not None]
        about["official_splits"] = official
    for key in ("path", "test_path", "in_memory_limit"):
        about.pop(key, None)  # `source` says what is in the files
    if not data.is_regression:
        about.pop("task", None)  # data that were prepared before there was one stay what they are
    if isinstance(data, SoundData | Datasets):
        about["spectrogram"] = asdict(settings.spectrogram)
    if isinstance(data, TextData | Csv | Datasets):
        about["vocabulary"] = {**asdict(settings.vocabulary), "form": feature_layers.uses_tokens(settings)}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _check_storage(entry: Prepared, preprocess: Preprocess) -> None:
    if preprocess.storage is Storage.uint8 and entry.train.features.dtype != np.uint8:
        raise BadSetting(
            "preprocess.storage must be float32 for samples that are not bytes, got uint8; "
            "set preprocess.storage=float32"
        )


def prepare(
    loaded: LoadedData,
    preprocess: Preprocess,
    source: str,
    fit: FitFrontEnd | None = None,
    fraction: float = 1.0,
    folder: Path | None = None,
) -> PreparedContent:
    """Clean, split, make features and fit the scaling, without the cache.

    `source`: hash of the raw content; `fit`: makes the front end that `loaded.kind` needs; `fraction`: of
    each class's training rows; `folder`: where large features are written, None: all stay in memory.

    Raises:
        BadData: fewer than two classes, a class without samples, quantities that are all the same, or too few
            samples to split.
    """
    dropped: dict[str, int] = {}
    if loaded.unreadable:
        dropped["unreadable file"] = len(loaded.unreadable)
    classes, seed = loaded.classes, preprocess.seed
    given = {
        name: splitting.clean_samples(samples, len(classes), dropped)
        for name, samples in (("test", loaded.test), ("validation", loaded.validation))
        if samples is not None
    }
    train = splitting.clean_samples(loaded.train, len(classes), dropped)
    findings = Findings(loaded.findings)
    deduplicate = preprocess.deduplicate
    if deduplicate and isinstance(train.source, Table):
        train, deduplicate = repeats.group_repeats(train, findings)
    if isinstance(loaded.kind, TableSamples | TextSamples):
        train = repeats.drop_groups(train, list(given.values()), classes, dropped)
    test, validation = given.get("test"), given.get("validation")
    share = preprocess.validation
    if test is None:
        train, test = splitting.split_rows(train, "preprocess.test", preprocess.test, seed, classes)
        share /= 1 - preprocess.test
    splitting.check_classes(train, classes)
    if validation is None:
        train, validation = splitting.split_rows(train, "preprocess.validation", share, seed, classes)
    if deduplicate:
        train = repeats.drop_repeats(train, [validation, test], dropped, findings, classes)
        if given:
            repeats.note_shared(validation, test, findings)
        splitting.check_classes(train, loaded.classes)
    train = splitting.take_fraction(train, fraction, preprocess.seed, dropped)
    return _build_content(
        loaded,
        {"train": train, "validation": validation, "test": test},
        preprocess,
        source,
        fit,
        folder,
        (dropped, findings),
    )


def _build_content(
    loaded: LoadedData,
    selections: dict[str, RowSelection],
    preprocess: Preprocess,
    source: str,
    fit: FitFrontEnd | None,
    folder: Path | None,
    notes: tuple[dict[str, int], Findings],
) -> PreparedContent:
    """Copy the rows, fit the front end and the scaling on the training split, and make the features."""
    if loaded.kind is None:
        splits = {
            name: Split(
                _copy_rows(selection, folder and prepared.get_features_path(folder, name)), selection.labels
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
                _compute_features(compute, raw[name], folder and prepared.get_features_path(folder, name)),
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
