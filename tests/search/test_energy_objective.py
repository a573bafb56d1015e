"""Which energy a study is about: what the device tells, or an estimate; never both."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice, SharedGpu
from pipeline.hardware.energy import EnergyReading
from pipeline.search import energy_objective
from pipeline.search.energy_objective import check_energy, settle_energy
from pipeline.settings.settings import Settings

CPU = ClaimedDevice("cpu", "a CPU, 1 core", 1, "/CPU:0")
GPU = ClaimedDevice("gpu", "a GPU", 1, "/GPU:0")
HALF = SharedGpu("gpu", "a GPU", 1, "/GPU:0", share=0.5)
COUNTED, POWER, SILENT = (
    EnergyReading(joules=1.0),
    EnergyReading(watts=40.0),
    EnergyReading(joules=1.0, estimated=True),
)


def asking(*names: str, words: tuple[str, ...] = ()) -> Settings:
    return compose([f"search.objectives=[{','.join(names)}]", *words]).settings


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
    assert settle_energy(asking(*["accuracy", "cost", "energy"]), CPU) == ["accuracy", "cost", name]
    assert settle_energy(asking(*["accuracy", "cost", name, "energy"]), CPU) == ["accuracy", "cost", name]
    check_energy(asking(*["accuracy", "cost", name]), CPU)
    (other,) = {"energy_joules", "estimated_joules"} - {name}
    with pytest.raises(BadSetting) as caught:
        check_energy(asking(*["accuracy", "cost", other]), CPU)
    text = str(caught.value)
    assert text.startswith(f"search.objectives must be what this machine can measure, got {other}")
    assert text.endswith(f"write energy, which is {name} here, or leave it out")


def test_who_asks_for_no_energy_asks_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_objective, "open_gauge", lambda _: pytest.fail("asked"))
    assert settle_energy(asking(*["accuracy", "cost", "latency_ms"]), CPU) == [
        "accuracy",
        "cost",
        "latency_ms",
    ]
    check_energy(asking(*["accuracy", "cost", "latency_ms"]), CPU)


@pytest.mark.parametrize(
    ("words", "device", "refused"),
    [
        ("search.workers=2", CPU, "search.workers must be 1 with energy_joules, got 2: a CPU, 1 core tells "),
        ("cluster=ray", CPU, "cluster.slots must be 1 with energy_joules, got null: "),
        ("cluster=ray cluster.slots=1", CPU, ""),
        ("search.workers=0", CPU, ""),
        ("search.workers=2", GPU, ""),
        ("cluster=ray cluster.slots=1 cluster.share=0.5 device=gpu", HALF, "cluster.share must be 1 with "),
    ],
)
def test_a_counter_of_several_trials_together_is_none_of_one_trial(
    words: str, device: ClaimedDevice, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two trials on one CPU was charged with what both of them had drawn."""
    answer(monkeypatch, SILENT)
    settle_energy(asking("accuracy", "cost", "energy", words=tuple(words.split())), device)
    answer(monkeypatch, COUNTED)
    for name, check in (("energy", settle_energy), ("energy_joules", check_energy)):
        settings = asking("accuracy", "cost", name, words=tuple(words.split()))
        if not refused:
            check(settings, device)
            continue
        with pytest.raises(BadSetting) as caught:
            check(settings, device)
        assert str(caught.value).startswith(refused)
        assert "=1, or leave it out of search.objectives" in str(caught.value)
