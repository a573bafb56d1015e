"""Training as its caller sees it."""

import time
from dataclasses import replace
from itertools import islice

import numpy as np
import psutil
import pytest

from pipeline.errors import BadData, BadModel, Diverged
from pipeline.hardware import contention, stopwatch
from pipeline.hardware.counters import KernelCounters, Reading
from pipeline.measures import Epoch
from pipeline.models.predictor import make_predictor
from pipeline.training import train as stage
from pipeline.training.train import Trained, train
from tests.support import tiny

DATA = tiny.prepared(120)


def last(words: str) -> Trained:
    return list(train(DATA, tiny.told(words)))[-1]


def test_one_item_an_epoch_and_it_learns() -> None:
    items = list(train(DATA, tiny.told("train.epochs=6 optimizer.learning_rate=0.01")))
    assert [item.curve.last.number for item in items] == [1, 2, 3, 4, 5, 6]
    curve = items[-1].curve
    assert items[2].curve.epochs == curve.epochs[:3]
    assert curve.epochs[-1].train_loss < curve.epochs[0].train_loss / 2
    assert curve.last.validation_accuracy > 0.8
    seconds = [epoch.device_seconds for epoch in curve.epochs]
    assert 0 < seconds[0] < seconds[-1]
    assert curve.last.measured_seconds == pytest.approx(items[-1].seconds.train)


def test_a_neighbour_is_named_and_not_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    delays = iter([0, 0, 0, 9, 9, 9])  # at both ends of each epoch
    readings = (Reading(wall=0.0, cpu=0.0, idle=0.0, delayed=delay) for delay in delays)
    monkeypatch.setattr(KernelCounters, "read", lambda _self: next(readings))
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: time.perf_counter() / 4)
    monkeypatch.setattr(contention, "WINDOW_SECONDS", 0.0)
    monkeypatch.setattr(contention, "INTERRUPTION_SECONDS", 0.0)
    epochs = list(train(DATA, tiny.told("train.epochs=3")))[-1].curve.epochs
    assert [epoch.contended for epoch in epochs] == [False, True, False]
    assert epochs[1].core_share == pytest.approx(0.25, abs=0.1)
    lost = [epoch.lost_seconds for epoch in epochs]
    assert 0 == lost[0] < lost[1] == lost[2]
    spent = [epoch.device_seconds for epoch in epochs]
    # About a quarter of the epoch was computed, so that is paid.
    assert 0 < spent[1] - spent[0] < lost[1]


def test_every_second_has_its_name() -> None:
    seconds = last("engine=xla model.hidden=7").seconds
    parts = [seconds.input, seconds.compile, seconds.warm_up, seconds.train, seconds.validate]
    assert all(part > 0 for part in parts)
    assert seconds.compile > seconds.train  # the clock starts after it
    assert seconds.prepare == seconds.evaluate == seconds.profile == 0


@pytest.mark.parametrize("engine", ["xla", "graph", "keras"])
def test_what_ran_is_told(engine: str) -> None:
    item = last(f"engine={engine} train.epochs=1")
    assert item.engine == engine
    assert item.device == item.curve.device
    assert item.device.endswith("1 core")


def test_fairness_comes_from_the_schedule() -> None:
    assert last("train.epochs=1").curve.fair_midway
    assert not last("train.epochs=1 schedule=cosine").curve.fair_midway


@pytest.mark.parametrize("engine", ["xla", "graph"])
@pytest.mark.parametrize("words", ["", "augment=rotate model.dropout=0.3", "precision=mixed_bfloat16"])
def test_same_seed_same_weights_bit_for_bit(engine: str, words: str) -> None:
    one, same, other = (
        last(f"engine={engine} {words} train.seed={seed}").get_weights() for seed in (1, 1, 2)
    )
    for ours, again in zip(one, same, strict=True):
        np.testing.assert_array_equal(ours, again)
    assert (one[0] != other[0]).any()


@pytest.mark.parametrize("engine", ["xla", "graph", "keras"])
def test_weights_of_an_epoch_stay_as_they_were(engine: str) -> None:
    settings = tiny.told(f"engine={engine} train.epochs=3")
    first, *_, _final = items = list(train(DATA, settings))
    alone = next(train(DATA, settings))
    for kept, expected in zip(first.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, expected)
    assert (first.get_weights()[0] != items[-1].get_weights()[0]).any()


def test_the_model_is_what_was_validated() -> None:
    item = last("model.layers=2")
    answers = make_predictor(item.build_model())(DATA.validation.features)
    assert (answers.argmax(1) == DATA.validation.labels).mean() == item.curve.last.validation_accuracy


@pytest.mark.parametrize("engine", ["xla", "graph", "keras"])
def test_divergence_has_a_name(engine: str) -> None:
    words = (
        f"engine={engine} optimizer=sgd optimizer.learning_rate=1e5 loss=mean_squared_error train.epochs=60"
    )
    with pytest.raises(
        Diverged, match=r"^the (train|validation) loss must stay finite, got (nan|inf) in epoch \d+; "
    ):
        last(f"{words} loss=cross_entropy optimizer.momentum=0.9 model.layers=3")


def test_divergence_in_half_precision_names_the_scale() -> None:
    assert "precision.loss_scale (now 32768)" in stage._explain_divergence(
        "train", float("nan"), 1, tiny.told("precision=mixed_float16")
    )
    assert "loss_scale" not in stage._explain_divergence("train", float("nan"), 1, tiny.told())


def test_patience_stops_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = iter([0.5, 0.7, 0.7, 0.6, 0.9])
    true_epoch = stage._train_epoch

    def epoch(*given: object) -> Epoch:
        return replace(true_epoch(*given), validation_accuracy=next(accuracies))

    plain = list(islice(train(DATA, tiny.told("train.epochs=5")), 2))
    monkeypatch.setattr(stage, "_train_epoch", epoch)
    items = list(train(DATA, tiny.told("train.epochs=5 train.patience=2")))
    assert [item.chosen_epoch.number for item in items] == [1, 2, 2, 2]
    np.testing.assert_array_equal(items[-1].get_weights()[0], plain[1].get_weights()[0])
    assert items[-1].curve.last.number == 4


def test_training_goes_on_from_given_weights() -> None:
    settings = tiny.told(
        "model.init=pretrained model.pretrained=x train.epochs=1 optimizer.learning_rate=1e-9"
    )
    begin = last("train.epochs=2").get_weights()
    item = next(train(DATA, settings, begin))
    np.testing.assert_allclose(item.get_weights()[0], begin[0], atol=1e-6)
    with pytest.raises(BadModel):
        next(train(DATA, settings, begin[:2]))


def test_changes_need_images() -> None:
    with pytest.raises(BadData, match="augment needs images"):
        next(train(tiny.prepared(shape=(20,)), tiny.told("augment=shift")))


@pytest.mark.slow
def test_memory_does_not_grow_over_trials() -> None:
    def resident_bytes_after(trials: int) -> int:
        for seed in range(trials):
            settings = replace(tiny.BASE, train=replace(tiny.BASE.train, seed=seed, epochs=1))
            next(train(DATA, settings))
        return int(psutil.Process().memory_info().rss)

    before = resident_bytes_after(50)
    assert resident_bytes_after(200) - before < 20e6
