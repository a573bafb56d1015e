"""Clean, scale and split; the result is kept under the hash of what it came from."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline import prepared, sources
from pipeline.errors import BadData, BadSetting
from pipeline.prepared import Parts, Prepared, Report, Scaling, Split
from pipeline.settings import Data, Preprocess, Settings, Standardise, Storage, option_name
from pipeline.sources import Loaded, Samples

FORMAT = 2  # raise it when the same settings come to mean other arrays
CHUNK_ROWS = 8192


def preprocess(settings: Settings) -> Prepared:
    """The prepared data of `settings.data`, from the cache where it is there.

    Raises:
        BadData: the data is missing, damaged, or cannot be split.
        BadInput: the cache is not writable.
    """
    data_dir = Path(settings.data_dir).expanduser()
    cache_dir = Path(settings.cache_dir).expanduser().absolute()
    source = sources.fingerprint(settings.data, data_dir)
    key = _key(source, settings.data, settings.preprocess)
    found = prepared.stored(cache_dir, key)
    if found is None:
        parts = prepare(sources.load(settings.data, data_dir), settings.preprocess, source)
        found = prepared.store(cache_dir, key, parts)
    _check_storage(found, settings.preprocess)
    return found


def _key(source: str, data: Data, preprocess: Preprocess) -> str:
    """SHA-256 over all that decides the arrays on disk; how they lie on the device does not."""
    told = asdict(preprocess)
    del told["storage"]
    about = {"format": FORMAT, "source": source, "kind": option_name(type(data)), **asdict(data), **told}
    about.pop("path", None)  # where the files lie does not matter: `source` says what is in them
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _check_storage(found: Prepared, preprocess: Preprocess) -> None:
    if preprocess.storage is Storage.uint8 and found.train.features.dtype != np.uint8:
        raise BadSetting(
            "preprocess.storage must be float32 for samples that are not bytes, got uint8; "
            "set preprocess.storage=float32"
        )


def prepare(loaded: Loaded, preprocess: Preprocess, source: str) -> Parts:
    """The whole work, without the disk.

    Raises:
        BadData: fewer than two classes, a class without samples, or too few samples to split.
    """
    dropped: dict[str, int] = {}
    train = _clean(loaded.train, len(loaded.classes), dropped)
    if loaded.test is None:
        train, test = _divide(train, "preprocess.test", preprocess.test, preprocess.seed, loaded.classes)
        share = preprocess.validation / (1 - preprocess.test)
    else:
        test, share = _clean(loaded.test, len(loaded.classes), dropped), preprocess.validation
    _check_classes(train, loaded.classes)
    train, validation = _divide(train, "preprocess.validation", share, preprocess.seed, loaded.classes)
    if preprocess.deduplicate:
        train = _without_repeats(train, [validation, test], dropped)
        _check_classes(train, loaded.classes)
    splits = {"train": train, "validation": validation, "test": test}
    report = _report(loaded, splits, dropped)
    return Parts(splits, loaded.classes, scaling_of(train.features, preprocess), report, source)


def _clean(samples: Samples, classes: int, dropped: dict[str, int]) -> Split:
    features, labels = samples.features, samples.labels
    if features.size == 0:
        raise BadData(f"every split must have samples with features, got shape {features.shape}; add samples")
    whole = np.isfinite(labels) & (labels == np.floor(labels)) if labels.dtype.kind == "f" else True
    labelled = whole & (labels >= 0) & (labels < classes)
    finite = np.ones(len(labels), bool)
    if features.dtype.kind == "f":
        finite = np.isfinite(features.reshape(len(features), -1)).all(axis=1)
    _count(dropped, "label out of range", int(np.sum(~labelled)))
    _count(dropped, "NaN or infinite feature", int(np.sum(labelled & ~finite)))
    keep = labelled & finite
    if not keep.any():
        raise BadData(
            f"every split must keep a row after cleaning, got none of {len(keep)}: {np.sum(~labelled)} with "
            "a label out of range, the rest with NaN or infinity; mend the data"
        )
    return Split(features[keep], labels[keep].astype(np.int32))


def _count(dropped: dict[str, int], reason: str, rows: int) -> None:
    dropped[reason] = dropped.get(reason, 0) + rows


def _check_classes(split: Split, classes: tuple[str, ...]) -> None:
    if len(classes) < 2:
        raise BadData(
            f"the data must have two classes or more, got {len(classes)}; add samples of another class"
        )
    counts = np.bincount(split.labels, minlength=len(classes))
    if (counts == 0).any():
        empty = ", ".join(np.array(classes)[counts == 0][:5])
        raise BadData(
            f"every class must have training samples, got none for {empty}; add some, leave the class out, "
            "or keep repeated rows with preprocess.deduplicate=false"
        )


def _divide(split: Split, key: str, share: float, seed: int, classes: tuple[str, ...]) -> tuple[Split, Split]:
    """Stratified and seeded: the rest, and `share` of the rows."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(split))
    try:
        rest, taken = train_test_split(rows, test_size=share, random_state=seed, stratify=split.labels)
    except ValueError:  # its text names classes by number; ours have names
        numbers, counts = np.unique(split.labels, return_counts=True)
        smallest = classes[numbers[counts.argmin()]]
        raise BadData(
            f"every class must have enough samples for a stratified split ({key}={share:g} of {len(split)} "
            f"rows, {len(numbers)} classes), got {counts.min()} of class {smallest}; "
            f"add samples, leave small classes out, or raise {key}"
        ) from None
    rest, taken = np.sort(rest), np.sort(taken)
    return Split(split.features[rest], split.labels[rest]), Split(split.features[taken], split.labels[taken])


