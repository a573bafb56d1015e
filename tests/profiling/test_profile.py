"""What the profile counts; nothing here depends on how fast the machine is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.data.report import CleaningReport
from pipeline.measures import Cost, Latency
from pipeline.models.keras_models import build_model, build_network
from pipeline.models.predictor import make_predictor
from pipeline.profiling import profile as stage
from pipeline.profiling.network_work import count_network_work
from pipeline.profiling.profile import (
    count_flops,
    make_batch,
    measure_batch,
    measure_latency,
    measure_peak_memory,
    measure_saved_bytes,
    profile,
    read_process_peak,
)
from pipeline.settings.settings import Settings
from pipeline.training.optimizers import rule_of
from tests.support import tiny


@pytest.fixture(scope="module")
def settings() -> Settings:
    words = ["model.hidden=200", "model.layers=2", "profile.repeats=10", "profile.batch_sizes=[1,64]"]
    return compose([*words, "profile.warmup=1"]).settings


@pytest.fixture(scope="module")
def bytes_of_20_images() -> Prepared:
    draw = np.random.default_rng(0)
    split = Split(draw.integers(0, 256, (20, 10, 10)).astype(np.uint8), np.arange(20, dtype=np.int32) % 4)
    scaling = Scaling(np.float32(128), np.float32(74))
    report = CleaningReport(
        rows_read=60, rows_kept={}, dropped={}, constant_features=0, smallest=0.0, largest=255.0, histogram={}
    )
    return Prepared(
        train=split,
        validation=split,
        test=split,
        classes=tuple("abcd"),
        shape=(10, 10),
        scaling=scaling,
        report=report,
        source_sha256="s",
        key="k",
        directory=Path(),
        reused=False,
    )


@pytest.fixture(scope="module")
def model(settings: Settings, bytes_of_20_images: Prepared) -> Any:
    return build_model(settings, bytes_of_20_images)


@pytest.fixture(scope="module")
def cost(model: Any, settings: Settings, bytes_of_20_images: Prepared) -> Cost:
    return profile(model, make_predictor(model), bytes_of_20_images, settings)


# ---- counts -------------------------------------------------------------------------------------------


def test_parameters_and_flops_by_hand(cost: Cost) -> None:
    assert cost.parameters == (100 * 200 + 200) + (200 * 200 + 200) + (200 * 4 + 4)
    assert cost.flops == 2 * (100 * 200 + 200 * 200 + 200 * 4)


def test_parameters_are_those_of_keras(model: Any, cost: Cost) -> None:
    assert cost.parameters == model.count_params()


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("spectral", 2 * (30 * 12 + 12 * 3)),
        ("in_blocks", 2 * (30 * 8 + 2 * 8 * 8 + 8 * 3)),
        ("along_any_length", 2 * (28 * 3 * 4 + 4 * 3)),
        ("without_weights", 0),
    ],
)
def test_layers_within_others_count_by_their_calls(name: str, flops: int) -> None:
    words = "profile.repeats=10 profile.warmup=1 profile.batch_sizes=[1]"
    settings = tiny.told(f"model=custom model.build=tests.support.odd_models:{name} {words}")
    data = tiny.prepared(shape=(6, 5))
    network = build_model(settings, data)
    for _ in range(2):  # counting leaves the network as it was
        assert profile(network, make_predictor(network), data, settings).flops == flops
    rule = rule_of(settings.optimizer)
    work = count_network_work(build_network(settings, data), 4, rule, narrow=4, wide=4, sample=1)
    assert work is None or work.flops >= 0  # that of a roofline is of layers that tell their outputs


def test_flops_agree_with_the_count_of_tensorflow(model: Any) -> None:
    """Its profiler counts biases, activations and softmax too: about 1 % here."""
    function = tf.function(lambda samples: model(samples, training=False))
    graph = function.get_concrete_function(tf.TensorSpec((1, 10, 10), tf.float32)).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    counted = tf.compat.v1.profiler.profile(graph, options=options).total_float_ops
    assert count_flops(model) == pytest.approx(counted, rel=0.02)
    assert count_flops(model) <= counted


def test_weights_that_are_not_trained_are_no_parameters(
    settings: Settings, bytes_of_20_images: Prepared
) -> None:
    frozen = build_model(settings, bytes_of_20_images)
    frozen.layers[-2].trainable = False
    cost = profile(frozen, make_predictor(frozen), bytes_of_20_images, settings)
    assert cost.parameters == (100 * 200 + 200) + (200 * 200 + 200)


# ---- size and memory ----------------------------------------------------------------------------------


def test_the_saved_file_is_weighed_and_removed(model: Any, tmp_path: Path, cost: Cost) -> None:
    model.save(tmp_path / "model.keras")
    assert measure_saved_bytes(model) == pytest.approx((tmp_path / "model.keras").stat().st_size, rel=0.01)
    assert cost.model_bytes > 4 * cost.parameters


def test_memory_covers_weights_and_what_a_batch_needs(model: Any, cost: Cost) -> None:
    """A batch of 2048 needs at least one layer's float32 outputs beside the weights."""
    assert cost.memory_source == "allocator of CPU:0, tensors over 256 KiB"
    assert cost.peak_memory_bytes >= 4 * cost.parameters
    large, _ = measure_peak_memory(model, make_predictor(model), np.zeros((2048, 10, 10), np.uint8))
    assert large >= 4 * cost.parameters + 4 * 2048 * 200


