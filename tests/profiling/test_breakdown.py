"""From rungs of a ladder to shares that make up the whole."""

import pytest

from pipeline.profiling.breakdown import (
    Breakdown,
    Part,
    Rung,
    Span,
    split_answer,
    split_epoch,
    summarise_seconds,
)


def ladder(*heights: float) -> dict[Rung, list[float]]:
    """Five rounds that differ a little; the median is the height."""
    wobble = (0.98, 0.99, 1.0, 1.01, 1.02)
    return {rung: [height * each for each in wobble] for rung, height in zip(Rung, heights, strict=True)}


def test_what_a_rung_adds_beyond_its_twin_is_work_and_the_twin_is_overhead() -> None:
    parts = split_epoch(ladder(3, 6, 10, 11), ladder(1, 1.5, 2, 2.2))
    seconds = {part.value: round(found.seconds, 6) for part, found in parts.items()}
    assert seconds == {"input": 0.8, "forward": 2.0, "backward": 2.5, "update": 3.5, "overhead": 2.2}
    assert sum(seconds.values()) == pytest.approx(11)
    assert all(found.low <= found.high for found in parts.values())


def test_a_rung_above_which_is_cheaper_costs_nothing_of_its_own() -> None:
    """Stored gradients can cost more than gradients that are fused with their update."""
    parts = split_epoch(ladder(4, 12, 10, 10), ladder(0, 0, 0, 0))
    assert parts[Part.update].seconds == 0
    assert parts[Part.backward].seconds == pytest.approx(6)
    assert sum(found.seconds for found in parts.values()) == pytest.approx(10)


def test_noise_below_zero_is_nothing() -> None:
    parts = split_epoch(ladder(5, 5, 5, 5), ladder(1, 2, 3, 4))
    assert min(found.seconds for found in parts.values()) == 0


def test_an_answer_is_overhead_and_compute() -> None:
    parts = split_answer([10.0, 11.0, 12.0], [7.0, 7.5, 8.0])
    assert parts[Part.overhead].seconds == 7.5
    assert parts[Part.compute].seconds == pytest.approx(3.5)


def test_what_the_parts_leave_over_is_told() -> None:
    whole = Span(10.0, 9.0, 11.0, "")
    parts = {Part.forward: Span(6.0, 6.0, 6.0, ""), Part.overhead: Span(3.0, 3.0, 3.0, "")}
    found = Breakdown(of="epoch", whole=whole, parts=parts, beside={}, steps=5, loop="xla", device="a CPU")
    assert found.share(Part.forward) == 0.6
    assert found.share(Part.update) == 0.0
    assert found.unexplained == pytest.approx(0.1)


def test_a_single_measurement_has_no_spread() -> None:
    assert summarise_seconds([2.0], "once") == Span(2.0, 2.0, 2.0, "once")
