"""Which rows go into which split: cleaned, stratified; rows are copied only after that."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data.samples import (
    Batch,
    RawSamples,
    Texts,
    copy_texts,
    estimate_width,
    split_into_portions,
)
from pipeline.data.sources import LabelledSamples
from pipeline.errors import BadData
from pipeline.formatting import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSelection:
    """Rows of a source that are not copied yet: `rows` int64 [n], in rising order.

    `labels`: int32 [n], of quantities float64 [n].
    `groups`: int64 [n], rows of one number stay on one side of a split; None: each row is by itself.
    `times`: float64 [n], the newest rows are split off; None: rows are split by chance.
    `places`: see `LabelledSamples`, of all rows of the source.
    """

    source: RawSamples
    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    places: np.ndarray | Texts | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: np.ndarray) -> "RowSelection":
        """Return a part of this selection; `indices`: positions in it, as numbers or as a mask."""
        groups, times = (None if array is None else array[indices] for array in (self.groups, self.times))
        return replace(self, rows=self.rows[indices], labels=self.labels[indices], groups=groups, times=times)

    def name_row(self, classes: Sequence[str], number: int) -> str:
        """Return the name of the file of a row of this selection, else that of its class."""
        if isinstance(self.places, Texts):
            return str(self.places[self.rows[[number]]][0])
        return classes[int(self.labels[number])]

    def list_places(self) -> np.ndarray | Texts:
        """Return where the rows of this selection are in the user's data (see `LabelledSamples`)."""
        if self.places is None:
            return self.rows
        return (
            copy_texts(self.places, self.rows) if isinstance(self.places, Texts) else self.places[self.rows]
        )

    def iterate_portions(self) -> Iterator[Batch]:
        """Yield the samples in portions that fit into memory."""
        for portion in split_into_portions(len(self), estimate_width(self.source)):
            yield self.source[self.rows[portion]]


def clean_samples(samples: LabelledSamples, classes: int, dropped: dict[str, int]) -> RowSelection:
    """Select the rows with a usable label and usable features; count the others in `dropped`, by reason.

    `classes`: how many there are; 0: labels are quantities.

    Raises:
        BadData: there are no samples, or none is usable.
    """
    features, labels = samples.features, samples.labels
    if not len(features) or 0 in features.shape:
        raise BadData(f"every split must have samples with features, got shape {features.shape}; add samples")
    labelled, fault = _find_labelled_rows(labels, classes)
    usable, reason = _find_usable_rows(features)
    count_dropped(dropped, fault, int(np.sum(~labelled)))
    count_dropped(dropped, reason, int(np.sum(labelled & ~usable)))
    keep = np.flatnonzero(labelled & usable)
    if not len(keep):
        raise BadData(
            f"every split must keep a row after cleaning, got none of {len(labels)}: {np.sum(~labelled)} "
            f"with a {fault}, the rest with {reason}; mend the data"
        )
    groups, times = (None if array is None else array[keep] for array in (samples.groups, samples.times))
    kept = labels[keep].astype(np.int32 if classes else np.float64)
    return RowSelection(
        source=features, rows=keep, labels=kept, groups=groups, times=times, places=samples.places
    )


def _find_labelled_rows(labels: np.ndarray, classes: int) -> tuple[np.ndarray, str]:
    """Return which rows have a usable label, bool [n], and what is wrong with the others."""
    if not classes:
        return np.isfinite(labels), "missing or infinite label"
    is_whole = np.isfinite(labels) & (labels == np.floor(labels)) if labels.dtype.kind == "f" else True
    return is_whole & (labels >= 0) & (labels < classes), "label out of range"


def _find_usable_rows(features: RawSamples) -> tuple[np.ndarray, str]:
    """Return which rows a network can use, bool [n], and what is wrong with the others."""
    usable = np.ones(len(features), bool)
    if isinstance(features, Texts):
        starts = np.concatenate([[0], features.ends[:-1]])
        return features.ends > starts, "empty text"
    if isinstance(features, np.ndarray) and features.dtype.kind == "f":
        for rows in split_into_portions(len(features), estimate_width(features)):
            numbers = features[rows]
            usable[rows] = np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1)
    return usable, "NaN or infinite feature"


def count_dropped(dropped: dict[str, int], reason: str, rows: int) -> None:
    """Add `rows` to what was dropped for this reason."""
    dropped[reason] = dropped.get(reason, 0) + rows


