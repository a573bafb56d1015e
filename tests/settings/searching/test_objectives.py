"""The table of objectives: costs, values and how they are read."""

from dataclasses import replace

import pytest

from pipeline.settings.searching.objectives import FIRST, FURTHER, OBJECTIVES


def test_accuracy_and_cost_come_first() -> None:
    assert tuple(OBJECTIVES)[:2] == FIRST
    assert set(FURTHER) == set(OBJECTIVES) - set(FIRST)
    assert all(name == kind.name for name, kind in OBJECTIVES.items())


def test_what_is_better_large_becomes_a_cost() -> None:
    share = replace(
        OBJECTIVES["latency_ms"], name="balanced_accuracy", label="balanced accuracy", unit="", maximise=True
    )
    assert share.to_cost(0.95) == pytest.approx(0.05)
    assert share.to_value(share.to_cost(0.95)) == pytest.approx(0.95)
    assert share.format(0.05) == "95.00%"


@pytest.mark.parametrize(
    ("name", "cost", "text", "bare", "heading"),
    [
        ("latency_ms", 0.2134, "0.213 ms", "0.213", "latency (ms)"),
        ("parameters", 397510.0, "397,510", "397,510", "parameters"),
        ("size_mb", 1.6, "1.6 MB", "1.6", "model size (MB)"),
        ("energy_joules", 12.0, "12 J", "12", "energy (J)"),
        ("accuracy_under_attack", 0.25, "75.00%", "75.00%", "accuracy under attack"),
    ],
)
def test_values_have_units(name: str, cost: float, text: str, bare: str, heading: str) -> None:
    kind = OBJECTIVES[name]
    assert (kind.format(cost), kind.format(cost, with_unit=False), kind.heading) == (text, bare, heading)
