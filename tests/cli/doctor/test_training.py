"""On which devices `doctor` trains."""

from dataclasses import replace

import pytest

from pipeline.cli.doctor import training
from pipeline.cli.doctor.training import ShortTraining
from pipeline.hardware import gpus
from pipeline.hardware.gpus import Gpu
from pipeline.settings.measuring import DeviceKind
from tests.support.tiny import BASE


@pytest.mark.parametrize(
    ("wanted", "seen", "trained"),
    [
        (DeviceKind.auto, 2, ["GPU-0", "GPU-1", "cpu"]),
        (DeviceKind.gpu, 2, ["GPU-0", "GPU-1"]),
        (DeviceKind.cpu, 2, ["cpu"]),
        (DeviceKind.auto, 0, ["auto"]),
        (DeviceKind.gpu, 0, ["gpu"]),
    ],
)
def test_each_device_trains(
    wanted: DeviceKind, seen: int, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "list_gpus", lambda _library: [Gpu(f"GPU-{n}", "A100") for n in range(seen)])
    monkeypatch.setattr(training, "train_apart", lambda _settings, uuid: ShortTraining(uuid, 0.9, 0.1))
    monkeypatch.setattr(
        training,
        "train_briefly",
        lambda settings: ShortTraining(settings.device.kind.value, 0.95, 0.123),
    )
    settings = replace(BASE, device=replace(BASE.device, kind=wanted))
    state, text, _ = training.train_on_each_device(settings)
    assert state == "ok"
    assert [each.partition(":")[0] for each in text.split("; ")] == trained
