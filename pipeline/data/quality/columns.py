"""Columns by which samples are compared: those of a table, or a few numbers of an image, sound or text."""

import string
from collections import Counter
from dataclasses import replace

import numpy as np

from pipeline.data.features import CHARACTER, Counts, FrontEnd, LogMel, Tokens
from pipeline.data.prepared import Split
from pipeline.data.quality.column_spread import MOST_COLUMNS, ColumnSpread, fit_spreads
from pipeline.data.samples import (
    Batch,
    RawSamples,
    Table,
    Texts,
    draw_evenly,
    estimate_width,
    pick_evenly,
    split_into_portions,
)

PUNCTUATION = str.maketrans("", "", string.punctuation)
"""What Keras removes before it looks up a word."""
FULL_SCALE = 2.0**15
QUIET = 1e-5
"""Of full scale, -100 dB: silence counts as this."""
ENOUGH_PIXELS = 64
"""Of a side; of larger images every second or third line and so on is measured."""
COLOURS = ("red", "green", "blue")


MOST_COMPARED = 20_000
"""Training rows of a table that are looked at."""
MOST_MEASURED = 5000
"""Rows whose images, texts or sounds are measured."""
MOST_LETTERS = 8_000_000
"""Of all training texts, of which rare words are counted; of more, few words are in one text alone."""
MOST_NUMBERS = 2**29
"""Of all rows of a split that are looked at; images of many pixels are fewer rows."""


def pick_rows(split: Split, limit: int) -> np.ndarray:
    """Return the numbers of at most `limit` rows, evenly spread over the split; fewer of very wide ones."""
    return draw_evenly(len(split), max(1, min(limit, MOST_NUMBERS // max(1, estimate_width(split.samples)))))


def measure_rows(samples: RawSamples, rows: np.ndarray, front: FrontEnd | None) -> dict[str, np.ndarray]:
    """Return the columns by which these rows are compared (see `measure_columns`), portion by portion."""
    portions = [
        measure_columns(samples[rows[portion]], front)
        for portion in split_into_portions(len(rows), estimate_width(samples))
    ]
    return {name: np.concatenate([portion[name] for portion in portions]) for name in portions[0]}


def measure_training(train: Split, rows: np.ndarray, front: FrontEnd | None) -> dict[str, np.ndarray]:
    """Return the columns of these training rows, as rows of another split are measured.

    The vocabulary has words of each training text itself, but none of a new one's own: so what would not be
    in it but for this text counts as unknown.
    """
    texts = train.samples
    if isinstance(front, Counts | Tokens) and isinstance(texts, Texts) and len(texts.letters) <= MOST_LETTERS:
        front = replace(front, vocabulary=_list_shared(texts, front))
    return measure_rows(texts, rows, front)


def _list_shared(texts: Texts, front: Counts | Tokens) -> tuple[str, ...]:
    """List the words of the vocabulary that would be in it without any one of these texts.

    It has all words, or the commonest: then those as common as its rarest are all in it, or some of them.
    """
    in_texts, in_all = Counter[str](), Counter[str]()
    for portion in split_into_portions(len(texts), estimate_width(texts)):
        for text in texts[portion]:
            words = _split_words(str(text), front.split == CHARACTER)
            in_texts.update({*words})
            in_all.update(words)
    vocabulary = {word for word in front.vocabulary if word in in_all}
    counts_outside = {count for word, count in in_all.items() if word not in vocabulary}
    rarest = min((in_all[word] for word in vocabulary), default=0)
    limit = 0 if not counts_outside else rarest + (rarest in counts_outside)
    return tuple(word for word in vocabulary if in_texts[word] > 1 and in_all[word] > limit)


def fit_training_spreads(train: Split, front: FrontEnd | None) -> tuple[ColumnSpread, ...]:
    """Return how the training rows are spread, to compare new rows with."""
    limit = MOST_COMPARED if is_table_like(train.samples, front) else MOST_MEASURED
    return fit_spreads(measure_training(train, pick_rows(train, limit), front))


def is_table_like(samples: RawSamples, front: FrontEnd | None) -> bool:
    """Return whether rows have columns of their own: those of a table, or the numbers of vectors."""
    if isinstance(samples, Table):
        return True
    return front is None and isinstance(samples, np.ndarray) and samples.ndim == 2


def measure_columns(batch: Batch, front: FrontEnd | None) -> dict[str, np.ndarray]:
    """Return the columns of n samples, as a user can send them: numbers float64 [n], or words object [n].

    Of vectors `feature_0` and so on, of which `MOST_COLUMNS` spread over all; of images brightness, contrast,
    detail (between neighbouring pixels) and, in colour, the mean of each; of texts letters, words and the
    share of words that training did not know; of sounds loudness in dB of full scale and the share of
    changes of sign, which grows with pitch and noise.
    """
    if isinstance(batch, dict):
        return dict(list(batch.items())[:MOST_COLUMNS])
    if batch.dtype == object:
        return _measure_texts(batch, front)
    numbers = np.asarray(batch)
    if isinstance(front, LogMel):
        return _measure_sounds(numbers)
    if numbers.ndim > 2:
        return _measure_images(numbers)
    flat = numbers.reshape(len(numbers), -1)
    width = flat.shape[1]
    shown = pick_evenly(width, MOST_COLUMNS)
    return {f"feature_{number}": flat[:, number].astype(np.float64) for number in shown}


def _measure_images(images: np.ndarray) -> dict[str, np.ndarray]:
    step = max(1, min(images.shape[1:3]) // ENOUGH_PIXELS)
    images = images[:, ::step, ::step]
    flat = images.reshape(len(images), -1)
    measured = {
        "brightness": flat.mean(axis=1, dtype=np.float64),
        "contrast": flat.std(axis=1, dtype=np.float64),
    }
    steps = np.abs(np.diff(images.astype(np.float32), axis=2))
    if steps.size:
        measured["detail"] = steps.reshape(len(images), -1).mean(axis=1, dtype=np.float64)
    if images.ndim == 4 and images.shape[3] == len(COLOURS):
        means = images.mean(axis=(1, 2), dtype=np.float64)
        measured |= {name: means[:, number] for number, name in enumerate(COLOURS)}
    return measured


def _measure_sounds(waves: np.ndarray) -> dict[str, np.ndarray]:
    scale = FULL_SCALE if waves.dtype.kind in "iu" else 1.0
    power = np.square(waves / scale).mean(axis=1, dtype=np.float64)
    changes = np.diff(np.signbit(waves), axis=1).mean(axis=1)
    return {
        "loudness_db": 10 * np.log10(np.maximum(power, QUIET**2)),
        "sign_changes": changes.astype(np.float64),
    }


def _measure_texts(texts: np.ndarray, front: FrontEnd | None) -> dict[str, np.ndarray]:
    vocabulary = frozenset(front.vocabulary) if isinstance(front, Counts | Tokens) else frozenset()
    by_letter = isinstance(front, Counts | Tokens) and front.split == CHARACTER
    rows = []
    for text in map(str, texts):
        words = _split_words(text, by_letter)
        unknown = sum(word not in vocabulary for word in words)
        rows.append((len(text), len(words), unknown / len(words) if words else np.nan))
    letters, words_of, unknown_of = np.array(rows, np.float64).reshape(-1, 3).T
    measured = {"letters": letters, "words": words_of}
    return measured | ({"unknown_words": unknown_of} if vocabulary else {})


def _split_words(text: str, by_letter: bool) -> list[str]:
    clean = text.lower().translate(PUNCTUATION)
    return list(clean.replace(" ", "")) if by_letter else clean.split()
