"""Near duplicates of two splits, by what their samples are: images, texts, or rows of numbers and words."""

from collections.abc import Mapping

import numpy as np

from pipeline.data.features import FrontEnd, LogMel
from pipeline.data.prepared import Split
from pipeline.data.quality import near_duplicates, twin_images, twin_texts
from pipeline.data.quality.report import MOST_EXAMPLES, SplitTwins, TwinExample
from pipeline.data.samples import Texts, estimate_width, pick_evenly, split_into_portions

IMAGE_RULE = f"correlation of at least {twin_images.CORRELATION:g} in grey"
TEXT_RULE = f"at least {twin_texts.JACCARD:.0%} of all shingles in common"
ROW_RULE = f"numbers within {near_duplicates.TOLERANCE:g} standard deviations, equal words"


def find_twins(
    splits: Mapping[str, Split],
    rows: Mapping[str, np.ndarray],
    columns: Mapping[str, Mapping[str, np.ndarray]],
    name: str,
    front: FrontEnd | None,
) -> SplitTwins:
    """Find the rows of the split `name` that a training row resembles, among `rows` of both.

    Sounds are compared by their spectrograms, as images; what is neither text nor image by its `columns`, as
    what is too thin for a hash, such as a series of numbers, by its numbers.
    """
    train, split_compared = splits["train"], splits[name]
    by_chance = 0.0
    is_image = isinstance(front, LogMel) or (front is None and train.features.ndim > 2)
    if isinstance(train.samples, Texts):
        texts = [list(split.samples[rows[key]]) for key, split in (("train", train), (name, split_compared))]
        twins, rule = twin_texts.find_twin_texts(*texts), TEXT_RULE
    elif is_image and min(train.features.shape[1:3]) < twin_images.FREQUENCIES:
        flat = [
            _pick_numbers(train.features, rows["train"]),
            _pick_numbers(split_compared.features, rows[name]),
        ]
        is_word = np.zeros(flat[0].shape[1], bool)
        (twins, by_chance), rule = near_duplicates.find_twin_rows(flat[0], flat[1], is_word), ROW_RULE
    elif is_image:
        side = twin_images.SOUND_SIDE if isinstance(front, LogMel) else twin_images.SIDE
        small = [
            shrink_rows(split.features, rows[key], side)
            for key, split in (("train", train), (name, split_compared))
        ]
        twins, rule = twin_images.find_twin_images(*small), IMAGE_RULE
    else:
        matrices = _make_matrices(columns["train"], columns[name])
        (twins, by_chance), rule = near_duplicates.find_twin_rows(*matrices), ROW_RULE
    pairs = [(int(rows[name][twin.row]), int(rows["train"][twin.train_row])) for twin in twins]
    same = [bool(split_compared.labels[row] == train.labels[train_row]) for row, train_row in pairs]
    shown = list(zip(twins, pairs, same, strict=True))[:MOST_EXAMPLES]
    return SplitTwins(
        split=name,
        rows=len(rows[name]),
        train_rows=len(rows["train"]),
        count=len(twins),
        by_chance=by_chance,
        other_labels=0 if train.labels.dtype.kind == "f" else same.count(False),
        rule=rule,
        examples=tuple(
            TwinExample(split_compared.name_place(row), train.name_place(train_row), twin.similarity, is_same)
            for twin, (row, train_row), is_same in shown
        ),
    )


def _pick_numbers(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return numbers of these rows that are evenly spread over each, [n, at most 64]."""
    width = int(np.prod(features.shape[1:]))
    shown = pick_evenly(width, near_duplicates.MOST_COLUMNS)
    portions = split_into_portions(len(rows), width)
    return np.concatenate(
        [np.asarray(features[rows[portion]]).reshape(-1, width)[:, shown] for portion in portions]
    )


def shrink_rows(features: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """Return small grey images of these rows, float32 [n, height, width], portion by portion."""
    portions = split_into_portions(len(rows), estimate_width(features))
    return np.concatenate(
        [twin_images.shrink_images(np.asarray(features[rows[portion]]), side) for portion in portions]
    )


def _make_matrices(
    train: Mapping[str, np.ndarray], split_compared: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both as numbers [n, columns], words by their number, and which columns are words."""
    columns = [_number_words(np.concatenate([train[name], split_compared[name]])) for name in train]
    is_word = np.array([column.dtype == object for column in train.values()])
    both = np.column_stack(columns)
    first = len(next(iter(train.values())))
    return both[:first], both[first:], is_word


def _number_words(column: np.ndarray) -> np.ndarray:
    if column.dtype != object:
        return column.astype(np.float64)
    return np.unique(column.astype(str), return_inverse=True)[1].astype(np.float64)
