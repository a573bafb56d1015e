"""What is left of a model's accuracy where its samples are moved against it; see `models.attacks.attack`."""

from dataclasses import dataclass
from typing import Any

from pipeline.data.prepared import Prepared
from pipeline.evaluation.intervals import Figure, compute_share
from pipeline.formatting import format_count
from pipeline.models.attacks.attack import ATTACK_KEY, find_network, make_attacker
from pipeline.models.attacks.ball import describe_epsilon, make_ball
from pipeline.settings.measuring import AdversarialAttack, Evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackScore:
    """Accuracies under an attack; `about`: which one, and how far it moves samples, for people."""

    attack: str
    epsilon: float
    about: str
    validation: Figure
    test: Figure


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
    starts = format_count(choices.attack_restarts, "start")
    steps = (
        f" ({format_count(choices.attack_steps, 'step')}, {starts})"
        if choices.attack is AdversarialAttack.pgd
        else ""
    )
    epsilon = describe_epsilon(choices.attack_epsilon, unit, prepared.front)
    return f"{choices.attack.value}{steps}, epsilon {epsilon}"
