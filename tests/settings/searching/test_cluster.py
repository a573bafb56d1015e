"""Addresses and slots of a cluster."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.command_line import Overrides
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize("address", ["auto", "local", "head:6379", "10.0.0.7:6379", "gpu-1.lan:20001"])
def test_addresses(address: str) -> None:
    assert exchange("cluster.address", address, "cluster=ray").address == address


@pytest.mark.parametrize(
    "address", ["", "head", "ray://head:10001", "http://head:8265", "head:port", "a b:1"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(BadSetting, match=remedy("cluster.address")):
        exchange("cluster.address", address, "cluster=ray")


@pytest.mark.parametrize("slots", [0, -1, 100_001])
def test_slots_are_counted_from_one(slots: int) -> None:
    with pytest.raises(BadSetting, match=remedy("cluster.slots")):
        exchange("cluster.slots", slots, "cluster=ray")


@pytest.mark.parametrize(
    ("key", "value"), [("address", "head:6379"), ("slots", 4), ("share", 0.5), ("insecure", "true")]
)
def test_what_only_a_cluster_heeds_is_refused_without_one(key: str, value: object) -> None:
    """Else the sweep would run on the machine where it was typed, one trial at a time, and not say so."""
    with pytest.raises(
        BadSetting, match=rf"^cluster\.{key} must be \S+ without a cluster, got .*; add cluster=ray"
    ):
        compose([f"cluster.{key}={value}"])


def test_a_cluster_is_no_part_of_a_trial() -> None:
    words = Overrides(("cluster=ray", "cluster.slots=4", "data=mnist"))
    assert tuple(words.trial_part()) == ("data=mnist",)
