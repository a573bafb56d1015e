"""A curve knows which of its states may stand on a frontier."""

import pytest

from pipeline.measures import Curve, Epoch, Point


def epoch(number: int, accuracy: float) -> Epoch:
    return Epoch(
        number=number,
        device_seconds=float(number),
        train_loss=1.0,
        validation_loss=1.0,
        validation_accuracy=accuracy,
        lost_seconds=0.25,
    )


@pytest.mark.parametrize("fair", [True, False])
def test_every_epoch_is_a_point_or_the_last_one_is(fair: bool) -> None:
    curve = Curve("a CPU", fair).with_epoch(epoch(1, 0.5)).with_epoch(epoch(2, 0.7))
    assert curve.last == epoch(2, 0.7)
    assert curve.points == ((Point(0.5, 1.0), Point(0.7, 2.0)) if fair else (Point(0.7, 2.0),))


def test_seconds_that_others_took_are_measured_but_no_cost() -> None:
    assert epoch(3, 0.9).measured_seconds == 3.25
