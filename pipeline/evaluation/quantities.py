"""How far a trained model's answers are from the quantities of a data set, in the label's own unit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.data.prepared import Prepared, Split, Target
from pipeline.data.samples import RawSamples, draw_evenly
from pipeline.errors import BadModel
from pipeline.evaluation.inspection import Inspection
from pipeline.models.scores import compute_r2, require_finite
from pipeline.settings.settings import Settings
from pipeline.settings.training import Loss
from pipeline.training.losses import loss_class

MAX_PAIRS = 2000
"""Test rows that are kept with their answers, evenly spread over the split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityScore:
    """The answers to one split of `samples` rows.

    `r2`: the share of the variance that they explain, at most 1; `rmse`, `mae`: root of the mean squared, and
    mean absolute error in the label's unit; `loss`: what was minimised, in deviations of the training labels.
    """

    r2: float
    rmse: float
    mae: float
    loss: float
    samples: int


@dataclass(frozen=True, slots=True)
class Miss:
    """Row `row` of the test split (from 0): its quantity and the answer, in the label's unit."""

    row: int
    true: float
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityEvaluation:
    """Scores of a model that answers with a quantity. What is not named after a split is of the test split.

    `bias`: the mean of answer less truth; `rmse_of_mean`: the error of always answering the training mean;
    `worst`: the largest errors first; `pairs`: (truth, answer) of at most `MAX_PAIRS` rows; `inspection`:
    what lies behind the scores.
    """

    train: QuantityScore
    validation: QuantityScore
    test: QuantityScore
    bias: float
    rmse_of_mean: float
    worst: tuple[Miss, ...]
    pairs: tuple[tuple[float, float], ...]
    inspection: Inspection | None = None


def evaluate_quantities(
    predict: Callable[[RawSamples], np.ndarray], prepared: Prepared, settings: Settings
) -> QuantityEvaluation:
    """Score a model on the three splits; `predict` is called once for each.

    `predict`: n samples, as a user can send them -> quantities [n, 1] in the label's unit.

    Raises:
        BadModel: the outputs are not one a sample.
        Diverged: an output is NaN or infinite.
    """
    target = prepared.target
    assert target is not None
    splits = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    answers = {name: _answer(predict, split) for name, split in splits.items()}
    truth = {name: np.asarray(split.labels, np.float64) for name, split in splits.items()}
    errors = answers["test"] - truth["test"]
    worst = np.argsort(-np.abs(errors), kind="stable")[: settings.evaluate.worst]
    shown = draw_evenly(len(errors), MAX_PAIRS)
    scores = {name: _score(answers[name], truth[name], target, settings.loss) for name in splits}
    return QuantityEvaluation(
        train=scores["train"],
        validation=scores["validation"],
        test=scores["test"],
        bias=float(errors.mean()),
        rmse_of_mean=_compute_rmse(truth["test"] - target.mean),
        worst=tuple(Miss(int(row), float(truth["test"][row]), float(answers["test"][row])) for row in worst),
        pairs=tuple((float(truth["test"][row]), float(answers["test"][row])) for row in shown),
    )


def _answer(predict: Callable[[RawSamples], np.ndarray], split: Split) -> np.ndarray:
    outputs = predict(split.samples)
    if outputs.shape != (len(split), 1):
        raise BadModel(
            f"a model must answer with one quantity a sample {(len(split), 1)}, got {outputs.shape}; "
            "evaluate it with the data that it was trained on"
        )
    require_finite(outputs)
    return outputs[:, 0].astype(np.float64)


def _score(answers: np.ndarray, truth: np.ndarray, target: Target, loss: Loss) -> QuantityScore:
    losses = loss_class(loss).score(loss, target.scale(answers)[:, None], target.scale(truth))
    return QuantityScore(
        r2=compute_r2(answers, truth),
        rmse=_compute_rmse(answers - truth),
        mae=float(np.abs(answers - truth).mean()),
        loss=float(losses.mean()),
        samples=len(truth),
    )


def _compute_rmse(errors: np.ndarray) -> float:
    return float(np.sqrt(np.square(errors).mean()))
