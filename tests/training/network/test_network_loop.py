"""The compiled epoch of any Keras network walks the path of Keras' own loop, and is compiled once."""

import io
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import tf
from pipeline.data.features import Tokens
from pipeline.data.prepared import Prepared, Split
from pipeline.errors import BadSetting
from pipeline.models import keras_models
from pipeline.settings.optimizer import Adam
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training.keras_loop import KerasLoop
from pipeline.training.loop import Loop, start_loop
from pipeline.training.network import network_epoch
from pipeline.training.network.network_loop import NetworkLoop
from pipeline.training.state_file import read_state, write_state
from tests.support import tiny

IMAGES = tiny.prepared(shape=(6, 5))
CNN = "model=cnn model.filters=2 model.hidden=4 train.batch_size=8"
CUSTOM = "model=custom model.build=tests.support.my_models"


def texts(words: int = 10) -> Prepared:
    """Five words a text of a vocabulary of so many; the first word tells the class."""
    draw, front = np.random.default_rng(0), Tokens(tuple(map(str, range(words))), 5)

    def split(rows: int) -> Split:
        labels = np.arange(rows, dtype=np.int32) % 3
        numbers = draw.integers(0, words + 2, (rows, 5)).astype(np.int32)
        numbers[:, 0] = 2 + labels
        return Split(numbers, labels)

    splits = {"train": split(46), "validation": split(17), "test": split(17)}
    return replace(IMAGES, shape=(5,), front=front, **splits)


def start(settings: Settings, data: Prepared, engine: Engine) -> NetworkLoop | KerasLoop:
    weights = keras_models.draw_initial_weights(settings, data)
    loop = start_loop(settings, data, weights, tiny.CPU, engine)
    assert not hasattr(loop, "epoch_arguments")  # that of a perceptron
    return loop  # type: ignore[return-value]


def take_epochs(loop: Loop, *numbers: int) -> list[float]:
    losses = []
    for number in numbers:
        loop.prepare(number)
        losses.append(float(loop.run()))
    return losses


@pytest.mark.parametrize(
    ("words", "engines", "tolerance"),
    [
        (
            f"{CNN} model.dropout=0.4 optimizer.weight_decay=0.1 schedule=cosine loss.class_weights=balanced "
            "loss.label_smoothing=0.1 augment.shift=0.3 model.blocks=1",
            (Engine.graph,),
            2e-4,
        ),
        pytest.param(
            f"{CNN} precision=mixed_bfloat16 optimizer=sgd optimizer.momentum=0.9",
            (Engine.graph,),
            2e-2,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            f"{CUSTOM}:rich optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=true "
            "schedule=warmup_linear",
            (Engine.graph, Engine.xla),
            2e-4,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            f"{CUSTOM}:noisy loss=mean_squared_error", (Engine.graph,), 2e-4, marks=pytest.mark.slow
        ),
        (f"{CUSTOM}:normalized train.batch_size=8", (Engine.graph,), 2e-4),
        ("model=custom model.build=tests.support.odd_models:unseeded", (Engine.graph,), 2e-4),
        (  # the penalty on what a layer puts out is in half precision, the loss is not
            "model=custom model.build=tests.support.odd_models:penalized precision=mixed_bfloat16 "
            "optimizer=sgd optimizer.momentum=0.9",
            (Engine.graph,),
            2e-2,
        ),
        ("model=text model.width=4 train.batch_size=8", (Engine.graph,), 2e-4),
    ],
    ids=["cnn", "bfloat16", "state", "noise", "normalized", "unseeded", "penalized", "text"],
)
def test_every_engine_walks_the_same_path(words: str, engines: tuple[Engine, ...], tolerance: float) -> None:
    settings, data = tiny.told(words), texts() if "text" in words else IMAGES
    keras_loop = start(settings, data, Engine.keras)
    first = take_epochs(keras_loop, 1)
    midway = keras_loop.get_state()
    losses, expected, scores = first + take_epochs(keras_loop, 2), keras_loop.get_state(), keras_loop.score()
    begun = keras_models.draw_initial_weights(settings, data)
    now = keras_loop.get_parameters()
    # All weights have moved by more than what counts as the same below.
    least = min(tolerance, 1e-3)
    assert all(np.abs(one.numpy() - other).max() > least for one, other in zip(now, begun, strict=True))
    for engine in engines:
        loop = start(settings, data, engine)
        np.testing.assert_allclose(take_epochs(loop, 1, 2), losses, rtol=tolerance)
        np.testing.assert_allclose(loop.score(), scores, rtol=10 * tolerance)
        _assert_same(loop.get_state(), expected, tolerance)
        # A state of Keras' loop, such as an earlier release left, goes on here.
        loop.restore(midway)
        take_epochs(loop, 2)
        _assert_same(loop.get_state(), expected, tolerance)


