"""Rows that are there more than once: kept on one side of a split, and dropped from the training split."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.data.conflicts import HashedRows, note_conflicts
from pipeline.data.report import Findings
from pipeline.data.samples import (
    Table,
    encode_rows,
)
from pipeline.data.splitting import RowSelection, check_classes, count_dropped

MOST_REPEATS = 0.5
"""Where a larger share of a table's rows repeats others, there are few different ones."""


def group_repeats(train: RowSelection, findings: Findings) -> tuple[RowSelection, bool]:
    """Keep equal rows of a table on one side; return whether rows of official splits are to be dropped.

    Equal rows of a table are different persons as a rule. Where most rows repeat others, there are few
    different ones, and no split could hold them apart: then they are left wherever they fall.
    """
    numbers: dict[bytes, int] = {}
    groups = np.array([numbers.setdefault(row, len(numbers)) for row in _hash_rows(train)], np.int64)
    repeats = len(train) - len(numbers)
    if not repeats:
        return train, True
    if repeats > MOST_REPEATS * len(train):
        findings.add("row", "alike others: too many to keep them in one split", count=repeats)
        return train, False
    if train.groups is None and train.times is None:
        findings.add("row", "alike others: kept, in the same split as those", count=repeats)
        return replace(train, groups=groups), True
    return train, True


def drop_groups(
    train: RowSelection, official: Sequence[RowSelection], classes: tuple[str, ...], dropped: dict[str, int]
) -> RowSelection:
    """Drop training rows of a group that an official split has, too; a group has one number in all splits.

    Raises:
        BadData: nothing of a class is left.
    """
    known = [split.groups for split in official if split.groups is not None]
    if train.groups is None or not known:
        return train
    keep = ~np.isin(train.groups, np.concatenate(known))
    if keep.all():
        return train
    count_dropped(dropped, "of a group of the validation or test file", int(np.sum(~keep)))
    train = train.select(keep)
    check_classes(train, classes)
    return train


def drop_repeats(
    train: RowSelection,
    other_splits: list[RowSelection],
    dropped: dict[str, int],
    findings: Findings,
    classes: tuple[str, ...] = (),
) -> RowSelection:
    """Drop training rows that are in another split, too: a sample seen in training tests nothing.

    Where that would leave nothing of a class and equal samples have equal labels, the class has so few
    different samples that no split holds them apart: then all are kept.
    """
    hashes = list(_hash_rows(train))
    others = [(split, list(_hash_rows(split))) for split in other_splits]
    if classes:
        splits = [
            HashedRows(split.labels, rows, partial(split.name_row, classes))
            for split, rows in ((train, hashes), *others)
        ]
        note_conflicts(splits, isinstance(train.source, Table), findings)
    labels = {
        row: label for split, rows in others for row, label in zip(rows, split.labels.tolist(), strict=True)
    }
    keep = np.array([row not in labels for row in hashes], bool)
    agree = train.labels.dtype.kind != "f" and all(
        labels.get(row, label) == label for row, label in zip(hashes, train.labels.tolist(), strict=True)
    )
    if agree and _is_lost(train.labels, keep, hashes):
        text = "alike a validation or test row: kept, as a class has too few different ones"
        findings.add("row", text, count=int(np.sum(~keep)))
        return train
    count_dropped(dropped, "repeats a validation or test row", int(np.sum(~keep)))
    return train.select(keep)


def note_shared(validation: RowSelection, test: RowSelection, findings: Findings) -> None:
    """Tell of test rows that are validation rows, too, where the user made one of the splits."""
    validated = set(_hash_rows(validation))
    count = sum(row in validated for row in _hash_rows(test))
    findings.add(
        "test row", "alike a validation row: kept, though the choice by validation saw it", "", count
    )


def _is_lost(labels: np.ndarray, keep: np.ndarray, hashes: list[bytes]) -> bool:
    """Return whether nothing is kept of a class most of whose rows repeat each other."""
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if not keep[rows].any():
            return len({hashes[row] for row in rows}) <= (1 - MOST_REPEATS) * len(rows)
    return False


def _hash_rows(selection: RowSelection) -> Iterator[bytes]:
    for batch in selection.iterate_portions():
        yield from (hashlib.blake2b(row, digest_size=16).digest() for row in encode_rows(batch))