def _without_repeats(train: Split, others: list[Split], dropped: dict[str, int]) -> Split:
    """A sample seen in training says nothing when it is asked again."""
    seen = {_row_hash(row) for other in others for row in other.features}
    keep = np.array([_row_hash(row) not in seen for row in train.features], bool)
    _count(dropped, "repeats a validation or test row", int(np.sum(~keep)))
    return Split(train.features[keep], train.labels[keep])


def _row_hash(row: np.ndarray) -> bytes:
    return hashlib.blake2b((row + 0).tobytes(), digest_size=16).digest()  # + 0: -0.0 equals 0.0


def scaling_of(features: np.ndarray, preprocess: Preprocess) -> Scaling:
    """What turns raw units into the network's, from the training split alone.

    Standardising comes after normalising, and both together are one mean and one std. A feature that never
    changes is centred, not stretched: its normalised std counts as 1, so a value never seen stays small.
    """
    low, span = _range(features) if preprocess.normalise else (0.0, 1.0)
    match preprocess.standardise:
        case Standardise.feature:
            mean, variance = _moments(features)
        case Standardise.overall:
            means, variances = _moments(features)
            mean = means.mean()
            variance = (variances + (means - mean) ** 2).mean()
        case Standardise.none:
            mean, variance = np.asarray(low), np.zeros(())
    std = np.where(variance > 0, np.sqrt(variance), span)
    limits = np.finfo(np.float32)  # below tiny a device may take the divisor for 0
    return Scaling(np.asarray(mean, np.float32), np.clip(std, limits.tiny, limits.max).astype(np.float32))


def _range(features: np.ndarray) -> tuple[float, float]:
    """Lowest value and range; bytes have the range 0..255 whatever values occur."""
    if features.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(features.min()), float(features.max())
    return low, high - low if high > low else 1.0


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each feature in float64, [*shape]; two passes, a chunk of rows at a time."""
    chunks = range(0, len(features), CHUNK_ROWS)
    rows = [features[start : start + CHUNK_ROWS] for start in chunks]
    mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in rows) / len(features)
    squares = sum(((chunk - mean) ** 2).sum(axis=0) for chunk in rows)
    return np.asarray(mean), np.asarray(squares / len(features))


def _report(loaded: Loaded, splits: dict[str, Split], dropped: dict[str, int]) -> Report:
    features = splits["train"].features
    counts = {
        name: np.bincount(split.labels, minlength=len(loaded.classes)) for name, split in splits.items()
    }
    return Report(
        rows_read=len(loaded.train.labels) + (0 if loaded.test is None else len(loaded.test.labels)),
        rows_kept={name: len(split) for name, split in splits.items()},
        dropped=dropped,
        constant_features=int(np.sum(features.min(axis=0) == features.max(axis=0))),
        smallest=float(features.min()),
        largest=float(features.max()),
        histogram={
            name: {label: int(n) for label, n in zip(loaded.classes, count, strict=True)}
            for name, count in counts.items()
        },
    )
