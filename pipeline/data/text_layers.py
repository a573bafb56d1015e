"""The front end of texts as weighted counts: fitted on training texts, and as Keras layers.

Texts alone are such a front end (`Counts`), and so is each column of free text in a table.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data.features import CHARACTER, WHITESPACE, Counts
from pipeline.data.samples import Texts
from pipeline.data.text_split import choose_split
from pipeline.errors import BadData
from pipeline.settings.preprocess import TextSplit, Vocabulary

TEXTS_PER_PORTION = 512
MAX_COUNT = 255
"""Counts are stored as bytes."""
COLUMN_WORDS = 500
"""Inputs of all columns of free text in a table together, at the most."""
COLUMN_NUMBERS = 2**25
"""Of these columns, in the training rows of a table: 128 MiB."""
LEAST_WORDS = 50
"""Inputs of a column of free text where rows are many."""
TEXTS_OF_A_WORD = 2
"""A word of a column is in so many training texts, or it tells nothing of others."""
COLUMN_LENGTH = 3.0
"""Of the vector that a text of a column becomes, next to numbers of deviation 1."""
ABSENT = "absent"
"""The vocabulary of a column without a word."""


# ---- fitting ----------------------------------------------------------------------------------------------


def choose_text_split(settings: Vocabulary, train: Texts) -> str:
    """Return what the training texts are cut into, Keras' "whitespace" or "character"."""
    texts = (text for rows in split_texts(len(train)) for text in train[rows])
    return CHARACTER if choose_split(settings, texts) is TextSplit.letters else WHITESPACE


def fit_vocabulary(size: int, train: Texts, ngrams: int | None, split: str) -> tuple[str, ...]:
    """Return the `size` most frequent n-grams of the training texts, most frequent first."""
    layer = keras.layers.TextVectorization(size + 2, ngrams=ngrams, split=split)  # two are Keras' own
    layer.adapt(tf.constant(list(train[rows]), tf.string) for rows in split_texts(len(train)))
    words = map(str, layer.get_vocabulary(include_special_tokens=False))
    return tuple(dict.fromkeys(word.rstrip("\0") for word in words))


def fit_counts(settings: Vocabulary, train: Texts) -> Counts:
    """Fit the n-grams of the training texts and their weights.

    Raises:
        BadData: the training texts have no words.
    """
    split = choose_text_split(settings, train)
    vocabulary = fit_vocabulary(settings.size, train, settings.ngrams, split)
    if not vocabulary:
        raise BadData("the training texts must hold words, got none; look at the files")
    texts_with = _count_texts(Counts(vocabulary, (), settings.ngrams, split), train)
    idf = np.log(1 + len(train) / (1 + np.asarray(texts_with, np.float64)))
    idf[0] = idf[1:].mean()  # as in Keras: any other n-gram counts as an average one
    return Counts(vocabulary, tuple(map(float, idf)), settings.ngrams, split)


def fit_columns_of_text(settings: Vocabulary, columns: tuple[Texts, ...]) -> tuple[Counts, ...]:
    """Fit the words of each column of free text; together they have at most `COLUMN_WORDS` inputs."""
    if not columns:
        return ()
    for_memory = max(LEAST_WORDS, COLUMN_NUMBERS // max(1, len(columns[0])))
    words = max(2, min(settings.size, COLUMN_WORDS, for_memory) // len(columns))
    return tuple(_fit_column(settings, words, train) for train in columns)


def _fit_column(settings: Vocabulary, words: int, train: Texts) -> Counts:
    split = choose_text_split(settings, train)
    frequent = fit_vocabulary(words, train, 1, split)
    if not frequent:
        return Counts((ABSENT,), (0.0, 0.0), 1, split)
    texts_with = _count_texts(Counts(frequent, (), 1, split), train)[1:]
    several = np.flatnonzero(texts_with >= TEXTS_OF_A_WORD)
    used = several if len(several) else np.arange(1)
    idf = np.log(1 + len(train) / (1 + texts_with[used].astype(np.float64)))
    vocabulary = tuple(frequent[number] for number in used)
    return Counts(vocabulary, (0.0, *map(float, idf)), 1, split)


def _count_texts(counts: Counts, train: Texts) -> np.ndarray:
    """Return in how many texts each n-gram is, int64 [1 + vocabulary]; the first: any other one."""
    layer = _make_layer(counts, None)
    total = np.zeros(len(counts.vocabulary) + 1, np.int64)
    for rows in split_texts(len(train)):
        total += (np.asarray(layer(tf.constant(list(train[rows]), tf.string))) > 0).sum(axis=0)
    return total


def split_texts(rows: int) -> Iterator[slice]:
    """Yield portions of rows, few enough for Keras to look at their words."""
    starts = range(0, rows, TEXTS_PER_PORTION)
    return (slice(start, min(start + TEXTS_PER_PORTION, rows)) for start in starts)


# ---- layers -----------------------------------------------------------------------------------------------


def _make_layer(counts: Counts, name: str | None) -> Tensor:
    return keras.layers.TextVectorization(
        len(counts.vocabulary) + 1,
        ngrams=counts.ngrams,
        split=counts.split,
        output_mode="count",
        vocabulary=list(counts.vocabulary),
        name=name,
    )


def make_counts(counts: Counts, inputs: Tensor) -> Tensor:
    """Return how often each n-gram occurs in texts, up to `MAX_COUNT`, [n, 1 + vocabulary]."""
    return keras.ops.minimum(_make_layer(counts, "ngrams")(inputs), MAX_COUNT)


def make_column_of_text(counts: Counts, inputs: Tensor, number: int) -> Tensor:
    """Return the weighted words of a column of free text, [n, vocabulary] of one length, or zeros.

    A count counts as log(1 + count), so that long texts are no louder than short ones.
    """
    ops = keras.ops
    found = ops.cast(_make_layer(counts, f"words_{number}")(inputs), "float32")[:, 1:]
    weighted = ops.log1p(found) * np.array(counts.idf[1:], np.float32)
    length = ops.sqrt(ops.sum(ops.square(weighted), -1, keepdims=True))
    return weighted * (COLUMN_LENGTH / ops.maximum(length, 1e-6))
