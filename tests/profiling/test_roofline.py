"""Counts of a step against counts by hand, and which roof holds."""

import pytest

from pipeline.profiling.roofline import Bound, DevicePeaks, Roofline, StepWork, count_step_work
from pipeline.training.optimizers.adam import AdamRule
from pipeline.training.optimizers.sgd import SgdRule


def test_work_of_a_step_counted_by_hand() -> None:
    """Layers 4-3-2, batch 5, plain SGD, float32."""
    work = count_step_work((4, 3, 2), 5, rule=SgdRule(False, False), narrow=4, wide=4, sample=1)
    forward = 2 * 5 * (4 * 3 + 3 * 2)
    backward = 2 * 5 * (4 * 3 + 3 * 2) + 2 * 5 * 3 * 2  # by the weights of both layers, by the hidden layer
    parameters = 4 * 3 + 3 + 3 * 2 + 2
    assert work.flops == forward + backward + 2 * parameters
    assert work.update_flops == 2 * parameters
    weights = 4 * (12 + 6) + 4 * 6
    assert work.bytes == weights + 4 * parameters * 2 + 4 * 4 * 5 * 5 + 5 * 4
    assert work.resident == 4 * parameters


def test_adam_moves_its_memories_too() -> None:
    plain, adam = (
        count_step_work((4, 3, 2), 5, rule, 4, 4, 4) for rule in (SgdRule(False, False), AdamRule(False))
    )
    assert adam.bytes - plain.bytes == 4 * 23 * 4
    assert adam.resident == 3 * plain.resident


@pytest.mark.parametrize(
    ("flops", "overhead", "bound"),
    [(1e3, 0.1, Bound.memory), (1e6, 0.1, Bound.compute), (1e6, 0.6, Bound.overhead)],
)
def test_the_bound(flops: float, overhead: float, bound: Bound) -> None:
    found = Roofline(
        work=StepWork(flops, 1e3, 1e3),
        peak=1e9,
        bandwidth=1e8,
        seconds=1.0,
        overhead=overhead,
        precision="float32",
    )
    assert found.bound is bound


def test_how_far_below_the_roof() -> None:
    found = Roofline(
        work=StepWork(2e6, 1e6, 1e6), peak=1e9, bandwidth=1e8, seconds=0.1, overhead=0.0, precision="float32"
    )
    assert found.intensity == 2
    assert found.roof == 2e8  # memory: 2 operations a byte at 1e8 bytes a second
    assert found.slowdown == pytest.approx(10)


def test_small_data_move_at_the_speed_of_the_cache() -> None:
    known = DevicePeaks("a CPU", {"float32": 1e9}, [(1000, 5e9), (1_000_000, 1e9)])
    assert known.get_bandwidth(900) == 5e9
    assert known.get_bandwidth(2000) == 1e9
    assert known.get_bandwidth(1e9) == 1e9
