"""Searches and pruning."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("search.trials", 0),
        ("search.workers", 1025),
        ("search.seed", -1),
        ("search.confirm", -1),
        ("search.budget_device_seconds", 0.0),
        ("search.timeout", -1.0),
        ("search.max_latency_ms", 0.0),
        ("search.max_parameters", 0),
        ("search.study", "a/b"),
        ("search.study", ""),
        ("search.study", "."),
        ("search.study", ".."),
        ("search.study", "it's"),
        ("search.study", "a:b"),
        ("search.study", "a\tb"),
        ("search.study", 300 * "x"),
        ("search.study", 130 * "ü"),
        ("search.study", "digits (afterwards)"),
        ("pruning.optimism", 0.5),
        ("pruning.least_epochs", 0),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)


def test_the_objective_says_whether_samples_are_corrupted() -> None:
    assert not compose([]).settings.search.under_shift
    assert compose(["search.objective=accuracy_under_shift"]).settings.search.under_shift