def test_other_tensors_on_the_device_are_not_the_models(model: Any) -> None:
    batch = np.zeros((64, 10, 10), np.uint8)
    alone, _ = measure_peak_memory(model, make_predictor(model), batch)
    ballast = tf.ones((2048, 2048)) + 1
    beside, _ = measure_peak_memory(model, make_predictor(model), batch)
    assert abs(beside - alone) < 4 * 2048 * 2048 / 4
    del ballast


def test_without_a_count_the_whole_process_stands_in(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def uncounted(_device: str) -> None:
        raise ValueError("no statistics for this device")

    monkeypatch.setattr(tf.config.experimental, "reset_memory_stats", uncounted)
    found, source = measure_peak_memory(model, make_predictor(model), np.zeros((1, 10, 10), np.uint8))
    assert source == "whole process"
    assert found == read_process_peak() > 50e6  # TensorFlow alone takes more


# ---- time ---------------------------------------------------------------------------------------------


class Clock:
    """Stands in for `time`: moves by what the next call is told to take."""

    def __init__(self, milliseconds: list[float]) -> None:
        self.waits, self.now, self.asked = milliseconds, 0, list[np.ndarray]()

    def perf_counter_ns(self) -> int:
        return self.now

    def predict(self, batch: np.ndarray) -> np.ndarray:
        self.now += round(1e6 * self.waits[len(self.asked) % len(self.waits)])
        self.asked.append(batch)
        return batch


def clock_of(monkeypatch: pytest.MonkeyPatch, *milliseconds: float) -> Clock:
    clock = Clock(list(milliseconds))
    monkeypatch.setattr(stage, "time", clock)
    return clock


def test_percentiles_by_hand_without_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slow calls first, then 1, 2, ... 101 ms: the percentiles are whole."""
    clock = clock_of(monkeypatch, 5000, 5000, *range(1, 102))
    latency = measure_latency(clock.predict, np.arange(3.0)[:, None], 101, 2)
    assert (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.repeats) == (51, 96, 100, 101)


def test_latency_asks_for_one_sample_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clock_of(monkeypatch, 1)
    measure_latency(clock.predict, np.arange(3.0)[:, None], 7, 2)
    assert [batch.shape for batch in clock.asked] == [(1, 1)] * 9
    assert [batch.item() for batch in clock.asked[2:]] == [0, 1, 2, 0, 1, 2, 0]


def test_a_batch_by_hand_without_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 ms a call of 8; ten calls make 0.2 s; the call that compiles is left out."""
    clock = clock_of(monkeypatch, 9000, *[20] * 10)
    assert measure_batch(clock.predict, np.ones((3, 2)), 8) == Latency(20.0, 20.0, 20.0, 10)
    assert [batch.shape for batch in clock.asked] == [(8, 2)] * 11


def test_slow_calls_are_made_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clock_of(monkeypatch, 1, 1000, 1000, 4000)
    calls = measure_batch(clock.predict, np.ones((3, 2)), 8)
    assert (calls.p50_ms, calls.repeats) == (1000.0, 3)
    assert 1000 < calls.p95_ms < calls.p99_ms < 4000
    assert len(clock.asked) == 4


def test_a_batch_starts_again_where_rows_run_out() -> None:
    assert make_batch(np.arange(3), 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert make_batch(np.arange(3), 2).tolist() == [0, 1]


def test_the_stage_measures_what_the_settings_say(cost: Cost) -> None:
    assert set(cost.throughput) == {1, 64}
    assert all(value > 0 for value in cost.throughput.values())
    for size, calls in cost.latency_by_batch.items():
        assert 0 < calls.p50_ms <= calls.p99_ms
        assert cost.throughput[size] == pytest.approx(1000 * size / calls.p50_ms)
    assert cost.latency_by_batch.keys() == cost.throughput.keys()
    assert cost.cold_ms is not None
    assert cost.cold_ms > 0
    assert 0 < cost.latency.p50_ms <= cost.latency.p95_ms <= cost.latency.p99_ms
    assert cost.latency.repeats == 10


def test_a_model_read_back_costs_the_same(model: Any, cost: Cost, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert count_flops(again) == cost.flops
