"""Accuracy under attack in an evaluation: its interval, its units, and where it is refused."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.features import Columns, Tokens
from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.errors import BadData
from pipeline.evaluation.accuracy_under_attack import describe_attack, score_under_attack
from pipeline.evaluation.evaluate import Evaluation, check_evaluation, evaluate
from pipeline.models.predictor import make_predictor
from pipeline.training.train import train
from tests.support import tiny

DATA = tiny.prepared(120)
WORDS = "train.epochs=10 optimizer.learning_rate=0.01"


def test_evaluation_tells_what_is_left() -> None:
    *_, last = train(DATA, tiny.told(WORDS))
    model = last.build_model()

    def score(words: str) -> Evaluation:
        found = evaluate(make_predictor(model), DATA, tiny.told(f"{WORDS} {words}"), model)
        assert isinstance(found, Evaluation)
        return found

    assert score("").attacked is None
    tries = [
        score(f"evaluate.attack=fgsm evaluate.attack_epsilon={epsilon}").attacked for epsilon in (0, 0.1, 0.4)
    ]
    tries.append(score("evaluate.attack=pgd evaluate.attack_epsilon=0.4").attacked)
    clean = score("")
    values = [(found.validation.value, found.test.value) for found in tries if found]
    assert values[0] == (clean.validation.accuracy, clean.test.accuracy)
    assert values == sorted(values, reverse=True)
    assert values[0] > values[2]
    told = tries[1]
    assert told is not None
    assert (told.attack, told.epsilon) == ("fgsm", 0.1)
    assert told.about == "fgsm, epsilon 0.1 of the range of the pixels"
    assert told.test.low < told.test.value < told.test.high or told.test.value in (0, 1)


def table() -> Prepared:
    """Two columns of numbers, of which the first tells the class, and a category."""
    front = Columns(numeric=("a", "b"), medians=(0.0, 0.0), categorical=("c",), categories=(("x",),))

    def split(rows: int, seed: int) -> Split:
        draw, labels = np.random.default_rng(seed), np.arange(rows, dtype=np.int32) % 3
        numbers = np.stack([100.0 * labels + draw.normal(0, 10, rows), draw.normal(0, 1, rows)], 1)
        return Split(np.concatenate([numbers, np.eye(2)[labels % 2]], 1).astype(np.float32), labels)

    train_split = split(90, 1)
    scaling = Scaling(train_split.features.mean(0), train_split.features.std(0))
    splits = {"train": train_split, "validation": split(30, 2), "test": split(30, 3)}
    return replace(DATA, front=front, shape=(4,), scaling=scaling, **splits)


def test_columns_of_numbers_are_attacked_behind_the_front_end() -> None:
    data, settings = table(), tiny.told(f"{WORDS} evaluate.attack=pgd evaluate.attack_epsilon=1.5")
    *_, last = train(data, settings)
    found = score_under_attack(last.build_model(), data, settings.evaluate)
    assert last.curve.last.validation_accuracy == 1
    assert found.validation.value < 0.9
    about = "pgd (10 steps, 1 start), epsilon 1.5 deviations of each column of numbers"
    assert found.about == about == describe_attack(data, settings.evaluate)


def test_what_cannot_be_attacked_is_refused_before_anything_runs() -> None:
    texts = replace(DATA, front=Tokens(("a", "b"), 20), shape=(20,))
    check_evaluation(texts, tiny.told())
    with pytest.raises(BadData, match=r"^evaluate\.attack must be none unless .*got texts"):
        check_evaluation(texts, tiny.told("evaluate.attack=fgsm"))