def _assert_same(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...], tolerance: float) -> None:
    assert [each.dtype for each in ours] == [each.dtype for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("engine", [Engine.graph, pytest.param(Engine.xla, marks=pytest.mark.slow)])
@pytest.mark.parametrize("optimizer", ["adam", "sgd optimizer.momentum=0.9"])
def test_weights_of_16_bits_are_trained_as_those_of_32(
    precision: str, engine: Engine, optimizer: str
) -> None:
    """They end where wide ones do but for their few digits; those of Keras' Adam blow up, or stand still."""
    words = f"optimizer={optimizer} optimizer.learning_rate=0.01 model=custom model.build=tests.support"
    narrow, wide = (tiny.told(f"{words}.odd_models:{name}") for name in (precision, "float32"))
    begun = keras_models.draw_initial_weights(narrow, IMAGES)
    ends = []
    for settings in (narrow, wide):
        loop = start_loop(settings, IMAGES, begun, tiny.CPU, engine)
        take_epochs(loop, 1)
        checkpoint = io.BytesIO()
        write_state(checkpoint, {}, {"state": loop.get_state()})
        checkpoint.seek(0)
        loop = start_loop(settings, IMAGES, begun, tiny.CPU, engine)
        loop.restore(read_state(checkpoint, ["state"])[1][0])  # as after a pause
        take_epochs(loop, 2)
        ends.append([each.numpy().astype(float) for each in loop.get_parameters()])
    for first, one, other in zip(begun, *ends, strict=True):
        assert np.abs(one - other).mean() < 0.3 * np.abs(other - first.astype(float)).mean()


LAZY = "model=text model.width=4 model.dropout=0 train.batch_size=8 optimizer.learning_rate=0.01"


def walk_lazily(loop: NetworkLoop, settings: Settings, start: list[np.ndarray]) -> list[np.ndarray]:
    """Take the steps of a prepared epoch by the book: Adam, but of the embedding only the rows of a batch.

    Gradients come from Keras' own network and a tape, the batches from the loop.
    """
    optimizer, network, inputs = settings.optimizer, loop.network, loop.inputs
    assert isinstance(optimizer, Adam)
    weights = [array.astype(np.float64) for array in start]
    others = [variable.value for variable in network.model.non_trainable_variables]
    means, squares = [[np.zeros_like(each) for each in weights] for _ in range(2)]
    for step in range(loop.steps):
        samples, targets = network.fetch_batch(inputs, tf.constant(step))
        values = [tf.constant(each, tf.float32) for each in weights]
        with tf.GradientTape() as tape:
            tape.watch(values)
            logits, _ = network.model.stateless_call(values, others, samples, training=True)
            loss = tf.reduce_mean(network.spec.network.loss.compute(logits, targets))
        for number, gradient in enumerate(tape.gradient(loss, values)):
            dense = tf.convert_to_tensor(gradient).numpy().astype(np.float64)
            is_table = isinstance(gradient, tf.IndexedSlices)
            rows = np.unique(samples.numpy().astype(int)) if is_table else slice(None)
            mean, square = means[number], squares[number]
            mean[rows] += (1 - optimizer.beta1) * (dense[rows] - mean[rows])
            square[rows] += (1 - optimizer.beta2) * (dense[rows] ** 2 - square[rows])
            bias = np.sqrt(1 - optimizer.beta2 ** (step + 1)) / (1 - optimizer.beta1 ** (step + 1))
            move = bias * mean[rows] / (np.sqrt(square[rows]) + optimizer.epsilon)
            weights[number][rows] -= optimizer.learning_rate * move
    return weights


@pytest.mark.parametrize("engine", [Engine.graph, pytest.param(Engine.xla, marks=pytest.mark.slow)])
def test_lazy_adam_moves_the_rows_of_an_embedding_that_a_batch_uses_and_no_other(engine: Engine) -> None:
    settings, data = tiny.told(f"{LAZY} optimizer.sparse=true"), texts(words=200)
    start_weights = keras_models.draw_initial_weights(settings, data)
    loop = start(settings, data, engine)
    assert isinstance(loop, NetworkLoop)
    loop.prepare(1)
    expected = walk_lazily(loop, settings, start_weights)
    loop.run()
    got = [each.numpy() for each in loop.get_parameters()]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    exact = start(tiny.told(LAZY), data, engine)
    take_epochs(exact, 1)
    of_exact = exact.get_parameters()[0].numpy()
    moved = np.abs(got[0] - start_weights[0]).max(1) > 0
    assert 0 < moved.sum() < len(moved)  # words of the vocabulary that no text has stay
    assert np.abs(got[0] - of_exact)[moved].max() > 1e-3  # exact steps go on moving a word that is not there


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        ("text model.width=4", "adam optimizer.weight_decay=0.1 schedule=cosine"),
        ("custom model.build=tests.support.odd_models:of_three_tables", "adam"),
        pytest.param("text model.width=4", "sgd", marks=pytest.mark.slow),
        pytest.param(
            "text model.width=4",
            "sgd optimizer.momentum=0.9 optimizer.nesterov=true",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_steps_by_the_rows_of_a_batch_walk_the_same_path(
    model: str, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs of five steps by XLA; slots are settled after three steps, and at the end of an epoch."""
    monkeypatch.setattr(network_epoch, "SETTLE_EVERY", 3)
    words = f"model={model} train.batch_size=8 optimizer.learning_rate=0.03 optimizer={optimizer}"
    settings, data = tiny.told(words), texts(words=30)
    loops = [start(settings, data, engine) for engine in (Engine.keras, Engine.xla)]
    losses, ours = (take_epochs(loop, 1, 2) for loop in loops)
    np.testing.assert_allclose(ours, losses, rtol=2e-4)
    _assert_same(loops[1].get_state(), loops[0].get_state(), 2e-4)
    updates = loops[1].network.updates  # type: ignore[union-attr]
    assert len(updates._by_rows) == 1
    assert len(updates._tables) == 1 + (model.startswith("custom"))  # one of them is read as a whole, too


def test_trials_of_one_structure_share_what_was_compiled() -> None:
    words = f"{CNN} model.dropout=0.2 optimizer.learning_rate=0.01"
    one = start(tiny.told(words), IMAGES, Engine.graph)
    more = "model.dropout=0.5 optimizer.learning_rate=0.02 optimizer.beta1=0.8 loss.label_smoothing=0.1"
    two = start(tiny.told(f"{words} {more} train.seed=4 train.epochs=7"), IMAGES, Engine.graph)
    assert isinstance(one, NetworkLoop)
    assert isinstance(two, NetworkLoop)
    assert one.network is two.network
    losses = [take_epochs(one, 1), take_epochs(two, 1), take_epochs(one, 2)]  # in turns: no state is mixed up
    assert one.network.epoch.experimental_get_tracing_count() == 1
    alone = start(tiny.told(words), IMAGES, Engine.graph)
    assert take_epochs(alone, 1, 2) == [*losses[0], *losses[2]]
    assert losses[1] != losses[0]
    other = start(tiny.told(f"{CNN} model.dropout=0.2 model.filters=3"), IMAGES, Engine.graph)
    assert isinstance(other, NetworkLoop)
    assert other.network is not one.network


def test_a_rehearsal_changes_nothing() -> None:
    loops = [start(tiny.told(f"{CUSTOM}:rich"), IMAGES, Engine.graph) for _ in range(2)]
    for loop in loops:
        loop.prepare(1)
    loops[0].compile()
    loops[0].warm_up()
    for one, other in zip(loops[0].get_state(), loops[1].get_state(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert float(loops[0].run()) == float(loops[1].run())


def test_what_xla_does_not_know_is_one_line() -> None:
    loop = start(tiny.told("model=custom model.build=tests.support.odd_models:turning"), IMAGES, Engine.xla)
    loop.prepare(1)
    with pytest.raises(BadSetting, match=r"XLA does not know, got xla \(.*\); use engine=graph") as error:
        loop.compile()
    assert "\n" not in str(error.value)
