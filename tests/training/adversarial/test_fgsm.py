"""Training on moved samples: all loops take the same steps, and the network withstands more."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import tf
from pipeline.data.features import Columns, Tokens
from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.errors import BadData
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.settings.training import Engine
from pipeline.training.adversarial.fgsm import BallTensors, move_samples
from pipeline.training.loop import check_loop, start_loop
from pipeline.training.train import train
from tests.support import tiny

MOVED = "train.adversarial=fgsm train.adversarial_epsilon=0.1"
CNN = "model=cnn model.filters=2 model.hidden=4 train.batch_size=8"
DATA = tiny.prepared()


def take_epochs(words: str, engine: Engine, data: Prepared = DATA) -> tuple[list[float], list[np.ndarray]]:
    settings = tiny.told(words)
    loop = start_loop(settings, data, keras_models.draw_initial_weights(settings, data), tiny.CPU, engine)
    losses = []
    for number in (1, 2):
        loop.prepare(number)
        losses.append(float(loop.run()))
    return losses, [parameter.numpy() for parameter in loop.get_parameters()]


@pytest.mark.parametrize(
    ("words", "engines", "data"),
    [
        pytest.param("augment=shift", (Engine.xla, Engine.graph), DATA, marks=pytest.mark.slow),
        pytest.param(
            "model.layers=2 loss.label_smoothing=0.1 loss.class_weights=balanced",
            (Engine.graph,),
            tiny.prepared(per_feature=True),
            marks=pytest.mark.slow,
        ),
        (CNN, (Engine.graph,), tiny.prepared(shape=(6, 5))),
        pytest.param(
            "model=custom model.build=tests.support.my_models:rich",
            (Engine.graph, Engine.xla),
            DATA,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["mlp", "layers", "cnn", "custom"],
)
def test_every_engine_trains_on_the_same_moved_samples(
    words: str, engines: tuple[Engine, ...], data: Prepared
) -> None:
    losses, weights = take_epochs(f"{words} {MOVED}", Engine.keras, data)
    plain, _ = take_epochs(words, Engine.keras, data)
    assert min(np.subtract(losses, plain)) > 1e-3
    for engine in engines:
        ours, found = take_epochs(f"{words} {MOVED}", engine, data)
        np.testing.assert_allclose(ours, losses, rtol=1e-4)
        for one, other in zip(found, weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_no_distance_is_no_change() -> None:
    moved = take_epochs("train.adversarial=fgsm train.adversarial_epsilon=0", Engine.graph)
    np.testing.assert_allclose(moved[0], take_epochs("", Engine.graph)[0], rtol=1e-6)


@pytest.mark.slow
def test_every_engine_moves_pieces_with_their_number() -> None:
    front = Columns(
        numeric=("a", "b"), medians=(0.0, 0.0), categorical=(), categories=(), edges=((0.0, 0.5, 1.0), ())
    )

    def make_split(seed: int) -> Split:
        numbers = np.random.default_rng(seed).normal(0.5, 1, (60, 2))
        cut = np.clip(np.stack([numbers[:, 0], numbers[:, 0] - 0.5], 1) / 0.5, 0, 1)
        labels = (numbers[:, 0] > 0.5) + (numbers[:, 1] > 1).astype(np.int32)
        return Split(np.concatenate([numbers, cut], 1).astype(np.float32), labels.astype(np.int32))

    scaling = Scaling(np.float32([0.5, 0.4, 0.5, 0.3]), np.float32([1, 1, 0.4, 0.4]))
    data = replace(
        DATA,
        front=front,
        shape=(4,),
        scaling=scaling,
        train=make_split(1),
        validation=make_split(2),
        test=make_split(3),
        key="a table with pieces",
    )
    losses, weights = take_epochs(MOVED, Engine.keras, data)
    assert min(np.subtract(losses, take_epochs("", Engine.keras, data)[0])) > 1e-3
    for engine in (Engine.xla, Engine.graph):
        ours, found = take_epochs(MOVED, engine, data)
        np.testing.assert_allclose(ours, losses, rtol=1e-4)
        for one, other in zip(found, weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("radius", [0.0, 0.25])
def test_samples_go_from_a_random_place_to_a_larger_loss_and_stay_in_the_ball(radius: float) -> None:
    samples = tf.constant(np.random.default_rng(0).uniform(0, 1, (400, 3)))
    ball = BallTensors(*(tf.constant(number, tf.float64) for number in (radius, 0.0, 1.0)))
    seed, step = tf.constant(3, tf.int64), tf.constant(8, tf.int64)
    starts = []

    def compute_gradient(moved: object) -> object:
        starts.append(np.asarray(moved))
        return tf.constant([[5.0, -1e-9, 0.0]] * 400)

    moved = move_samples(ball, samples, seed, step, compute_gradient).numpy()
    before, start = samples.numpy(), starts[0]
    assert np.abs(moved - before).max() <= radius + 1e-12
    assert 0 <= moved.min() <= moved.max() <= 1
    wanted = start + 1.25 * radius * np.array([1, -1, 0])
    np.testing.assert_allclose(moved, wanted.clip(before - radius, before + radius).clip(0, 1))
    if radius:
        inner = (before > radius) & (before < 1 - radius)
        places = ((start - before) / radius)[inner]
        assert -1 <= places.min() < -0.95
        assert 0.95 < places.max() < 1
        assert abs(places.mean()) < 0.06
        again = move_samples(ball, samples, seed, step + 1, compute_gradient).numpy()
        assert not np.array_equal(again, moved)


def made_task(rows: int, seed: int) -> Split:
    """One pixel tells the class nine times in ten, whatever is done to it; nineteen whisper it together."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int32) % 2
    signs = np.where(labels, 1, -1)[:, None]
    pixels = 128 + 10 * signs + draw.normal(0, 10, (rows, 20))
    pixels[:, :1] = 128 + 100 * np.where(draw.random((rows, 1)) < 0.9, signs, -signs)
    return Split(pixels.clip(0, 255).astype(np.uint8).reshape(rows, 4, 5), labels)


@pytest.mark.slow
def test_a_network_withstands_what_it_was_trained_against() -> None:
    splits = {"train": made_task(400, 1), "validation": made_task(200, 2), "test": made_task(200, 3)}
    scaling = Scaling(np.float32(128), np.float32(25))  # type: ignore[arg-type]
    data = replace(DATA, classes=("a", "b"), scaling=scaling, **splits)
    found = []
    words = (
        "model.hidden=16 train.epochs=20 train.batch_size=20 optimizer.learning_rate=0.01 evaluate.attack=pgd"
    )
    for more in ("", MOVED):
        settings = tiny.told(f"{words} {more}")
        *_, last = train(data, settings)
        model = last.build_model()
        evaluation = evaluate(make_predictor(model), data, settings, model)
        assert isinstance(evaluation, Evaluation)
        assert evaluation.attacked is not None
        found.append((evaluation.test.accuracy, evaluation.attacked.test.value))
    (plain, attacked), (robust, withstands) = found
    assert plain > 0.97 > 0.93 > robust
    assert attacked < 0.1
    assert withstands > 0.8


def test_texts_are_refused_before_anything_runs() -> None:
    texts = replace(DATA, front=Tokens(("a", "b"), 20), shape=(20,))
    with pytest.raises(BadData, match=r"^train\.adversarial must be none unless .*got texts"):
        check_loop(tiny.told(MOVED), texts)
