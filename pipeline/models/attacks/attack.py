"""Attacks on a trained network by its gradients: FGSM and PGD, in the maximum norm.

FGSM (Goodfellow et al. 2015, arXiv 1412.6572) moves each feature by epsilon in the direction in which the
loss grows. PGD (Madry et al. 2018, arXiv 1706.06083) takes several smaller steps and comes back into the
ball after each.

The loss is the cross-entropy of the softmax of the logits, whatever the network was trained with: it grows
where the right class loses to another one. Its direction is that of `lead`, which does not vanish where the
network is sure. The network answers in inference mode.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data.prepared import Prepared, Split
from pipeline.errors import BadModel
from pipeline.models.attacks.ball import Ball, Pieces, compute_bounds, follow, make_ball, to_tensors
from pipeline.models.attacks.lead import differentiate_lead
from pipeline.models.scores import require_finite
from pipeline.settings.measuring import AdversarialAttack, Evaluate

MAX_ROWS = 512
"""Rows that are attacked at once."""
STEP = 2.5
"""Epsilons that all steps of PGD go together: far enough to leave a corner of the ball (Madry et al.)."""
ATTACK_KEY = "evaluate.attack"
SCALING, OUTPUT = "scaling", "probabilities"


@dataclass(frozen=True, slots=True)
class Attacked:
    """`samples`: float32 [n, *shape], moved; `right`: bool [n], which of them no try has turned."""

    samples: np.ndarray
    right: np.ndarray


class Attacker:
    """An attack on one network.

    `network`: a Keras model from features float32 [n, *shape] to logits [n, classes]; its weights may change
    between two calls.
    """

    def __init__(self, network: Any, ball: Ball, choices: Evaluate) -> None:
        self._ball, self._choices = ball, choices
        self._network = network

    @cached_property
    def _answer(self) -> Any:
        """Return the compiled network: samples -> logits."""
        network = self._network
        answer = tf.function(lambda samples: network(samples, training=False), autograph=False)
        return answer.get_concrete_function(self._samples)

    @cached_property
    def _push(self) -> Any:
        """Return a compiled step: samples, classes, bounds and length -> moved samples."""
        radius = tf.TensorSpec(self._ball.radius.shape, tf.float32)
        pieces = to_tensors(self._ball.pieces, tf.float32)
        push = tf.function(partial(_push_samples, self._network, pieces), autograph=False)
        return push.get_concrete_function(
            self._samples, tf.TensorSpec([None], tf.int32), self._samples, self._samples, radius
        )

    @property
    def _samples(self) -> Any:
        return tf.TensorSpec([None, *self._network.input_shape[1:]], tf.float32)

    def attack(self, features: np.ndarray, labels: np.ndarray) -> Attacked:
        """Attack samples [n, *shape] of these classes [n].

        A sample that is taken for another class without a change stays as it is, as does one that
        withstands: it is where the last try has left it. So accuracy under attack is never above accuracy,
        and PGD, which tries what FGSM does as well, never above FGSM.

        Raises:
            Diverged: an output is NaN or infinite.
        """
        portions = [
            self._attack_portion(
                np.asarray(features[start : start + MAX_ROWS], np.float32),
                np.asarray(labels[start : start + MAX_ROWS], np.int32),
                start,
            )
            for start in range(0, len(labels), MAX_ROWS)
        ]
        return Attacked(
            np.concatenate([portion[0] for portion in portions]),
            np.concatenate([portion[1] for portion in portions]),
        )

    def measure(self, split: Split) -> float:
        """Return the accuracy under attack of a split, 0..1."""
        return float(self.attack(split.features, np.asarray(split.labels)).right.mean())

    def _attack_portion(
        self, samples: np.ndarray, labels: np.ndarray, first: int
    ) -> tuple[np.ndarray, np.ndarray]:
        bounds = compute_bounds(samples, self._ball)
        moved, right = samples.copy(), self._is_right(samples, labels)
        for tried in self._make_tries(samples, labels, bounds, first):
            is_right = self._is_right(tried, labels)
            moved[right] = tried[right]  # what has been turned, stays
            right &= is_right
            if not right.any():
                break
        return moved, right

    def _make_tries(
        self, samples: np.ndarray, labels: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], first: int
    ) -> Iterator[np.ndarray]:
        """Yield samples that have been moved, one way after the other; all lie within the bounds."""
        choices, radius = self._choices, self._ball.radius.astype(np.float32)
        yield self._push_once(samples, labels, bounds, radius)
        if choices.attack is AdversarialAttack.fgsm:
            return
        step = radius * np.float32(STEP / choices.attack_steps)
        for restart in range(choices.attack_restarts):
            moved = samples
            if restart:
                draw = np.random.default_rng([choices.shift_seed, restart, first])
                moved = _draw_between(draw, *bounds)
            for _ in range(choices.attack_steps):
                moved = self._push_once(moved, labels, bounds, step)
            yield moved

    def _push_once(
        self, samples: np.ndarray, labels: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], step: np.ndarray
    ) -> np.ndarray:
        moved: np.ndarray = self._push(*map(tf.constant, (samples, labels, *bounds, step))).numpy()
        return moved

    def _is_right(self, samples: np.ndarray, labels: np.ndarray) -> np.ndarray:
        logits = self._answer(tf.constant(samples)).numpy()
        require_finite(logits)
        return np.asarray(logits.argmax(axis=1) == labels)


def _push_samples(
    network: Any,
    pieces: Pieces | None,
    samples: Tensor,
    labels: Tensor,
    lower: Tensor,
    upper: Tensor,
    step: Tensor,
) -> Tensor:
    """Move samples by a step towards a larger loss, and back into the bounds."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(samples)
        logits = network(follow(pieces, samples), training=False)
    # Each sample's gradient is its own, whatever the others are.
    gradient = tf.convert_to_tensor(tape.gradient(logits, samples, differentiate_lead(logits, labels)))
    return follow(pieces, tf.clip_by_value(samples + step * tf.sign(gradient), lower, upper))


def _draw_between(draw: np.random.Generator, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    numbers = lower + draw.random(lower.shape, np.float32) * (upper - lower)
    return np.asarray(np.clip(numbers, lower, upper))


# ---- the network of a model ----------------------------------------------------------------------------


def find_network(model: Any) -> Any:
    """Return the part of a saved model from features to logits, with the same weights.

    Probabilities would not do: where they are 1, their gradient is zero.

    Raises:
        BadModel: the model has no scaling or no output layer of ours.
    """
    names = {layer.name for layer in model.layers}
    if not {SCALING, OUTPUT} <= names:
        raise BadModel(
            f"{ATTACK_KEY} must be none unless the model was trained by this program, got one without the "
            f"layers {SCALING} and {OUTPUT}; set {ATTACK_KEY}=none"
        )
    return keras.Model(model.get_layer(SCALING).input, model.get_layer(OUTPUT).input)


def make_attacker(network: Any, prepared: Prepared, choices: Evaluate) -> Attacker:
    """Return the attack that `evaluate` names on a network from features to logits.

    Raises:
        BadData: the samples cannot be moved a little.
    """
    return Attacker(network, make_ball(prepared, choices.attack_epsilon, ATTACK_KEY), choices)


def check_attack(prepared: Prepared, choices: Evaluate) -> None:
    """Check before anything runs that these samples can be attacked.

    Raises:
        BadData: they cannot.
    """
    if choices.attack is not AdversarialAttack.none:
        make_ball(prepared, choices.attack_epsilon, ATTACK_KEY)
