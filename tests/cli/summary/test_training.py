"""What a person reads of a training at the end of a command."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli.summary.rows import Rows
from pipeline.cli.summary.training import list_contention, list_prices, list_training
from pipeline.measures import Epoch, PowerDraw
from pipeline.training.train import Trained
from tests.support import tiny


def price_rows(made: Trained) -> Rows:
    return list_prices(made.curve.last, made.settings.price, made.energy.watts)


QUIET = Epoch(number=1, device_seconds=1800.0, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5)


def test_the_epoch_whose_weights_count_is_named_where_it_is_not_the_last() -> None:
    record: Any = SimpleNamespace(cost_metric="cpu_seconds")
    whole = tiny.trained("", QUIET, replace(QUIET, number=2, validation_accuracy=0.4))
    kept = replace(whole, chosen_epoch=QUIET)
    lines = [list_training(made, made.seconds, record)[0][1] for made in (whole, kept)]
    assert lines[0].endswith("for 2 epochs of training")
    assert lines[1].endswith("for 2 epochs of training; the weights are those of epoch 1")


def test_a_price_and_energy_are_shown_where_they_are_known() -> None:
    assert price_rows(tiny.trained("", QUIET)) == []
    known = tiny.trained("price.per_hour=3", replace(QUIET, joules=90.0), drawn=PowerDraw(90.0, 30.0))
    assert price_rows(known) == [
        ("price", "1.5 USD at 3.0 USD an hour of one device"),
        ("energy", "90 J, 30 W on average"),
    ]
    assert price_rows(tiny.trained("price.per_hour=0", QUIET))[0][1].startswith("0 USD")
    paid = replace(QUIET, joules=3.6e5)  # half of it by the run that this one goes on from
    measured = price_rows(tiny.trained("price.carbon=400", paid, drawn=PowerDraw(1.8e5, 30.0)))
    assert measured[-1] == ("carbon", "40 g CO2 at 400 g a kWh")
    guessed = price_rows(
        tiny.trained(
            "price.carbon=400",
            replace(paid, joules_estimated=True),
            drawn=PowerDraw(3.6e5, 30.0, estimated=True),
        )
    )
    assert guessed == [
        ("energy", "360,000 J, 30 W on average; [yellow]an estimate, the device tells nothing[/]"),
        ("carbon", "40 g CO2 at 400 g a kWh of an estimate"),
    ]


@pytest.mark.parametrize(
    ("lost", "words"),
    [(2.5, "2.50 s that others took are not in the cost"), (0.0, "the cost may be too high")],
)
def test_a_neighbour_is_named(lost: float, words: str) -> None:
    disturbed = Epoch(
        number=2,
        device_seconds=3600.0,
        train_loss=1.0,
        validation_loss=1.0,
        validation_accuracy=0.6,
        contended=True,
        core_share=0.5,
        lost_seconds=lost,
    )
    assert list_contention([QUIET]) == []
    ((name, text),) = list_contention([QUIET, disturbed])
    assert name == "contended"
    assert f"others used the device in 1 of 2 epochs; {words}" in text
