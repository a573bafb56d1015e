"""How a diagnosis is made."""

import pytest

from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("diagnose.seeds", 1),
        ("diagnose.steps", 0),
        ("diagnose.minutes", 0.0),
        ("diagnose.tolerance", 1.0),
        ("diagnose.confidence", 0.4),
        ("diagnose.accuracy_confidence", 1.0),
        ("diagnose.least_gain", 0.0),
        ("diagnose.retimed", 1.1),
        ("diagnose.save", "no-name"),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)
