"""The parts of the benchmark that need no rival: floors, goals, tables, numpy's gradient, the same start."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import cells, clock, cluster, machine, picture, report, worker
from benchmarks.ceilings import Bandwidth, Ceilings, Product, shapes
from benchmarks.cells import ARTICLE, Cell, Problem
from benchmarks.results import OURS, OURS_BF16, Goal, Results, Timing, disagreeing, goals
from benchmarks.rivals import Unfit, article_loop, numpy_loop, ours, sklearn_fit
from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Split
from pipeline.models import keras_models
from pipeline.training import device_data

SGD, ADAM = Cell(1, 500, "sgd"), Cell(128, 500, "adam")
CEILINGS = Ceilings(
    (
        Product(128, 784, 500, "float32", 100e9, "numpy"),
        Product(784, 128, 500, "float32", 200e9, "numpy"),
        Product(128, 784, 500, "bfloat16", 400e9, "TensorFlow"),
        Product(128, 784, 2048, "float32", 900e9, "numpy"),
    ),
    (Bandwidth(500, 1_568_000, 100e9, "numpy"), Bandwidth(2048, 6_422_528, 10e9, "numpy")),
)


# ---- floors -------------------------------------------------------------------------------------------


def test_the_least_operations_are_those_of_the_products():
    # forward 784x500 and 500x10, gradients of both weights, gradient of the hidden layer: 2 operations each
    by_hand = 2 * (784 * 500 + 500 * 10 + 784 * 500 + 500 * 10 + 500 * 10)
    assert cells.flops(ADAM, 60_000) == 60_000 * by_hand


def test_adam_passes_seven_times_over_the_parameters_and_sgd_three():
    count = 784 * 500 + 500 + 500 * 10 + 10
    assert cells.parameters(SGD) == count
    samples = 4 * 784 * 10
    assert cells.bytes_moved(SGD, 10) == 4 * 3 * 10 * count + samples
    assert cells.bytes_moved(replace(SGD, optimizer="adam"), 10) == 4 * 7 * 10 * count + samples


def test_a_larger_batch_passes_over_the_parameters_less_often():
    assert cells.bytes_moved(ADAM, 1280) < cells.bytes_moved(replace(ADAM, batch=1), 1280) / 20


def test_the_floor_is_the_larger_of_both_and_says_which():
    wide = cells.floor(ADAM, 60_000, gemm=1e11, bandwidth=1e15)
    slow = cells.floor(ADAM, 60_000, gemm=1e15, bandwidth=1e11)
    assert wide.bound == "flops"
    assert wide.seconds == pytest.approx(cells.flops(ADAM, 60_000) / 1e11)
    assert slow.bound == "bytes"
    assert slow.seconds == pytest.approx(cells.bytes_moved(ADAM, 60_000) / 1e11)


def test_a_ceiling_is_the_best_of_its_own_width_and_precision():
    assert CEILINGS.gemm(500, "float32") == 200e9
    assert CEILINGS.gemm(500, "bfloat16") == 400e9
    assert CEILINGS.bandwidth(500) == 100e9


def test_products_are_measured_forward_and_back():
    assert (128, 784, 500) in shapes(500)
    assert (784, 128, 500) in shapes(500)
    assert not [shape for shape in shapes(500) if 1 in shape]


# ---- how much of an epoch -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step_seconds", "whole", "steps"),
    [(0.001, 421, 421), (0.001, 54_000, 1000), (0.001, 2000, 2000), (10.0, 421, 20), (10.0, 30, 30)],
)
def test_a_long_epoch_is_timed_in_part(step_seconds, whole, steps):
    assert worker.portion(step_seconds, whole, budget=1.0, least=20) == steps


def test_the_cost_of_a_call_is_not_scaled_with_the_steps():
    # 0.5 s for the call and 0.01 s a step
    share = worker.Share(steps=100, of=1000, few=20, few_seconds=0.7)
    assert share.whole(1.5) == pytest.approx(10.5)


def test_noise_in_the_few_steps_does_not_make_an_epoch_longer_than_in_proportion():
    assert worker.Share(100, 1000, 20, few_seconds=0.1).whole(1.0) == pytest.approx(10.0)
    assert worker.Share(100, 1000, 20, few_seconds=1.1).whole(1.0) == pytest.approx(10.0)
    assert worker.Share(100, 100, 20, few_seconds=0.1).whole(1.0) == 1.0


# ---- goals and tables ---------------------------------------------------------------------------------


def timing(cell: Cell, name: str, *seconds: float, loss: float = 0.5, steps: int = 421) -> Timing:
    return Timing(cell, name, seconds, 0.99, steps, 421, loss, 0.5, "xla" if name == OURS else "")


def results(*timings: Timing) -> Results:
    about = {
        "date": "2026-01-02T03:04:05+00:00",
        "device": "A CPU",
        "instructions": ["avx2"],
        "cores": 2,
        "core": 1,
        "load": [0.1, 0.2, 0.3],
        "load_after": [1.0, 0.2, 0.3],
        "steal_seconds": 0.0,
        "rounds": 3,
        "clock": "wall",
        "versions": {"numpy": "2.0"},
    }
    return Results(about, "MNIST", 54_000, CEILINGS, timings, {"jax_scan": "jax is not installed"})


FOUND = results(
    timing(ADAM, OURS, 1.0, 1.1, 0.9),
    timing(ADAM, OURS_BF16, 0.5),
    timing(ADAM, "numpy", 2.0),
    timing(ADAM, "torch fused", 0.98, 0.97, 1.2),
    timing(ADAM, "Keras fit", 2.5, steps=20),
    timing(ADAM, "scikit-learn", 4.0, loss=0.9),
    timing(ARTICLE, OURS, 4.0),
    timing(ARTICLE, "article's loop", 80.0),
)


def verdict(part: str, cell: Cell = ADAM) -> tuple[float, str]:
    found = [goal for goal in goals(FOUND) if part in goal.text and (str(cell) in goal.text or cell.article)]
    assert len(found) == 1, part
    return round(found[0].measured, 2), found[0].verdict


def test_goals_are_ratios_to_ours_of_the_same_run():
    assert verdict("numpy") == (2.0, "met")
    assert verdict("Keras fit") == (2.5, "not met")
    assert verdict("bf16 faster") == (2.0, "met")
    assert verdict("article's own", ARTICLE) == (20.0, "met")


def test_a_rival_ahead_within_the_spread_is_level_and_not_met():
    assert verdict("torch fused") == (0.98, "level")


def test_the_share_of_the_floor_is_a_percentage():
    share, told = verdict("one-core floor")
    assert share == pytest.approx(100 * cells.flops(ADAM, 54_000) / 200e9, abs=0.01)
    assert told == "not met"


def test_bf16_is_held_against_its_own_floor():
    assert FOUND.reached(ADAM, OURS_BF16) == pytest.approx(FOUND.floor(ADAM, "bfloat16").seconds / 0.5)


def test_a_contestant_that_learns_something_else_is_named():
    assert [each.name for each in disagreeing(FOUND.timings)] == ["scikit-learn"]
    assert "but for batch 128, hidden 500, adam, scikit-learn: 0.9000, ours 0.5000" in report.markdown(FOUND)


def test_the_markdown_carries_times_goals_and_circumstances():
    text = report.markdown(FOUND)
    header, bar, *rows = [line for line in text.splitlines() if line.startswith("|")][:8]
    assert header.count("|") == bar.count("|") == 4
    assert "| numpy | 2.00 s (2.00-2.00) 2.00x | - |" in rows
    assert "| Keras fit | 2.50 s* (2.50-2.50) 2.50x | - |" in text
    assert "* Keras fit 20 of 421 steps" in text
    for word in (
        "A CPU",
        "2026-01-02",
        "[0.1, 0.2, 0.3]",
        "jax is not installed",
        "200 GFLOP/s",
        "| level |",
    ):
        assert word in text


def test_raw_results_are_json_with_floors():
    raw = json.loads(json.dumps(FOUND.as_json()))
    assert raw["floors"][0]["float32"]["bound"] == "flops"
    assert raw["timings"][0]["seconds"] == [1.0, 1.1, 0.9]


def test_the_picture_is_a_png_and_the_same_each_time():
    drawn = picture.picture(FOUND)
    assert drawn.startswith(b"\x89PNG")
    assert drawn == picture.picture(FOUND)


def test_a_results_folder_is_named_by_date_and_device(tmp_path):
    found = machine.folder(tmp_path, {"date": "2026-01-02T03:04:05", "device": "AMD EPYC (TM) 9"})
    assert found.is_dir()
    assert found.name == "2026-01-02-amd-epyc-tm-9"


def test_less_is_better_where_a_goal_says_so():
    assert Goal("", 2, 1.9, at_most=True).verdict == "met"
    assert Goal("", 2, 2.1, at_most=True).verdict == "not met"


def repeats(how: str, *seconds: float, threads: int = 1) -> clock.Repeats:
    laps = [
        {"device_seconds": each, "train_seconds": each / threads, "contended": 0.0, "core_share": 1.0}
        for each in seconds
    ]
    return clock.Repeats("digits", how, tuple(laps))


def test_goals_of_the_clock():
    found = [
        repeats("quiet", 1.0, 1.0, 1.0),
        repeats("busy neighbour", 1.0, 1.2, 0.8),
        repeats("side by side, core 0", 1.0, 1.0),
        repeats("side by side, core 1", 1.1, 1.1),
        repeats("two threads", 1.6, 1.6, threads=2),
    ]
    told = [(round(goal.measured, 3), goal.verdict) for goal in clock.goals(found)]
    # two trials in 1 and 1.1 s against one in 0.8 s
    assert told == [
        (0.0, "met"),
        (20.0, "not met"),
        (round((1 + 1 / 1.1) * 0.8, 3), "not met"),
        (10.0, "not met"),
    ]


# ---- the same network for everyone --------------------------------------------------------------------


def few(cell: Cell) -> Problem:
    """A problem of random bytes, small enough for a test."""
    prepared = cells.random_bytes()
    short = [Split(part.features[:48], part.labels[:48]) for part in (prepared.train, prepared.validation)]
    settings = compose(cell.words()).settings
    features = (short[0].features.reshape(48, -1).astype(np.float32) - 127.5) / 73.9
    return Problem(
        cell,
        settings,
        replace(prepared, train=short[0], validation=short[1], test=short[1]),
        features.astype(np.float32),
        short[0].labels,
        cells.batches(settings.train.seed, 48, cell.batch),
        cells.glorot(settings.train.seed, cell.hidden),
    )


def trained(contestant, problem: Problem, steps: int) -> float:
    runner = contestant(problem, steps)
    runner.reset()
    first = runner.go()
    runner.reset()
    assert runner.go() == pytest.approx(first, rel=1e-6), "reset must bring the start back"
    return first


def test_order_and_start_are_those_of_the_product():
    cell = Cell(4, 16, "sgd")
    problem = few(cell)
    assert np.array_equal(problem.order, device_data.shuffle_rows(problem.settings.train.seed, 1, 48, 4))
    fresh = keras_models.draw_initial_weights(problem.settings, problem.prepared)
    assert all(np.array_equal(one, other) for one, other in zip(problem.weights, fresh, strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("rival", [numpy_loop.Loop, sklearn_fit.PartialFit])
def test_rivals_train_the_network_that_ours_trains(optimizer, rival):
    problem = few(Cell(4, 16, optimizer))
    assert trained(rival, problem, 12) == pytest.approx(trained(ours.float32, problem, 12), rel=1e-3)


def test_the_articles_loop_trains_the_articles_network():
    problem = few(ARTICLE)
    mine = trained(article_loop.Textbook, problem, 12)
    assert mine == pytest.approx(trained(ours.float32, problem, 12), rel=1e-3)


def test_bf16_trains_nearly_the_same():
    problem = few(Cell(4, 16, "adam"))
    assert trained(ours.bfloat16, problem, 12) == pytest.approx(trained(ours.float32, problem, 12), rel=0.05)


def test_rivals_refuse_the_cell_that_is_not_theirs():
    with pytest.raises(Unfit):
        numpy_loop.Loop(few(ARTICLE), 1)
    with pytest.raises(Unfit):
        article_loop.Textbook(few(Cell(4, 16, "sgd")), 1)


def test_the_gradient_of_numpy_is_the_slope_of_its_loss():
    draw = np.random.default_rng(3)
    parameters = [draw.normal(size=shape) * 0.5 for shape in ((5, 4), (4,), (4, 3), (3,))]
    samples, labels = draw.normal(size=(6, 5)), draw.integers(0, 3, 6)
    _, found = numpy_loop.gradients(parameters, samples, labels)
    for place, parameter in enumerate(parameters):
        index = tuple(0 for _ in parameter.shape)
        step = 1e-6
        losses = []
        for sign in (1, -1):
            moved = [each.copy() for each in parameters]
            moved[place][index] += sign * step
            losses.append(numpy_loop.gradients(moved, samples, labels)[0])
        assert found[place][index] == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-5)


def test_random_bytes_have_the_shape_of_mnist():
    prepared: Prepared = cells.random_bytes()
    assert prepared.train.features.shape == (54_000, 28, 28)
    assert prepared.train.features.dtype == np.uint8
    assert len(prepared.classes) == 10


def test_slots_and_processes_have_a_row_each() -> None:
    rounds = {
        "processes": [cluster.Round(0.2, 0.1), cluster.Round(0.4, 0.3)],
        "slots": [cluster.Round(0.3, 0.2)],
    }
    assert cluster.tabulate(rounds) == [
        ["processes", "0.3000 (0.2000-0.4000)", "0.2000", "2"],
        ["slots", "0.3000 (0.3000-0.3000)", "0.2000", "1"],
    ]
