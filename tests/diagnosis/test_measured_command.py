"""What a command line came to over its seeds, and how overrides change it."""

import pytest

from pipeline.diagnosis.bottleneck import Words
from pipeline.diagnosis.measured_command import (
    MeasuredCommand,
    apply_overrides,
    count_epochs,
    list_accuracies,
    list_costs,
)
from pipeline.measures import Curve, Epoch, Point


def curve(*accuracies: float) -> Curve:
    epochs = tuple(
        Epoch(
            number=number,
            device_seconds=2.0 * number,
            train_loss=0.1,
            validation_loss=0.1,
            validation_accuracy=accuracy,
        )
        for number, accuracy in enumerate(accuracies, start=1)
    )
    return Curve("a CPU", True, epochs)


def test_curves_count_up_to_the_shortest_and_at_the_epoch_asked_for() -> None:
    curves = (curve(0.5, 0.7, 0.8), curve(0.6, 0.9))
    assert count_epochs(curves) == 2
    assert list_accuracies(curves, 2) == [0.7, 0.9]
    assert list_costs(curves, 1) == (2.0, 2.0)


def test_the_point_is_the_mean_of_seeds_and_the_geometric_mean_of_timings() -> None:
    measured = MeasuredCommand((), (curve(0.5, 0.7), curve(0.6, 0.9)), 2, (1.0, 2.0, 4.0))
    assert measured.accuracies == [0.7, 0.9]
    assert measured.point == Point(pytest.approx(0.8), pytest.approx(2.0))


@pytest.mark.parametrize(
    ("words", "overrides", "wanted"),
    [
        (("a.b=1", "c=2"), ("a.b=3",), ("c=2", "a.b=3")),
        (("optimizer=sgd", "optimizer.momentum=0.9"), ("optimizer=adam",), ("optimizer=adam",)),
        (("experiment=article",), ("model.hidden=9",), ("experiment=article", "model.hidden=9")),
    ],
)
def test_overrides_take_the_place_of_what_they_exchange(
    words: Words, overrides: Words, wanted: Words
) -> None:
    assert apply_overrides(words, overrides) == wanted
