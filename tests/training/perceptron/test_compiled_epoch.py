"""Every engine walks the same path; nothing that can stay compiled is compiled again."""

import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from pipeline.hardware.device import ClaimedDevice
from pipeline.models import keras_models
from pipeline.settings.model import Activation, Model, Output
from pipeline.settings.optimizer import Adam, Constant, Cosine, Optimizer, Schedule, Sgd, WarmupLinear
from pipeline.settings.preprocess import Storage
from pipeline.settings.settings import Settings
from pipeline.settings.training import (
    Augment,
    BinaryCrossEntropy,
    ClassWeights,
    CrossEntropy,
    Engine,
    Loss,
    MeanSquaredError,
    Policy,
    Precision,
    Reduction,
)
from pipeline.training.loop import start_loop
from pipeline.training.perceptron import batches, compiled_epoch
from pipeline.training.perceptron.compiled_loop import CompiledLoop, compile_score
from tests.support import tiny

HEADS: dict[str, tuple[Loss, Output]] = {
    "cross_entropy": (CrossEntropy(0.1), Output.softmax),
    "binary": (BinaryCrossEntropy(0.1, Reduction.mean), Output.sigmoid),
    "binary_summed": (BinaryCrossEntropy(0.0, Reduction.sum), Output.sigmoid),
    "squared_softmax": (MeanSquaredError(0.1), Output.softmax),
    "squared_sigmoid": (MeanSquaredError(0.0), Output.sigmoid),
}
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Sgd(0.1, 0.0, False),
    "momentum": Sgd(0.05, 0.9, False),
    "nesterov": Sgd(0.05, 0.9, True),
    "adam": Adam(0.01, 0.9, 0.99, 1e-5, 0.0, False),
    "adamw": Adam(0.01, 0.9, 0.99, 1e-5, 0.1, False),
}
SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "cosine": Cosine(0.1),
    "warmup_linear": WarmupLinear(0.3, 0.0),
}
DATA = tiny.prepared()


def trained(
    settings: Settings, kind: Engine, device: ClaimedDevice = tiny.CPU
) -> tuple[list[float], list[np.ndarray]]:
    """Loss of both epochs (22 steps) and the weights after them."""
    weights = keras_models.draw_initial_weights(settings, DATA)
    loop = start_loop(settings, DATA, weights, device, kind)
    found = []
    for number in (1, 2):
        loop.prepare(number)
        found.append(float(loop.run()))
    return found, [each.numpy() for each in loop.get_parameters()]


def same_path(settings: Settings, kinds: tuple[Engine, ...], tolerance: float) -> None:
    (loss, weights), *others = (trained(settings, kind) for kind in kinds)
    assert np.abs(weights[0] - keras_models.draw_initial_weights(settings, DATA)[0]).max() > 1e-3
    for other_loss, other_weights in others:
        np.testing.assert_allclose(other_loss, loss, rtol=tolerance)
        for ours, theirs in zip(weights, other_weights, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance)


def mlp(activation: Activation, output: Output) -> Model:
    return replace(tiny.BASE.model, activation=activation, output=output)


ALL = (Engine.graph, Engine.xla, Engine.keras)


def cover_pairs() -> list[pytest.ParameterSet]:
    """25 of the 225 combinations, in which every pair of choices stands together at least once.

    Every choice stands in one of the five that are not slow.
    """
    acts, names = list(Activation), (list(HEADS), list(OPTIMIZERS), list(SCHEDULES))
    return [
        pytest.param(
            acts[(i + j) % 5 % 3],
            names[0][i],
            names[1][j],
            names[2][(i + 2 * j) % 5 % 3],
            marks=() if i == j else pytest.mark.slow,
        )
        for i, j in product(range(5), range(5))
    ]


