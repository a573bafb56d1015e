"""What is left of a model's accuracy where its samples are moved against it; see `models.attacks.attack`."""

import math
from dataclasses import dataclass
from typing import Any

from pipeline.data.prepared import Prepared
from pipeline.models.attacks.attack import ATTACK_KEY, find_network, make_attacker
from pipeline.models.attacks.ball import describe_epsilon, make_ball
from pipeline.settings.measuring import AdversarialAttack, Evaluate

QUANTILE = 1.959963984540054
"""Of the normal distribution, for an interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share 0..1 of `rows` rows, and its 95 % interval over other rows of the same kind."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackScore:
    """Accuracies under an attack; `about`: which one, and how far it moves samples, for people."""

    attack: str
    epsilon: float
    about: str
    validation: Share
    test: Share


def score_under_attack(model: Any, prepared: Prepared, choices: Evaluate) -> AttackScore:
    """Attack a saved Keras model of classes on the validation and the test split.

    Raises:
        BadData: the samples cannot be moved a little.
        BadModel: the model was not made by this program.
        Diverged: an output is NaN or infinite.
    """
    attacker = make_attacker(find_network(model), prepared, choices)
    splits = {"validation": prepared.validation, "test": prepared.test}
    shares = {name: compute_share(attacker.measure(split), len(split)) for name, split in splits.items()}
    return AttackScore(
        attack=choices.attack.value,
        epsilon=choices.attack_epsilon,
        about=describe_attack(prepared, choices),
        **shares,
    )


def describe_attack(prepared: Prepared, choices: Evaluate) -> str:
    """Describe an attack for people: `pgd (10 steps, 1 start), epsilon 0.1 of the range of the pixels`."""
    unit = make_ball(prepared, choices.attack_epsilon, ATTACK_KEY).unit
    starts = f"{choices.attack_restarts} start{'s' * (choices.attack_restarts > 1)}"
    steps = f" ({choices.attack_steps} steps, {starts})" if choices.attack is AdversarialAttack.pgd else ""
    epsilon = describe_epsilon(choices.attack_epsilon, unit, prepared.front)
    return f"{choices.attack.value}{steps}, epsilon {epsilon}"


def compute_share(value: float, rows: int) -> Share:
    """Return a share with its interval (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    square = QUANTILE**2
    middle = (value + square / (2 * rows)) / (1 + square / rows)
    spread = value * (1 - value) / rows + square / (4 * rows**2)
    half = QUANTILE * math.sqrt(spread) / (1 + square / rows)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(value, min(low, value), max(high, value), rows)
