"""Which rows go where: cleaned, split by class, without repeats; nothing is copied before that is settled."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.data.samples import Batch, Raw, Texts, measure_row_bytes, measure_width, split_into_portions
from pipeline.data.sources import Samples
from pipeline.errors import BadData


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of a source that are not copied yet: `rows` int64 [n], in rising order; `labels` int32 [n]."""

    source: Raw
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, places: np.ndarray) -> "Chosen":
        """These places of it: numbers or a mask."""
        return Chosen(self.source, self.rows[places], self.labels[places])

    def portions(self) -> Iterator[Batch]:
        for part in split_into_portions(len(self), measure_width(self.source)):
            yield self.source[self.rows[part]]


def clean(samples: Samples, classes: int, dropped: dict[str, int]) -> Chosen:
    features, labels = samples.features, samples.labels
    if not len(features) or 0 in features.shape:
        raise BadData(f"every split must have samples with features, got shape {features.shape}; add samples")
    whole = np.isfinite(labels) & (labels == np.floor(labels)) if labels.dtype.kind == "f" else True
    labelled = whole & (labels >= 0) & (labels < classes)
    filled, reason = _filled(features)
    count(dropped, "label out of range", int(np.sum(~labelled)))
    count(dropped, reason, int(np.sum(labelled & ~filled)))
    keep = np.flatnonzero(labelled & filled)
    if not len(keep):
        raise BadData(
            f"every split must keep a row after cleaning, got none of {len(labels)}: {np.sum(~labelled)} "
            f"with a label out of range, the rest with {reason}; mend the data"
        )
    return Chosen(features, keep, labels[keep].astype(np.int32))


def _filled(features: Raw) -> tuple[np.ndarray, str]:
    """Which rows a network can use, and what is wrong with the others."""
    filled = np.ones(len(features), bool)
    if isinstance(features, Texts):
        starts = np.concatenate([[0], features.ends[:-1]])
        return features.ends > starts, "empty text"
    if isinstance(features, np.ndarray) and features.dtype.kind == "f":
        for part in split_into_portions(len(features), measure_width(features)):
            rows = features[part]
            filled[part] = np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)
    return filled, "NaN or infinite feature"


def count(dropped: dict[str, int], reason: str, rows: int) -> None:
    dropped[reason] = dropped.get(reason, 0) + rows


def fraction_of(train: Chosen, share: float, seed: int, dropped: dict[str, int]) -> Chosen:
    """The first rows of each class in an order that goes by the seed: a smaller part lies within a larger."""
    if share == 1:
        return train
    keep = np.zeros(len(train), bool)
    for label in np.unique(train.labels):
        rows = np.random.default_rng([seed, 2, int(label)]).permutation(np.flatnonzero(train.labels == label))
        keep[rows[: math.ceil(share * len(rows))]] = True
    count(dropped, "outside data.fraction", int(np.sum(~keep)))
    return train.only(keep)


def check_classes(split: Chosen, classes: tuple[str, ...]) -> None:
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


def divide(
    split: Chosen, key: str, share: float, seed: int, classes: tuple[str, ...]
) -> tuple[Chosen, Chosen]:
    """Stratified and seeded: the rest, and `share` of the rows."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(split))
    try:
        rest, kept_apart = train_test_split(rows, test_size=share, random_state=seed, stratify=split.labels)
    except ValueError:  # its text names classes by number; ours have names
        numbers, counts = np.unique(split.labels, return_counts=True)
        smallest = classes[numbers[counts.argmin()]]
        raise BadData(
            f"every class must have enough samples for a stratified split ({key}={share:g} of {len(split)} "
            f"rows, {len(numbers)} classes), got {counts.min()} of class {smallest}; "
            f"add samples, leave small classes out, or raise {key}"
        ) from None
    return split.only(np.sort(rest)), split.only(np.sort(kept_apart))


def without_repeats(train: Chosen, others: list[Chosen], dropped: dict[str, int]) -> Chosen:
    """A sample seen in training says nothing when it is asked again."""
    seen = {each for other in others for each in _row_hashes(other)}
    keep = np.array([each not in seen for each in _row_hashes(train)], bool)
    count(dropped, "repeats a validation or test row", int(np.sum(~keep)))
    return train.only(keep)


def _row_hashes(chosen: Chosen) -> Iterator[bytes]:
    for batch in chosen.portions():
        yield from (hashlib.blake2b(row, digest_size=16).digest() for row in measure_row_bytes(batch))
