"""An attack goes where the cross-entropy grows, also where a network is too sure for its gradient."""

from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.models.attacks.attack import make_attacker
from pipeline.models.attacks.lead import differentiate_lead
from pipeline.training.adversarial.fgsm import differentiate_by_samples
from tests.support import tiny

DATA = tiny.prepared(90)


def push_exactly(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Divide (softmax - one hot) in float64 by what the right class is short of 1."""
    others = logits.astype(np.float64)
    others[np.arange(len(labels)), labels] = -np.inf
    others = np.exp(others - others.max(1, keepdims=True))
    return others / others.sum(1, keepdims=True) - np.eye(logits.shape[1])[labels]


@pytest.mark.parametrize("size", [1.0, 30.0, 300.0])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_it_is_the_direction_of_the_cross_entropy(size: float, kind: str) -> None:
    logits = (size * np.random.default_rng(0).normal(size=(200, 4))).astype(kind)
    labels = np.arange(200) % 4
    found = differentiate_lead(tf.constant(logits), tf.constant(labels)).numpy()
    wanted = push_exactly(logits, labels)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    if size == 1:
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        gradient = shares - np.eye(4)[labels]
        missing = -gradient[np.arange(200), labels][:, None]
        np.testing.assert_allclose(found, gradient / missing, rtol=1e-3, atol=1e-6)


def make_sure(policy: str, factor: float) -> tuple[Any, Any]:
    """Make two networks of two classes that answer alike, but for how sure they are."""
    draw = np.random.default_rng(3)
    weights = [draw.normal(0, 0.02, (20, 8)), np.zeros(8), draw.normal(0, 0.05, (8, 2)), np.zeros(2)]
    networks = []
    for times in (1.0, factor):
        inputs = keras.Input((4, 5))
        hidden = keras.layers.Dense(8, "relu", dtype=policy)(keras.layers.Flatten()(inputs))
        network = keras.Model(inputs, keras.layers.Dense(2, dtype="float32")(hidden))
        network.set_weights([*weights[:2], times * weights[2], weights[3]])
        networks.append(network)
    return networks[0], networks[1]


@pytest.mark.parametrize(("policy", "factor"), [("float32", 4096.0), ("mixed_float16", 512.0)])
@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_a_network_withstands_no_more_by_being_surer(policy: str, factor: float, attack: str) -> None:
    samples = DATA.train.features.astype(np.float32)
    choices = tiny.told(f"evaluate.attack={attack} evaluate.attack_epsilon=0.05").evaluate
    plain, sure = make_sure(policy, factor)
    labels = plain.predict(samples, verbose=0).argmax(1)
    found = [make_attacker(network, DATA, choices).attack(samples, labels) for network in (plain, sure)]
    assert 0.05 < found[0].right.mean() < 0.8
    assert abs(found[0].right.mean() - found[1].right.mean()) <= 0.02


def test_smoothed_targets_make_no_sure_answer_surer() -> None:
    weights = tf.constant([[1.0, -1.0]])
    targets = tf.constant([[0.95, 0.05]])
    push = differentiate_by_samples(lambda samples: samples @ weights, targets)
    assert push(tf.constant([[5.0]])).numpy() < 0  # towards the other class
