"""FGSM and PGD against a linear network written out in NumPy, and the adversarial-robustness-toolbox."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.data.features import Columns
from pipeline.data.prepared import Scaling
from pipeline.errors import BadModel, Diverged
from pipeline.models import keras_models
from pipeline.models.attacks.attack import Attacker, find_network, make_attacker
from pipeline.models.attacks.ball import make_ball
from pipeline.settings.measuring import Evaluate
from tests.support import tiny

DATA = tiny.prepared(90)
RADIUS = 25.5
MODELS = (
    "",
    "model=cnn model.filters=2 model.hidden=4",
    "model=custom model.build=tests.support.my_models:rich",
)


def choose(words: str) -> Evaluate:
    return tiny.told(words).evaluate


@pytest.fixture(scope="module")
def linear() -> tuple[Any, np.ndarray, np.ndarray]:
    """A softmax network without a hidden layer, on pixels of 0 to 255, with its weights and biases."""
    draw = np.random.default_rng(5)
    weights, bias = draw.normal(0, 0.01, (20, 3)).astype(np.float32), np.float32([0.1, 0, -0.1])
    inputs = keras.Input((4, 5))
    network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    network.set_weights([weights, bias])
    return network, weights, bias


def push_by_hand(
    start: np.ndarray,
    labels: np.ndarray,
    origin: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    step: float,
) -> np.ndarray:
    """The gradient of the cross-entropy by the samples is (softmax - one hot) times the weights."""
    logits = start @ weights + bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    gradient = (shares / shares.sum(1, keepdims=True) - np.eye(3)[labels]) @ weights.T
    moved = start + step * np.sign(gradient)
    return moved.clip(origin - RADIUS, origin + RADIUS).clip(0, 255)


@pytest.mark.parametrize("steps", [0, 1, 7])  # 0: FGSM
def test_a_linear_network_is_attacked_as_by_hand(
    linear: tuple[Any, np.ndarray, np.ndarray], steps: int
) -> None:
    network, weights, bias = linear
    origin = DATA.train.features.reshape(90, -1).astype(np.float64)
    labels = (origin @ weights + bias).argmax(1)  # so that all are right before
    words = f"evaluate.attack=pgd evaluate.attack_steps={steps}" if steps else "evaluate.attack=fgsm"
    found = make_attacker(network, DATA, choose(words)).attack(DATA.train.features, labels)
    fgsm = push_by_hand(origin, labels, origin, weights, bias, RADIUS)
    survives = (fgsm @ weights + bias).argmax(1) == labels
    wanted = fgsm.copy()
    if steps:
        pgd = origin
        for _ in range(steps):
            pgd = push_by_hand(pgd, labels, origin, weights, bias, RADIUS * 2.5 / steps)
        wanted[survives] = pgd[survives]
        survives &= (pgd @ weights + bias).argmax(1) == labels
    np.testing.assert_allclose(found.samples.reshape(90, -1), wanted, atol=1e-4)
    np.testing.assert_array_equal(found.right, survives)
    assert 5 < survives.sum() < 85


def test_what_is_wrong_before_stays_as_it_is_and_counts_as_wrong(
    linear: tuple[Any, np.ndarray, np.ndarray],
) -> None:
    network, weights, bias = linear
    flat = DATA.train.features.reshape(90, -1)
    wrong = ((flat @ weights + bias).argmax(1) + 1) % 3
    found = make_attacker(network, DATA, choose("evaluate.attack=fgsm")).attack(DATA.train.features, wrong)
    assert not found.right.any()
    np.testing.assert_array_equal(found.samples, DATA.train.features)


@pytest.mark.parametrize("words", [*MODELS[:2], pytest.param(MODELS[2], marks=pytest.mark.slow)])
def test_every_network_is_attacked_through_its_saved_model(words: str) -> None:
    """At epsilon 0 nothing changes; FGSM and PGD are within the ball; more tries never help the network."""
    settings = tiny.told(words)
    model = keras_models.build_model(settings, DATA)
    network, samples = find_network(model), DATA.train.features
    labels = model.predict(samples, verbose=0).argmax(1).astype(np.int32)
    labels[::7] = (labels[::7] + 1) % 3  # some are wrong before
    accuracies = []
    for attack in (
        "fgsm evaluate.attack_epsilon=0",
        "pgd evaluate.attack_epsilon=0 evaluate.attack_restarts=2 evaluate.attack_steps=2",
        "fgsm",
        "pgd evaluate.attack_steps=3",
        "pgd evaluate.attack_steps=3 evaluate.attack_restarts=3",
    ):
        choices = choose(f"evaluate.attack={attack}")
        found = make_attacker(network, DATA, choices).attack(samples, labels)
        distance = np.abs(found.samples.astype(np.float64) - samples)
        assert distance.max() <= choices.attack_epsilon * 255
        assert 0 <= found.samples.min() <= found.samples.max() <= 255
        answers = model.predict(found.samples, verbose=0).argmax(1)
        np.testing.assert_array_equal(answers == labels, found.right)
        accuracies.append(found.right.mean())
    clean = 1 - len(labels[::7]) / len(labels)
    assert accuracies[:2] == [pytest.approx(clean)] * 2
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[2] < clean


def test_a_number_of_a_table_takes_its_pieces_along() -> None:
    """A tenth of a deviation leads across a piece, which alone tells the class: nothing withstands it."""
    front = Columns(numeric=("a",), medians=(0.0,), categorical=(), categories=(), edges=((0.0, 0.01, 0.02),))
    numbers = np.linspace(-0.05, 0.07, 60)
    features = np.stack([numbers, np.clip(numbers / 0.01, 0, 1), np.clip(numbers / 0.01 - 1, 0, 1)], 1)
    features = features.astype(np.float32)
    scaling = Scaling(np.zeros(3, np.float32), np.float32([1, 0.5, 0.5]))
    data = replace(DATA, front=front, shape=(3,), scaling=scaling)
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    network.set_weights([np.array([[-1, 1], [-4, 4], [-4, 4]]), np.array([4, -4])])
    labels = (numbers > 0.01).astype(np.int32)
    attacker = make_attacker(network, data, choose("evaluate.attack=pgd evaluate.attack_steps=20"))
    found = attacker.attack(features, labels)
    assert not found.right.any()
    moved = found.samples[:, 0].astype(np.float64)
    assert np.abs(moved - features[:, 0]).max() <= 0.1
    np.testing.assert_allclose(found.samples[:, 1], np.clip(moved / 0.01, 0, 1), atol=1e-4)


def test_random_starts_repeat(linear: tuple[Any, np.ndarray, np.ndarray]) -> None:
    choices = choose("evaluate.attack=pgd evaluate.attack_restarts=2 evaluate.attack_steps=1")
    labels = np.asarray(DATA.train.labels)
    twice = [make_attacker(linear[0], DATA, choices).attack(DATA.train.features, labels) for _ in range(2)]
    np.testing.assert_array_equal(twice[0].samples, twice[1].samples)
    seeded = make_attacker(
        linear[0],
        DATA,
        choose(
            "evaluate.attack=pgd evaluate.attack_restarts=2 evaluate.attack_steps=1 evaluate.shift_seed=1"
        ),
    ).attack(DATA.train.features, labels)
    assert not np.array_equal(seeded.samples, twice[0].samples)


def test_a_foreign_model_is_one_line() -> None:
    inputs = keras.Input((4, 5))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(inputs)))
    with pytest.raises(
        BadModel, match=r"^evaluate\.attack must be none unless .*; set evaluate\.attack=none$"
    ):
        find_network(model)


def test_outputs_that_are_no_numbers_say_so(linear: tuple[Any, np.ndarray, np.ndarray]) -> None:
    broken = keras.Model(linear[0].input, linear[0].output * np.nan)
    attacker = Attacker(broken, make_ball(DATA, 0.1, "evaluate.attack"), choose("evaluate.attack=fgsm"))
    with pytest.raises(Diverged, match="outputs must be finite"):
        attacker.attack(DATA.test.features, np.asarray(DATA.test.labels))


@pytest.mark.slow
@pytest.mark.parametrize("words", MODELS)
def test_samples_are_moved_as_by_the_adversarial_robustness_toolbox(words: str) -> None:
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    network = find_network(keras_models.build_model(tiny.told(words), DATA))
    samples = DATA.train.features.astype(np.float32)
    labels = network.predict(samples, verbose=0).argmax(1)
    classifier = TensorFlowV2Classifier(
        model=network,
        nb_classes=3,
        input_shape=(4, 5),
        loss_object=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(0.0, 255.0),
    )
    fgsm = FastGradientMethod(classifier, eps=RADIUS, batch_size=512).generate(samples, labels)
    pgd = ProjectedGradientDescent(
        classifier,
        eps=RADIUS,
        eps_step=RADIUS * 2.5 / 8,
        max_iter=8,
        num_random_init=0,
        batch_size=512,
        verbose=False,
    ).generate(samples, labels)
    ours = make_attacker(network, DATA, choose("evaluate.attack=fgsm")).attack(samples, labels)
    np.testing.assert_allclose(ours.samples, fgsm, atol=1e-3)
    by_steps = make_attacker(network, DATA, choose("evaluate.attack=pgd evaluate.attack_steps=8"))
    stronger = by_steps.attack(samples, labels)
    survived = ours.right  # those that FGSM has turned are left there
    assert 5 < survived.sum() < 85
    np.testing.assert_allclose(stronger.samples[survived], pgd[survived], atol=1e-3)
    theirs = network.predict(pgd, verbose=0).argmax(1) == labels
    np.testing.assert_array_equal(stronger.right, theirs & ours.right)