@pytest.mark.parametrize(("activation", "head", "optimizer", "schedule"), cover_pairs())
def test_every_engine_walks_the_same_path(
    activation: Activation, head: str, optimizer: str, schedule: str
) -> None:
    loss, output = HEADS[head]
    settings = tiny.with_parts(
        model=mlp(activation, output),
        loss=loss,
        optimizer=OPTIMIZERS[optimizer],
        schedule=SCHEDULES[schedule],
    )
    same_path(settings, ALL, 2e-4)


@pytest.mark.parametrize("head", ["cross_entropy", "squared_sigmoid"])
def test_every_engine_walks_the_same_path_with_class_weights(head: str) -> None:
    loss, output = HEADS[head]
    weighted = replace(loss, class_weights=ClassWeights.balanced)
    same_path(tiny.with_parts(model=mlp(Activation.relu, output), loss=weighted), ALL, 2e-4)


@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
def test_every_engine_walks_the_same_path_of_a_linear_model(optimizer: str) -> None:
    linear = replace(tiny.BASE.model, layers=0)  # type: ignore[type-var]
    same_path(tiny.with_parts(model=linear, optimizer=OPTIMIZERS[optimizer]), ALL, 2e-4)


@pytest.mark.parametrize(
    ("policy", "scale", "kinds", "tolerance"),
    [
        (Policy.float64, 1.0, (Engine.graph, Engine.xla), 1e-9),
        (Policy.float64, 1.0, (Engine.graph, Engine.keras), 2e-4),
        (Policy.mixed_bfloat16, 1.0, ALL, 2e-2),
        (Policy.mixed_float16, 1024.0, (Engine.xla, Engine.keras), 5e-3),
    ],
)
def test_every_precision_walks_the_same_path(
    policy: Policy, scale: float, kinds: tuple[Engine, ...], tolerance: float
) -> None:
    settings = tiny.with_parts(precision=Precision(policy, scale), optimizer=OPTIMIZERS["momentum"])
    same_path(settings, kinds, tolerance)


@pytest.mark.parametrize(
    ("change", "storage"),
    [(Augment(0.3, 0.0, 0.0, True), Storage.float32), (Augment(0.0, 0.2, 20.0, False), Storage.uint8)],
    ids=["whole_pixels_float32", "between_pixels_uint8"],
)
def test_every_engine_sees_the_same_changed_images(change: Augment, storage: Storage) -> None:
    preprocess = replace(tiny.BASE.preprocess, storage=storage)
    same_path(tiny.with_parts(augment=change, preprocess=preprocess), ALL, 2e-4)


def test_bytes_and_numbers_on_the_device_are_the_same_samples() -> None:
    numbers, raw = (
        trained(tiny.with_parts(preprocess=replace(tiny.BASE.preprocess, storage=storage)), Engine.graph)
        for storage in (Storage.float32, Storage.uint8)
    )
    np.testing.assert_allclose(raw[1][0], numbers[1][0], rtol=1e-5, atol=1e-6)


def test_dropout_is_the_same_in_both_compiled_engines_and_does_something() -> None:
    settings = tiny.with_parts(model=replace(tiny.BASE.model, dropout=0.4, layers=2))
    same_path(settings, (Engine.graph, Engine.xla), 2e-4)
    dropped, whole = trained(settings, Engine.graph), trained(tiny.BASE, Engine.graph)
    assert dropped[0] != whole[0]


def test_dropout_keeps_the_mean() -> None:
    settings = tiny.with_parts(model=replace(tiny.BASE.model, dropout=0.4, hidden=5000))
    weights = keras_models.draw_initial_weights(settings, DATA)
    loop = CompiledLoop(settings, DATA, weights, tiny.CPU, Engine.graph)
    loop.prepare(1)
    first, second = (
        batches.draw_dropout_masks(loop._spec, loop._plan, loop._hyper_parameters, step)[0].numpy()
        for step in (0, 1)
    )
    np.testing.assert_allclose(np.unique(first), [0, 1 / 0.6], rtol=1e-6)
    assert first.mean() == pytest.approx(1, abs=0.02)
    assert (first != second).any()


# ---- compiling once ----------------------------------------------------------------------------------


