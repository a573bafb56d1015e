"""The table of measures: what is written of each, and how it spreads."""

import math

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.settings.search import Objective
from pipeline.settings.searching.measures import MEASURES, find_measure


def test_every_objective_is_a_measure() -> None:
    assert {objective.value for objective in Objective} <= set(MEASURES)
    assert all(name == measure.name for name, measure in MEASURES.items())
    with pytest.raises(BadInput, match=r"search\.objective must be accuracy, .*, got fluency; read"):
        find_measure("fluency")


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("accuracy", ("95.13%", "1.30", "-0.50 points", "99.5%")),
        ("r2", ("0.9513", "0.0130", "-0.0050", "0.995")),
    ],
)
def test_a_measure_is_written_in_its_own_way(name: str, texts: tuple[str, ...]) -> None:
    measure = MEASURES[name]
    written = measure.format(0.95126), measure.format_width(0.013), measure.format_change(-0.005)
    assert (*written, measure.format_tick(0.995)) == texts


def test_what_is_nearly_all_or_nothing_is_written_as_that() -> None:
    accuracy, r2 = MEASURES["accuracy"], MEASURES["r2"]
    assert [accuracy.format(0.99997), r2.format(0.99997), r2.format(-0.00001)] == [
        ">99.99%",
        ">0.9999",
        "0.0000",
    ]
    assert [accuracy.format_width(0.00003), r2.format_width(0.00003)] == ["0.003", "3e-05"]
    assert [accuracy.format_change(-0.00001), r2.format_change(-0.00001)] == ["+0.00 points", "+0.0000"]
    assert [accuracy.format_apart(0.94998, 0.95), accuracy.format_apart(0.94, 0.95)] == ["94.998%", "94.00%"]
    assert accuracy.format_apart(0.95 - 3e-10, 0.95) == "95.00%"  # the mean of three that were rounded
    assert [r2.format_apart(0.94998, 0.95), r2.format_apart(0.95, None)] == ["0.94998", "0.9500"]


def test_the_rows_of_a_split_make_r2_uncertain_as_olkin_and_finn_say() -> None:
    """Drawn: the standard deviation of R2 of the best line over many splits of 200 rows."""
    rng, rows, share = np.random.default_rng(0), 200, 0.6
    x = rng.normal(size=(4000, rows))
    y = math.sqrt(share) * x + math.sqrt(1 - share) * rng.normal(size=x.shape)
    rest = np.square(y - math.sqrt(share) * x).mean(1)
    r2 = 1 - rest / y.var(axis=1)
    assert math.sqrt(MEASURES["r2"].compute_variance(share, rows)) == pytest.approx(r2.std(), rel=0.1)


def test_chance_and_bounds() -> None:
    accuracy, r2 = MEASURES["accuracy"], MEASURES["r2"]
    assert accuracy.compute_chance_level(0.54, 100) == pytest.approx(0.54 + 1.644854 * 0.0498397)
    assert r2.compute_chance_level(0.0, 100) == pytest.approx(0.0270555, rel=1e-4)
    assert (accuracy.lowest, r2.lowest) == (0.0, -math.inf)
    assert r2.compute_luck(1.7, 100) == 0.0  # worse than the mean is no luck
