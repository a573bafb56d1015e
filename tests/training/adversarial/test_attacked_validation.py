"""Accuracy under attack after each epoch is what the saved model has."""

import pytest

from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.models.predictor import make_predictor
from pipeline.training.train import train
from tests.support import tiny

DATA = tiny.prepared(90)
WORDS = "train.epochs=4 optimizer.learning_rate=0.01 evaluate.attack=pgd evaluate.attack_steps=3"


@pytest.mark.parametrize(
    "more", ["", pytest.param("model=cnn model.filters=2 model.hidden=4", marks=pytest.mark.slow)]
)
def test_it_is_that_of_the_saved_model_and_costs_nothing(more: str) -> None:
    words = f"{WORDS} {more}"
    by_measure = tiny.told(f"{words} search.objective=accuracy_under_attack")
    by_objective = tiny.told(f"{words} search.objectives=[accuracy,cost,accuracy_under_attack]")
    *_, plain = train(DATA, tiny.told(words))
    *_, third = train(DATA, by_objective)
    *_, last = train(DATA, by_measure)
    model = last.build_model()
    found = evaluate(make_predictor(model), DATA, by_measure, model)
    assert isinstance(found, Evaluation)
    assert found.attacked is not None
    under_attack = found.attacked.validation.value
    assert last.curve.last.validation_accuracy == last.curve.last.accuracy_under_attack == under_attack
    for ours, other in zip(third.curve.epochs, plain.curve.epochs, strict=True):
        assert ours.validation_accuracy == other.validation_accuracy
        assert other.accuracy_under_attack is None
        assert ours.accuracy_under_attack is not None
        assert ours.accuracy_under_attack <= ours.validation_accuracy
    assert third.curve.last.accuracy_under_attack == under_attack
