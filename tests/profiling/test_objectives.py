"""Objectives beside accuracy and cost, measured on a tiny network before it trains."""

from dataclasses import replace

import pytest

from pipeline.errors import BadSetting
from pipeline.measures import Curve, Epoch
from pipeline.profiling import objectives
from pipeline.profiling.objectives import COUNTERS, MEASURES, list_costs, measure_network
from pipeline.settings.searching.objectives import FURTHER, OBJECTIVES
from tests.support import tiny

WORDS = "model.hidden=6 profile.repeats=20 profile.warmup=1 profile.batch_sizes=[1,32]"
ENERGY = OBJECTIVES["energy_joules"]


def make_curve(*joules: float | None, estimated: bool = False) -> Curve:
    epochs = (
        Epoch(
            number=n,
            device_seconds=n,
            train_loss=1,
            validation_loss=1,
            validation_accuracy=0.5,
            joules=each,
            joules_estimated=estimated,
        )
        for n, each in enumerate(joules, start=1)
    )
    return Curve("a CPU, 1 core", True, tuple(epochs))


def test_every_objective_has_one_way_to_be_measured() -> None:
    assert set(MEASURES) | set(COUNTERS) == set(FURTHER)
    assert {name for name in FURTHER if OBJECTIVES[name].is_by_epoch} == set(COUNTERS)


def test_a_network_is_measured_before_it_trains() -> None:
    data = tiny.prepared()
    kinds = [OBJECTIVES[name] for name in FURTHER if not OBJECTIVES[name].is_by_epoch]
    found = measure_network([*kinds, ENERGY], tiny.told(WORDS), data)
    assert set(found) == {"latency_ms", "parameters", "size_mb", "memory_mb"}
    assert found["parameters"] == 20 * 6 + 6 + 6 * 3 + 3
    assert 0.001 < found["size_mb"] < 1
    assert found["memory_mb"] >= found["parameters"] * 4e-6
    assert found["latency_ms"] == float(f"{found['latency_ms']:.2g}") > 0
    wide = measure_network([OBJECTIVES["size_mb"]], tiny.told("model.hidden=600"), data)
    assert wide["size_mb"] > found["size_mb"]
    assert measure_network([], tiny.told(WORDS), data) == {}


def test_the_model_weighs_the_same_after_training() -> None:
    from pipeline.profiling.profile import measure_saved_bytes
    from pipeline.trial.network import train_to_end

    data, settings = tiny.prepared(), tiny.told("train.epochs=1")
    before = measure_network([OBJECTIVES["size_mb"]], settings, data)["size_mb"]
    after = measure_saved_bytes(train_to_end(data, settings).build_model())
    assert before * 1e6 == pytest.approx(after, rel=0.01)


def test_what_grows_has_a_value_after_each_epoch() -> None:
    kinds = [OBJECTIVES["latency_ms"], ENERGY]
    costs = list_costs(kinds, {"latency_ms": 0.2}, make_curve(1.0, 2.5))
    assert costs == {"latency_ms": (0.2,), "energy_joules": (1.0, 2.5)}
    assert list_costs(kinds, {"latency_ms": 0.2}, make_curve(None, 2.5)) == {"latency_ms": (0.2,)}


def test_an_estimate_is_never_taken_for_a_measurement() -> None:
    both, curve = [ENERGY, OBJECTIVES["estimated_joules"]], make_curve(1.0, 2.5, estimated=True)
    assert list_costs(both, {}, curve) == {"estimated_joules": (1.0, 2.5)}
    assert list_costs(both, {}, make_curve(1.0, 2.5)) == {"energy_joules": (1.0, 2.5)}


def test_what_varies_is_that_of_each_epoch() -> None:
    curve = make_curve(1.0, 2.5)
    under_attack = [
        replace(epoch, accuracy_under_attack=value)
        for epoch, value in zip(curve.epochs, (0.4, 0.3), strict=True)
    ]
    kinds = [OBJECTIVES["accuracy_under_attack"]]
    assert measure_network(kinds, tiny.told(WORDS), tiny.prepared()) == {}
    assert list_costs(kinds, {}, replace(curve, epochs=tuple(under_attack))) == {
        "accuracy_under_attack": (0.4, 0.3)
    }


def test_memory_that_nobody_counts_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "measure_peak_memory", lambda *_: (10**9, "whole process"))
    with pytest.raises(BadSetting, match="leave memory_mb out"):
        measure_network([OBJECTIVES["memory_mb"]], tiny.told(WORDS), tiny.prepared())
