"""Epochs and batch that nobody chose follow from the rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.compose import compose
from pipeline.settings.rows_defaults import (
    BATCHES,
    MAX_EPOCHS,
    STEPS,
    choose_batch,
    choose_epochs,
    choose_words,
)

TABLE = ("data=csv", "data.path=/table.csv", "data.label=kind")


RATE = ("optimizer.learning_rate=0.002", "optimizer.weight_decay=0.3")
FIRM = ("train.keep=least_loss", "schedule=cosine", "model.dropout=0.5", *RATE)


def test_a_table_of_few_rows_gets_small_batches_and_many_epochs() -> None:
    assert choose_words(compose(TABLE), 111) == ("train.batch_size=4", "train.epochs=75", *FIRM)


def test_many_rows_get_the_plain_defaults() -> None:
    assert choose_words(compose(TABLE), 60_000) == ("train.batch_size=64", "train.epochs=10", *FIRM)
    arrays = ("data=arrays", "data.path=/samples.npz", "data.features=x", "data.labels=y")
    assert choose_words(compose(arrays), 60_000) == ("train.batch_size=64", "train.epochs=10")


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("train.epochs=3",), ("train.batch_size=4", *FIRM)),
        (("train.batch_size=32",), ("train.epochs=200", *FIRM)),
        (("train.epochs=3", "train.batch_size=32"), FIRM),
        (("train.batch_size=512",), ("train.epochs=200", *FIRM)),
        (("experiment=smoke",), ()),
    ],
)
def test_what_is_typed_counts(words: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    assert choose_words(compose((*TABLE, *words)), 111) == chosen


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("schedule=constant",), (FIRM[0], *FIRM[2:])),
        (("schedule=cosine", "schedule.final=0.1"), (FIRM[0], *FIRM[2:])),
        (("train.patience=3",), FIRM[2:]),
        (("train.keep=last",), FIRM[1:]),
        (("model.dropout=0", "optimizer.learning_rate=0.01"), (*FIRM[:2], RATE[1])),
        (("optimizer=sgd",), FIRM[:3]),
        (("model=mlp", "optimizer=adam"), FIRM),
        (("model=custom", "model.build=my:net"), (*FIRM[:2], *RATE)),
        (("data.text=remark",), ()),
        (("data.task=regression",), ()),
    ],
)
def test_a_table_is_learnt_firmly_unless_somebody_says_how(
    words: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    line = compose((*TABLE, "train.epochs=3", "train.batch_size=4", *words))
    assert choose_words(line, 111) == chosen
    assert choose_words(line, 111, ("model.hidden",)) == ()


def test_a_quantity_ends_early_unless_somebody_says_how_long() -> None:
    words = (*TABLE, "data.task=regression")
    assert choose_words(compose(words), 111)[-1] == "train.patience=10"
    for typed in ("train.epochs=3", "train.patience=0"):
        assert "train.patience=10" not in choose_words(compose((*words, typed)), 111)
    assert choose_words(compose(words), 111, ("train.epochs", "train.batch_size")) == ()


def test_what_a_search_varies_is_not_fixed() -> None:
    assert choose_words(compose(TABLE), 111, ("train.epochs", "train.batch_size")) == ()


@pytest.mark.parametrize("data", ["digits", "mnist", "fsdd", "rt_polarity"])
def test_data_with_recorded_figures_keep_their_defaults(data: str) -> None:
    assert choose_words(compose([f"data={data}"]), 111) == ()


@given(st.integers(1, 10**7), st.integers(1, 300))
def test_a_batch_fits_the_rows_and_the_steps_suffice(rows: int, default: int) -> None:
    batch = choose_batch(rows)
    epochs = choose_epochs(rows, batch, default)
    assert 1 <= batch <= min(rows, BATCHES[1])
    assert epochs >= default
    assert epochs * (rows // batch) >= STEPS or epochs >= MAX_EPOCHS
