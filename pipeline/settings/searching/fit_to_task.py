"""Which settings fit what is learned: some are of classes alone, and some of quantities."""

from pipeline.settings.data import Data
from pipeline.settings.kinds import option_name
from pipeline.settings.measuring import AdversarialAttack, Evaluate, Membership, Shift
from pipeline.settings.model import Output
from pipeline.settings.rules import require
from pipeline.settings.search import Objective, Search
from pipeline.settings.training import (
    Adversarial,
    ClassWeights,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Train,
)

LOSSES = (MeanSquaredError, MeanAbsoluteError, Huber)
"""Losses of a quantity."""
OF_QUANTITIES_ALONE = (MeanAbsoluteError, Huber)
WITH = "with data.task=regression"


def check_task(
    data: Data, loss: Loss, output: Output | None, train: Train, evaluate: Evaluate, search: Search
) -> None:
    """Check that the settings fit what is learned.

    Raises:
        BadSetting: the first that does not.
    """
    kind, objective = option_name(type(loss)), search.objective
    if not data.is_regression:
        classes = "cross_entropy, binary_cross_entropy or mean_squared_error, or data.task=regression"
        require(not isinstance(loss, OF_QUANTITIES_ALONE), "loss", classes, kind)
        allowed = "softmax or sigmoid without data.task=regression"
        require(output is not Output.linear, "model.output", allowed, output)
        of_classes = "a measure of classes without data.task=regression"
        require(objective is not Objective.r2, "search.objective", of_classes, objective)
        return
    require(isinstance(loss, LOSSES), "loss", f"{', '.join(map(option_name, LOSSES))} {WITH}", kind)
    require(output in (None, Output.linear), "model.output", f"linear {WITH}", output)
    require(loss.label_smoothing == 0, "loss.label_smoothing", f"0 {WITH}", loss.label_smoothing)
    weights = loss.class_weights
    require(weights is ClassWeights.none, "loss.class_weights", f"none {WITH}", weights.value)
    attack = evaluate.membership
    require(attack is Membership.none, "evaluate.membership", f"none {WITH}", attack.value)
    require(evaluate.shift is Shift.none, "evaluate.shift", f"none {WITH}", evaluate.shift.value)
    moved = train.adversarial
    require(moved is Adversarial.none, "train.adversarial", f"none {WITH}", moved.value)
    require(evaluate.saliency == 0, "evaluate.saliency", f"0 {WITH}", evaluate.saliency)
    require(
        evaluate.attack is AdversarialAttack.none, "evaluate.attack", f"none {WITH}", evaluate.attack.value
    )
    require(objective in (None, Objective.r2), "search.objective", f"r2 or null {WITH}", objective)
