"""Words that stand out in mistakes."""

import numpy as np

from pipeline.data.features import Counts, Tokens
from pipeline.data.prepared import Split
from pipeline.evaluation.error_ngrams import find_error_ngrams

WRONG = tuple(range(10))


def split(features: np.ndarray) -> Split:
    return Split(features, np.zeros(len(features), np.int32))


def test_a_word_of_the_wrong_texts_stands_out_and_a_rare_one_does_not() -> None:
    features = np.zeros((100, 4), np.uint8)
    features[:, 0] = 3  # any other word
    features[:8, 1] = 2  # only in wrong texts
    features[:, 2] = 1  # in all
    features[:4, 3] = 1  # too rare to say anything
    found = find_error_ngrams(Counts(("not", "the", "odd"), (1.0,) * 4, 1), split(features), WRONG, 5)
    assert [(each.ngram, each.texts, each.wrong) for each in found] == [("not", 8, 8)]
    np.testing.assert_allclose(found[0].score, (8 - 0.8) / np.sqrt(8 * 0.1 * 0.9))


def test_tokens_say_the_same_as_counts() -> None:
    tokens = np.zeros((100, 3), np.int32)
    tokens[:, 0], tokens[:8, 1], tokens[:8, 2] = 3, 2, 2
    found = find_error_ngrams(Tokens(("not", "the"), 3), split(tokens), WRONG, 5)
    assert [(each.ngram, each.texts, each.wrong) for each in found] == [("not", 8, 8)]


def test_without_texts_or_mistakes_there_is_nothing_to_tell() -> None:
    features = split(np.ones((100, 3), np.uint8))
    assert find_error_ngrams(None, features, WRONG, 5) == ()
    assert find_error_ngrams(Counts(("a", "b"), (1.0,) * 3, 1), features, (), 5) == ()
