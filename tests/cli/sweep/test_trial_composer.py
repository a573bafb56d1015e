"""Trials of a sweep are composed as any command line is, most of them without Hydra."""

from collections.abc import Sequence

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.sweep.trial_composer import TrialComposer
from pipeline.errors import BadSetting
from pipeline.settings.command_line import CommandLine

FIXED = ("data=digits", "device=cpu", "search.study=a b")
TRIALS = [
    ("model.hidden=24", "optimizer=adam", "optimizer.learning_rate=0.003", "train.epochs=3"),
    ("model.hidden=32", "optimizer=adam", "optimizer.learning_rate=1e-05", "train.epochs=7"),
    ("model.hidden=8", "optimizer=adam", "optimizer.learning_rate=1", "train.epochs=2"),  # for a float
    ("model.hidden=8", "optimizer=sgd", "optimizer.momentum=0.9", "train.batch_size=64"),
    ("model.hidden=9", "optimizer=sgd", "optimizer.momentum=0", "train.batch_size=32"),
    ("engine=graph", "model.hidden=4"),
    ("engine=keras", "model.hidden=5"),
]


class Counted:
    def __init__(self) -> None:
        self.asked = list[Sequence[str]]()

    def __call__(self, words: Sequence[str]) -> CommandLine:
        self.asked.append(words)
        return compose(words)


def test_a_trial_is_composed_as_any_command_line() -> None:
    counted = Counted()
    composer = TrialComposer(counted)
    for own in TRIALS * 2:
        assert composer([*FIXED, *own]) == compose([*FIXED, *own])
    assert len(counted.asked) == 4, "one of each kind: the others differ in numbers alone"


@pytest.mark.parametrize("word", ["model.hidden=0", "model.hidden=2.5", "model.hidden=x8"])
def test_what_is_refused_is_refused_in_the_same_words(word: str) -> None:
    composer = TrialComposer(compose)
    composer([*FIXED, "model.hidden=8"])
    with pytest.raises(BadSetting) as expected:
        compose([*FIXED, word])
    with pytest.raises(BadSetting) as caught:
        composer([*FIXED, word])
    assert str(caught.value) == str(expected.value)
