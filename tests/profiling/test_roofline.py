"""Counts of a step against counts by hand, and which roof holds."""

import pytest

from pipeline.profiling.roofline import Bound, Ceilings, Roofline, Work, step_work


def test_work_of_a_step_counted_by_hand() -> None:
    """Layers 4-3-2, batch 5, plain SGD, float32."""
    work = step_work((4, 3, 2), 5, memories=0, narrow=4, wide=4, sample=1)
    forward = 2 * 5 * (4 * 3 + 3 * 2)
    backward = 2 * 5 * (4 * 3 + 3 * 2) + 2 * 5 * 3 * 2  # by the weights of both layers, by the hidden layer
    parameters = 4 * 3 + 3 + 3 * 2 + 2
    assert work.flops == forward + backward + 2 * parameters
    assert work.update_flops == 2 * parameters
    weights = 4 * (12 + 6) + 4 * 6
    assert work.bytes == weights + 4 * parameters * 2 + 4 * 4 * 5 * 5 + 5 * 4
    assert work.resident == 4 * parameters


def test_adam_moves_its_memories_too() -> None:
    plain, adam = (step_work((4, 3, 2), 5, memories, 4, 4, 4) for memories in (0, 2))
    assert adam.bytes - plain.bytes == 4 * 23 * 4
    assert adam.resident == 3 * plain.resident


@pytest.mark.parametrize(
    ("flops", "overhead", "bound"),
    [(1e3, 0.1, Bound.memory), (1e6, 0.1, Bound.compute), (1e6, 0.6, Bound.overhead)],
)
def test_the_bound(flops: float, overhead: float, bound: Bound) -> None:
    found = Roofline(Work(flops, 1e3, 1e3), 1e9, 1e8, 1.0, overhead, "float32")
    assert found.bound is bound


def test_how_far_below_the_roof() -> None:
    found = Roofline(Work(2e6, 1e6, 1e6), 1e9, 1e8, 0.1, 0.0, "float32")
    assert found.intensity == 2
    assert found.roof == 2e8  # memory: 2 operations a byte at 1e8 bytes a second
    assert found.far == pytest.approx(10)


def test_small_data_move_at_the_speed_of_the_cache() -> None:
    known = Ceilings("a CPU", {"float32": 1e9}, [(1000, 5e9), (1_000_000, 1e9)])
    assert known.bytes_a_second(900) == 5e9
    assert known.bytes_a_second(2000) == 1e9
    assert known.bytes_a_second(1e9) == 1e9
