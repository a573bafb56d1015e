"""Clean, split and scale; the result is cached under a hash of the source and the settings."""

import hashlib
import json
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data import cache_entry, feature_layers, repeats, sources, splitting
from pipeline.data.cache_entry import PreparedContent
from pipeline.data.features import FrontEnd, SampleKind, SoundSamples, TableSamples, TextSamples
from pipeline.data.prepared import Prepared
from pipeline.data.prepared_content import FitFrontEnd, build_content
from pipeline.data.report import Findings
from pipeline.data.samples import RawSamples, Table
from pipeline.data.sources import LoadedData
from pipeline.errors import BadInput, BadSetting, DataChanged
from pipeline.settings.data import Datasets, SoundData, TextData, Tfds
from pipeline.settings.kinds import option_name
from pipeline.settings.preprocess import AUTO_RULE, Preprocess, Standardise, Storage
from pipeline.settings.settings import Settings
from pipeline.settings.tables import Csv

FORMAT = 3  # raise it when the same settings come to mean other arrays


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
    entry = cache_entry.load_entry(cache_dir, key)
    if entry is None:
        entry = cache_entry.create_entry(cache_dir, key, partial(_make_content, settings, data_dir, source))
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
    if isinstance(data, TextData | Csv | Datasets | Tfds):
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
    return build_content(
        loaded,
        {"train": train, "validation": validation, "test": test},
        preprocess,
        source,
        fit,
        folder,
        (dropped, findings),
    )
