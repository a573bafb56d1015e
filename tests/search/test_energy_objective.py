"""Which energy a study is about: what the device tells, or an estimate; never both."""

import pytest

from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import EnergyReading
from pipeline.search import energy_objective
from pipeline.search.energy_objective import check_energy, settle_energy

CPU = ClaimedDevice("cpu", "a CPU, 1 core", 1, "/CPU:0")
COUNTED, POWER, SILENT = (
    EnergyReading(joules=1.0),
    EnergyReading(watts=40.0),
    EnergyReading(joules=1.0, estimated=True),
)


def answer(monkeypatch: pytest.MonkeyPatch, reading: EnergyReading) -> None:
    class Gauge:
        def read(self) -> EnergyReading:
            return reading

    monkeypatch.setattr(energy_objective, "open_gauge", lambda _: Gauge())


@pytest.mark.parametrize(
    ("reading", "name"),
    [(COUNTED, "energy_joules"), (POWER, "energy_joules"), (SILENT, "estimated_joules")],
)
def test_energy_is_what_the_device_can_give(
    reading: EnergyReading, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, reading)
    assert settle_energy(["accuracy", "cost", "energy"], CPU) == ["accuracy", "cost", name]
    assert settle_energy(["accuracy", "cost", name, "energy"], CPU) == ["accuracy", "cost", name]
    check_energy(["accuracy", "cost", name], CPU)
    (other,) = {"energy_joules", "estimated_joules"} - {name}
    with pytest.raises(BadSetting) as caught:
        check_energy(["accuracy", "cost", other], CPU)
    text = str(caught.value)
    assert text.startswith(f"search.objectives must be what this machine can measure, got {other}")
    assert text.endswith(f"write energy, which is {name} here, or leave it out")


def test_who_asks_for_no_energy_asks_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_objective, "open_gauge", lambda _: pytest.fail("asked"))
    assert settle_energy(["accuracy", "cost", "latency_ms"], CPU) == ["accuracy", "cost", "latency_ms"]
    check_energy(["accuracy", "cost", "latency_ms"], CPU)
