"""The attack finds what a model learnt by heart, and nothing where there was nothing to find."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from pipeline.data.prepared import Prepared, Split
from pipeline.evaluation import membership
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.membership import compute_auc, compute_ratios, compute_tpr, judge_attack
from pipeline.models.predictor import make_predictor
from pipeline.settings.settings import Settings
from pipeline.training.privacy.account import open_account
from pipeline.training.train import train
from tests.support import tiny

ROWS = 60


def noisy_split(seed: int) -> Split:
    """Pixels and labels that have nothing to do with each other: all that can be learnt is the rows."""
    draw = np.random.default_rng(seed)
    return Split(
        draw.integers(0, 256, (ROWS, 4, 5)).astype(np.uint8), draw.integers(0, 3, ROWS).astype(np.int32)
    )


DATA = replace(tiny.prepared(ROWS), train=noisy_split(1), test=noisy_split(2))
WORDS = "model.hidden=64 train.epochs=40 optimizer.learning_rate=0.01 train.batch_size=8"


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "DRAWS", 100)


def test_a_model_that_knows_its_rows_by_heart_is_found_out_and_one_that_never_saw_them_is_not() -> None:
    settings = tiny.told(f"{WORDS} evaluate.membership=lira evaluate.shadows=4")
    *_, trained = train(DATA, settings)
    predict, before = make_predictor(trained.build_model()), trained.curve.last.device_seconds
    found = evaluate(predict, DATA, settings)
    assert isinstance(found, Evaluation)
    assert [attack.name for attack in found.membership] == ["threshold", "lira"]
    for attack in found.membership:
        assert attack.auc.value > 0.8
        assert attack.auc.low <= attack.auc.value <= attack.auc.high
        assert 0 <= attack.tpr.low <= attack.tpr.value <= attack.tpr.high
        assert (attack.members, attack.others) == (ROWS, ROWS)
    assert trained.curve.last.device_seconds == before
    assert found.membership[0].describe().startswith("threshold attack: AUC 0.")
    # To the same model other rows are all alike.
    unseen = replace(DATA, train=noisy_split(3))
    guessed = evaluate(predict, unseen, tiny.told(f"{WORDS} evaluate.membership=threshold"))
    assert isinstance(guessed, Evaluation)
    (attack,) = guessed.membership
    assert attack.auc.low < 0.5 < attack.auc.high
    assert evaluate(predict, DATA, tiny.told(WORDS)).membership == ()  # type: ignore[union-attr]


def test_figures_are_those_of_the_whole_curve() -> None:
    draw = np.random.default_rng(0)
    members, others = draw.normal(1, 1, 300).round(1), draw.normal(0, 1, 200).round(1)  # with ties
    truth = np.repeat([1, 0], [300, 200])
    assert compute_auc(members, others) == pytest.approx(roc_auc_score(truth, [*members, *others]))
    bar = np.sort(others)[-3]  # two of 200 are above it, or less
    assert compute_tpr(members, others) == (members > bar).mean()
    judged = judge_attack("threshold", members, others)
    assert judged.auc.low < judged.auc.value < judged.auc.high
    # Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747: the interval of an AUC of normal scores
    area = judged.auc.value
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + 299 * (first - area**2) + 199 * (second - area**2)
    width = 2 * 1.96 * np.sqrt(variance / (300 * 200))
    assert judged.auc.high - judged.auc.low == pytest.approx(width, rel=0.35)


def test_sure_answers_are_told_apart_by_what_is_left_to_the_others() -> None:
    """Beyond a lead of 17 a float32 share is 1; the score is the lead of the logits all the same."""
    leads = np.linspace(-80, 80, 41)
    logits = np.stack([leads / 2, -leads / 2, -leads / 2], 1)
    outputs = np.exp(logits - logits.max(1, keepdims=True))
    outputs = (outputs / outputs.sum(1, keepdims=True)).astype(np.float32)
    scores = membership.compute_scores(outputs, np.zeros(41, np.int32))
    np.testing.assert_allclose(scores, leads - np.log(2), atol=1e-4)


def test_few_rows_that_are_told_apart_are_no_certainty() -> None:
    judged = judge_attack("lira", np.array([2.0, 3.0]), np.array([0.0, 1.0]))
    assert (judged.auc.value, judged.tpr.value) == (1, 1)
    assert judged.auc.low < 0.5
    assert judged.tpr.low == pytest.approx(binomtest(2, 2).proportion_ci(method="wilson").low)
    assert "at no false alarm among 2 other rows; 0.5 and 0.33 are guessing" in judged.describe()
    many = judge_attack("threshold", np.arange(100.0), np.arange(100.0))
    assert many.describe().endswith("of the training rows at 1% false alarms; 0.5 and 0.01 are guessing")


def test_a_row_is_judged_by_shadows_that_saw_it_and_others() -> None:
    inside = np.array([[True, False], [False, True], [True, False], [False, True]])
    answers = np.where(inside, 2.0, 0.0) + np.array([[0.1], [0.1], [-0.1], [-0.1]])
    ratios = compute_ratios(np.array([2.0, 0.0]), answers, inside)
    assert ratios[0] > 0 > ratios[1]
    assert compute_ratios(np.array([1.0, 1.0]), answers, inside) == pytest.approx([0, 0], abs=1e-9)


def test_shadows_train_with_the_noise_and_the_patience_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[int, Settings]]()

    def note(data: Prepared, settings: Settings) -> Iterator[None]:
        asked.append((len(data.train), settings))
        yield None

    monkeypatch.setattr("pipeline.training.train.train", note)
    monkeypatch.setattr(membership, "_answer", lambda _, pool: np.full((len(pool), 3), 1 / 3))
    private = "privacy=dp_sgd privacy.epsilon=5 privacy.delta=0.001 train.patience=2 train.batch_size=40"
    settings = tiny.told(f"{private} evaluate.membership=lira evaluate.shadows=4")
    membership.train_shadows(noisy_split(2), DATA, settings)
    noise = open_account(settings, ROWS).noise  # type: ignore[union-attr]
    assert {(rows, shadow.train.batch_size) for rows, shadow in asked} == {(ROWS // 2, ROWS // 2)}
    assert {shadow.train.patience for _, shadow in asked} == {2}
    assert {open_account(shadow, rows).noise for rows, shadow in asked} == {noise}  # type: ignore[union-attr]
    assert len({shadow.train.seed for _, shadow in asked} - {settings.train.seed}) == 4
