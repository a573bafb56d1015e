"""Evaluation, timing, device and price."""

import re

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.addresses import CONF
from tests.settings.refusals import exchange, remedy


def test_a_price_turns_device_seconds_into_money() -> None:
    assert compose([]).settings.price.of(7200) is None
    assert compose(["price.per_hour=1.5"]).settings.price.of(7200) == 3.0
    assert compose(["price.carbon=400"]).settings.price.weigh_carbon(1.8e6) == 200.0  # half a kWh
    assert compose(["price.carbon=400"]).settings.price.weigh_carbon(None) is None
    assert compose([]).settings.price.weigh_carbon(1.8e6) is None
    assert compose(["price=a100"]).settings.price.watts == 400
    for path in CONF.glob("price/*.yaml"):
        price = compose([f"price={path.stem}"]).settings.price
        assert (price.per_hour is None) == (path.stem == "none")
        assert price.currency == "usd"
        assert price.per_hour is None or re.search(r"per_hour: .* # .+ of 20\d\d-\d\d", path.read_text())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("evaluate.severities", []),
        ("evaluate.severities", [0, 1]),
        ("evaluate.shift_seed", -1),
        ("evaluate.calibration_bins", 1),
        ("evaluate.worst", 101),
        ("evaluate.saliency", 17),
        ("evaluate.attack_epsilon", -0.1),
        ("evaluate.attack_epsilon", 101),
        ("evaluate.attack_steps", 0),
        ("evaluate.attack_restarts", 0),
        ("profile.repeats", 9),
        ("profile.warmup", 0),
        ("profile.batch_sizes", []),
        ("profile.batch_sizes", [2**20 + 1]),
        ("device.threads", 0),
        ("price.per_hour", -0.1),
        ("price.currency", "US$"),
        ("price.watts", 0),
        ("price.carbon", -1),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)