def take_fraction(train: RowSelection, share: float, seed: int, dropped: dict[str, int]) -> RowSelection:
    """Take this share of each class's rows, in an order by the seed: a smaller share is within a larger.

    Of quantities, it is a share of all rows.
    """
    if share == 1:
        return train
    keep = np.zeros(len(train), bool)
    labels = np.zeros(len(train), int) if train.labels.dtype.kind == "f" else train.labels
    for label in np.unique(labels):
        rows = np.random.default_rng([seed, 2, int(label)]).permutation(np.flatnonzero(labels == label))
        keep[rows[: math.ceil(share * len(rows))]] = True
    count_dropped(dropped, "outside data.fraction", int(np.sum(~keep)))
    return train.select(keep)


def check_classes(split: RowSelection, classes: tuple[str, ...]) -> None:
    """Raise BadData where there are fewer than two classes, or one has no training rows.

    Of quantities (without classes), where all are the same.
    """
    if split.labels.dtype.kind == "f":
        _check_quantities(split.labels)
        return
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


def _check_quantities(labels: np.ndarray) -> None:
    lowest, highest = (float(labels.min()), float(labels.max())) if len(labels) else (0.0, 0.0)
    if lowest == highest:
        raise BadData(
            f"quantities must differ, got {lowest:g} in all of "
            f"{format_count(len(labels), 'training row')}; choose another "
            "label"
        )
    if not np.isfinite(labels.std()):
        raise BadData(
            f"quantities must have a deviation that float64 can hold, got values up to {highest:g}; use "
            "another unit, or their logarithm"
        )


def split_rows(
    split: RowSelection, key: str, share: float, seed: int, classes: tuple[str, ...]
) -> tuple[RowSelection, RowSelection]:
    """Split by time where the rows have times, else by class (see `split_stratified`), quantities by chance.

    Raises:
        BadData: all rows are of one time, or a class has too few rows.
    """
    if split.times is None:
        return split_stratified(split, key, share, seed, classes)
    order = np.argsort(split.times, kind="stable")  # a row without a time (NaN) comes last
    times = split.times[order[np.isfinite(split.times[order])]]
    first_new = times[min(len(times) - 1, round((1 - share) * len(times)))] if len(times) else np.nan
    is_new = split.times >= first_new
    if not is_new.any() or not (split.times < first_new).any():
        raise BadData(
            f"data.split=time must have rows of several times for {key}={share:g}, "
            f"got {len(np.unique(times))}; set data.time=... to a column of dates or numbers"
        )
    return split.select(~is_new), split.select(is_new)


def split_stratified(
    split: RowSelection, key: str, share: float, seed: int, classes: tuple[str, ...]
) -> tuple[RowSelection, RowSelection]:
    """Split with a seed; return the rest, and `share` of the rows (of the groups, where given).

    Each class is split alike, quantities by chance.

    `key`: the setting that the share comes from, for the message.

    Raises:
        BadData: a class has too few rows for that.
    """
    from sklearn.model_selection import train_test_split

    stratified = split.labels.dtype.kind != "f"
    labels, group_of_row = split.labels, np.arange(len(split))
    if split.groups is not None:  # a group goes by the class of its first row
        _, first_rows, group_of_row = np.unique(split.groups, return_index=True, return_inverse=True)
        labels = labels[first_rows]
    try:
        _, chosen = train_test_split(
            np.arange(len(labels)),
            test_size=share,
            random_state=seed,
            stratify=labels if stratified else None,
        )
    except ValueError:  # its text names classes by number; ours have names
        if not stratified:
            raise BadData(
                f"there must be enough rows for {key}={share:g}, got {len(labels)}; add some, or raise {key}"
            ) from None
        numbers, counts = np.unique(labels, return_counts=True)
        smallest, unit = classes[numbers[counts.argmin()]], "rows" if split.groups is None else "groups"
        raise BadData(
            f"every class must have enough samples for a stratified split ({key}={share:g} of {len(labels)} "
            f"{unit}, {format_count(len(numbers), 'class')}), got {counts.min()} of class {smallest}; "
            f"add samples, leave small classes out, or raise {key}"
        ) from None
    is_chosen = np.isin(group_of_row, chosen)
    return split.select(~is_chosen), split.select(is_chosen)
