"""Clean, scale and split; the result is kept under the hash of what it came from."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from pipeline.data import feature_layers, prepared, scaling, sources, splitting
from pipeline.data.features import Columns, Counts, Form, Front, Sound, Tokens
from pipeline.data.prepared import Parts, Prepared, Report, Scaling, Split
from pipeline.data.samples import Raw, take_rows
from pipeline.data.sources import Loaded
from pipeline.data.splitting import Chosen
from pipeline.errors import BadSetting
from pipeline.settings.data_kinds import SoundData, TextData
from pipeline.settings.preprocess import Preprocess, Standardise, Storage
from pipeline.settings.settings import Settings, option_name

FORMAT = 3  # raise it when the same settings come to mean other arrays
MOST_NAMED = 20
"""Unreadable files that a report names."""
Fit = Callable[[Form, Raw], Front]


def preprocess(settings: Settings) -> Prepared:
    """The prepared data of `settings.data`, from the cache where it is there.

    Raises:
        BadData: the data is missing, damaged, or cannot be split.
        BadInput: the cache is not writable.
    """
    data_dir = Path(settings.data_dir).expanduser()
    cache_dir = Path(settings.cache_dir).expanduser().absolute()
    source = sources.fingerprint(settings.data, data_dir)
    key = _key(source, settings)
    found = prepared.stored(cache_dir, key)
    if found is None:
        found = prepared.store(cache_dir, key, partial(_parts, settings, data_dir, source))
    _check_storage(found, settings.preprocess)
    return found


def decisive(settings: Settings) -> str:
    """Equal for settings that mean the same prepared data, as long as no file changes."""
    read = (settings.data, settings.preprocess, settings.data_dir, settings.cache_dir)
    return repr((*read, settings.spectrogram, settings.vocabulary, feature_layers.wants_tokens(settings)))


def _parts(settings: Settings, data_dir: Path, source: str, folder: Path) -> Parts:
    scratch = folder / "scratch"
    loaded = sources.load(settings.data, data_dir, scratch)
    fit = partial(_fitted, settings)
    parts = prepare(loaded, settings.preprocess, source, fit, settings.data.fraction, folder)
    shutil.rmtree(scratch, ignore_errors=True)
    return parts


def _fitted(settings: Settings, form: Form, train: Raw) -> Front:
    if settings.preprocess.standardise is not Standardise.auto and not isinstance(form, Sound):
        raise BadSetting(
            "preprocess.standardise must be auto for texts and tables, which bring their own scaling, "
            f"got {settings.preprocess.standardise}; leave it out"
        )
    return feature_layers.fit(form, train, settings)


def _key(source: str, settings: Settings) -> str:
    """SHA-256 over all that decides the arrays on disk; where they lie and how on the device does not."""
    data, told = settings.data, asdict(settings.preprocess)
    del told["storage"]
    about = {"format": FORMAT, "source": source, "kind": option_name(type(data)), **asdict(data), **told}
    for key in ("path", "test_path", "in_memory_limit"):
        about.pop(key, None)  # `source` says what is in the files
    if isinstance(data, SoundData):
        about["spectrogram"] = asdict(settings.spectrogram)
    if isinstance(data, TextData) or getattr(data, "text", None):
        about["vocabulary"] = {**asdict(settings.vocabulary), "form": feature_layers.wants_tokens(settings)}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _check_storage(found: Prepared, preprocess: Preprocess) -> None:
    if preprocess.storage is Storage.uint8 and found.train.features.dtype != np.uint8:
        raise BadSetting(
            "preprocess.storage must be float32 for samples that are not bytes, got uint8; "
            "set preprocess.storage=float32"
        )


def prepare(
    loaded: Loaded,
    preprocess: Preprocess,
    source: str,
    fit: Fit | None = None,
    fraction: float = 1.0,
    folder: Path | None = None,
) -> Parts:
    """The whole work. `fit`: makes the front that `loaded.form` needs; `folder`: for features on disk.

    Raises:
        BadData: fewer than two classes, a class without samples, or too few samples to split.
    """
    dropped: dict[str, int] = {}
    if loaded.unreadable:
        dropped["unreadable file"] = len(loaded.unreadable)
    train = splitting.clean(loaded.train, len(loaded.classes), dropped)
    if loaded.test is None:
        train, test = splitting.divide(
            train, "preprocess.test", preprocess.test, preprocess.seed, loaded.classes
        )
        share = preprocess.validation / (1 - preprocess.test)
    else:
        test, share = splitting.clean(loaded.test, len(loaded.classes), dropped), preprocess.validation
    splitting.check_classes(train, loaded.classes)
    train, validation = splitting.divide(
        train, "preprocess.validation", share, preprocess.seed, loaded.classes
    )
    if preprocess.deduplicate:
        train = splitting.without_repeats(train, [validation, test], dropped)
        splitting.check_classes(train, loaded.classes)
    train = splitting.fraction_of(train, fraction, preprocess.seed, dropped)
    return _finished(
        loaded,
        {"train": train, "validation": validation, "test": test},
        preprocess,
        source,
        fit,
        folder,
        dropped,
    )


def _finished(
    loaded: Loaded,
    chosen: dict[str, Chosen],
    preprocess: Preprocess,
    source: str,
    fit: Fit | None,
    folder: Path | None,
    dropped: dict[str, int],
) -> Parts:
    """The rows copied, what is to be fitted fitted on the training split, and features made."""
    if loaded.form is None:
        splits = {
            name: Split(_copied(each, folder and prepared.features_path(folder, name)), each.labels)
            for name, each in chosen.items()
        }
        front, scales = None, scaling.scaling_of(splits["train"].features, preprocess)
    else:
        assert fit is not None
        sent = {name: take_rows(each.source, each.rows) for name, each in chosen.items()}
        front = fit(loaded.form, sent["train"])
        splits = {
            name: Split(
                _features(front, sent[name], folder and prepared.features_path(folder, name)),
                each.labels,
                sent[name],
            )
            for name, each in chosen.items()
        }
        scales = _scaling_behind(front, splits["train"].features, preprocess)
    report = _report(loaded, splits, dropped)
    return Parts(splits, loaded.classes, scales, report, source, front)


def _copied(chosen: Chosen, path: Path | None) -> np.ndarray:
    """The rows as one array; a source that lies on disk is copied there, portion by portion."""
    assert isinstance(chosen.source, np.ndarray)
    if path is None or not isinstance(chosen.source, np.memmap):
        copied: np.ndarray = chosen.source[chosen.rows]
        return copied
    shape = (len(chosen), *chosen.source.shape[1:])
    return _written(path, shape, chosen.source.dtype, (np.asarray(each) for each in chosen.portions()))


def _features(front: Front, sent: Raw, path: Path | None) -> np.ndarray:
    portions_of_it = feature_layers.apply(front, sent)
    first = next(portions_of_it)
    if path is None:
        return np.concatenate([first, *portions_of_it])
    return _written(path, (len(sent), *first.shape[1:]), first.dtype, chain([first], portions_of_it))


def _written(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, portions_of_it: Iterable[np.ndarray]
) -> np.ndarray:
    array: np.memmap = np.lib.format.open_memmap(path, "w+", dtype, shape)
    at = 0
    for each in portions_of_it:
        array[at : at + len(each)] = each
        at += len(each)
    array.flush()
    return array


def _scaling_behind(front: Front, features: np.ndarray, preprocess: Preprocess) -> Scaling:
    """Counts are weighed, numbers standardised, categories and tokens left as they are."""
    zero, one = np.zeros((), np.float32), np.ones((), np.float32)
    match front:
        case Counts(idf=idf):
            return Scaling(np.zeros(len(idf), np.float32), (1 / np.array(idf)).astype(np.float32))
        case Tokens():
            return Scaling(zero, one)
        case Columns(numeric=numeric):
            each = scaling.scaling_of(
                features, replace(preprocess, standardise=Standardise.feature, normalise=False)
            )
            number = np.arange(features.shape[1]) < len(numeric)
            return Scaling(np.where(number, each.mean, zero), np.where(number, each.std, one))
        case _:
            return scaling.scaling_of(features, preprocess)


def _report(loaded: Loaded, splits: dict[str, Split], dropped: dict[str, int]) -> Report:
    lowest, highest = scaling.extremes(splits["train"].features)
    counts = {
        name: np.bincount(split.labels, minlength=len(loaded.classes)) for name, split in splits.items()
    }
    return Report(
        rows_read=len(loaded.train.labels)
        + (0 if loaded.test is None else len(loaded.test.labels))
        + len(loaded.unreadable),
        rows_kept={name: len(split) for name, split in splits.items()},
        dropped=dropped,
        constant_features=int(np.sum(lowest == highest)),
        smallest=float(lowest.min()),
        largest=float(highest.max()),
        histogram={
            name: {label: int(n) for label, n in zip(loaded.classes, count, strict=True)}
            for name, count in counts.items()
        },
        unreadable=loaded.unreadable[:MOST_NAMED],
    )
