"""A search around what a diagnosis came to: words that settle, words that place the first trial, ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.sweep import from_diagnosis as sweep_from_diagnosis
from pipeline.search.space import Condition, Dimension, SearchSpace


def test_words_are_parted_and_typed_ones_count_more() -> None:
    words = ["experiment=article", "train.batch_size=64", "optimizer=adam", "optimizer.learning_rate=0.003"]
    settled, first = sweep_from_diagnosis.split_words(
        words, ["data=mnist"], ["train.batch_size", "optimizer", "model.hidden"]
    )
    assert settled == ["experiment=article", "optimizer.learning_rate=0.003"]
    assert first == ["train.batch_size=64", "optimizer=adam"]
    settled, first = sweep_from_diagnosis.split_words(
        words, ["optimizer=sgd", "train.batch_size=8"], ["model.hidden"]
    )
    assert (settled, first) == (["experiment=article"], [])
    assert sweep_from_diagnosis.split_words(words, [], [])[0] == words


def test_ranges_close_in_on_what_was_found_and_choices_stay() -> None:
    space = SearchSpace(
        (
            Dimension(key="model.hidden", low=16, high=1024, log=True, is_integer=True),
            Dimension(key="optimizer", choices=("sgd", "adam")),
            Dimension(key="model.dropout", low=0.0, high=0.8),
            Dimension(key="train.epochs", low=1, high=9),
        )
    )
    hidden, optimizer, dropout, epochs = sweep_from_diagnosis.narrow(
        space, {"model.hidden": 32, "optimizer": "adam", "model.dropout": 0.7, "train.epochs": 20}
    ).dimensions
    assert (hidden.low, hidden.high) == (16, 128)
    assert optimizer.choices == ("sgd", "adam")
    assert (dropout.low, dropout.high) == pytest.approx((0.5, 0.8))
    assert (epochs.low, epochs.high) == (1, 9)  # what was found lies beyond it


def test_a_range_under_another_condition_stays() -> None:
    under_sgd, under_adam = (
        Dimension(
            key="optimizer.learning_rate", low=0.001, high=1.0, log=True, when=Condition("optimizer", name)
        )
        for name in ("sgd", "adam")
    )
    values = {"optimizer": "adam", "optimizer.learning_rate": 0.01}
    other, own = sweep_from_diagnosis.narrow(SearchSpace((under_sgd, under_adam)), values).dimensions
    assert other == under_sgd
    assert (own.low, own.high) == pytest.approx((0.0025, 0.04))


@given(st.integers(16, 1024), st.booleans())
def test_what_was_found_stays_in_the_range(value: int, log: bool) -> None:
    whole = Dimension(key="model.hidden", low=16, high=1024, log=log, is_integer=True)
    (near,) = sweep_from_diagnosis.narrow(SearchSpace((whole,)), {"model.hidden": value}).dimensions
    assert near.contains(value)
    assert whole.low <= near.low < near.high <= whole.high