def test_numbers_never_compile_again() -> None:
    def epoch(settings: Settings) -> tuple[object, object]:
        loop = CompiledLoop(
            settings, DATA, keras_models.draw_initial_weights(settings, DATA), tiny.CPU, Engine.xla
        )
        loop.prepare(1)
        return loop._epoch, loop.run()

    first, loss = epoch(
        tiny.told(
            "optimizer.learning_rate=0.1 optimizer.beta1=0.8 optimizer.epsilon=1e-5 loss.label_smoothing=0.1 "
            "model.dropout=0.1 augment.shift=0.2"
        )
    )
    second, other = epoch(
        tiny.told(
            "optimizer.learning_rate=0.2 optimizer.beta1=0.7 optimizer.epsilon=1e-6 loss.label_smoothing=0.2 "
            "model.dropout=0.2 augment.shift=0.3 train.seed=5 schedule=cosine train.epochs=9"
        )
    )
    assert second is first
    assert first.experimental_get_tracing_count() == 1
    assert loss != other


def test_a_process_keeps_a_bounded_number_of_compiled_shapes() -> None:
    assert compiled_epoch.compile_epoch.cache_info().maxsize == compiled_epoch.MAX_COMPILED
    assert compile_score.cache_info().maxsize == compiled_epoch.MAX_COMPILED


# ---- which loop --------------------------------------------------------------------------------------


class SeveralCpus(ClaimedDevice):
    """A CPU that is there several times, or has logical devices of these numbers."""

    number = 0

    @property
    def further(self) -> tuple[str, ...]:
        return (f"/CPU:{self.number}",) * (self.count - 1)


class TwoCpus(SeveralCpus):
    number = 1


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("head", ["cross_entropy", "binary_summed"])
def test_a_batch_shared_among_devices_trains_as_on_one(head: str, count: int) -> None:
    """Dropout and changes of images are drawn for the whole batch; here one device stands for all."""
    loss, output = HEADS[head]
    settings = tiny.with_parts(
        model=replace(mlp(Activation.relu, output), dropout=0.3),  # type: ignore[call-arg]
        loss=loss,
        optimizer=OPTIMIZERS["momentum"],
        augment=replace(tiny.BASE.augment, shift=0.25),
    )
    several = SeveralCpus("cpu", "a CPU", count, "/CPU:0")
    losses, weights = trained(settings, Engine.graph)
    shared_losses, shared_weights = trained(settings, Engine.graph, several)
    np.testing.assert_allclose(shared_losses, losses, rtol=1e-5)
    for shared, alone in zip(shared_weights, weights, strict=True):
        np.testing.assert_allclose(shared, alone, atol=1e-5)


SEVERAL_CPUS = """
import numpy as np
from dataclasses import replace
from pipeline.backend import tf
from pipeline.settings.training import Engine
from tests.support import tiny
from tests.training.perceptron.test_compiled_epoch import TwoCpus, trained

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
settings = tiny.with_parts(model=replace(tiny.BASE.model, dropout=0.3))
alone = trained(settings, Engine.graph)
shared = trained(settings, Engine.graph, TwoCpus("cpu", "a CPU", 2, "/CPU:0"))
np.testing.assert_allclose(shared[0], alone[0], rtol=1e-5)
for one, other in zip(shared[1], alone[1]):
    np.testing.assert_allclose(one, other, atol=1e-5)
from pipeline.training.perceptron import compiled_loop
from pipeline.models import keras_models
loop = compiled_loop.CompiledLoop(
    settings, tiny.prepared(), keras_models.draw_initial_weights(settings, tiny.prepared()),
    TwoCpus("cpu", "a CPU", 2, "/CPU:0"), Engine.graph,
)
loop.prepare(1)
graph = loop._traced.graph.as_graph_def()
nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
print(sorted({"/cpu:" + node.device[-1] for node in nodes if node.op == "MatMul"}))
"""


@pytest.mark.slow
def test_two_devices_compute_their_parts_each() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL_CPUS], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "['/cpu:0', '/cpu:1']"
