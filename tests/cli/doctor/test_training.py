"""On which devices `doctor` trains."""

import multiprocessing
from dataclasses import replace

import pytest

from pipeline.backend import tf
from pipeline.cli.compose import compose
from pipeline.cli.doctor import training
from pipeline.cli.doctor.training import ShortTraining
from pipeline.errors import FulcrumError
from pipeline.hardware import gpus
from pipeline.hardware.gpus import Gpu
from pipeline.settings.measuring import DeviceKind
from pipeline.settings.settings import Settings
from tests.support.tiny import BASE

GPUS = ["GPU-0", "GPU-1"]


@pytest.mark.parametrize(
    ("wanted", "seen", "trained"),
    [
        (DeviceKind.auto, GPUS, ["gpu in GPU-0", "gpu in GPU-1", "cpu in -1"]),
        (DeviceKind.gpu, GPUS, ["gpu in GPU-0", "gpu in GPU-1"]),
        (DeviceKind.cpu, GPUS, ["cpu in here"]),
        (DeviceKind.auto, [], ["auto in here"]),
        (DeviceKind.gpu, [], ["gpu in here"]),
    ],
)
def test_each_device_trains_that_cuda_shows(
    wanted: DeviceKind, seen: list[str], trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def list_gpus(_library: object, visible: str | None) -> list[Gpu]:
        assert visible == "0,1"
        return [Gpu(uuid, "A100") for uuid in seen]

    def train(settings: Settings, place: str = "here") -> ShortTraining:
        return ShortTraining(f"{settings.device.kind.value} in {place}", 0.95, 0.123)

    monkeypatch.setenv(gpus.VISIBLE, "0,1")
    monkeypatch.setattr(gpus, "list_gpus", list_gpus)
    monkeypatch.setattr(training, "train_apart", train)
    monkeypatch.setattr(training, "train_briefly", train)
    settings = replace(BASE, device=replace(BASE.device, kind=wanted))
    state, text, _ = training.train_on_each_device(settings)
    assert state == "ok"
    assert [each.partition(":")[0] for each in text.split("; ")] == trained


def test_a_gpu_that_cannot_train_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(_settings: Settings, place: str) -> ShortTraining:
        if place == "GPU-0":
            raise FulcrumError("its process ended with exit code -6")
        return ShortTraining(place, 0.95, 0.123)

    monkeypatch.setattr(gpus, "list_gpus", lambda *_: [Gpu(uuid, "A100") for uuid in GPUS])
    monkeypatch.setattr(training, "train_apart", train)
    state, text, remedy = training.train_on_each_device(
        replace(BASE, device=replace(BASE.device, kind=DeviceKind.auto))
    )
    assert state == "fails"
    assert text.startswith("GPU-1: 95.0% on digits")
    assert text.endswith("GPU-0 cannot train: its process ended with exit code -6")
    assert remedy


def of_kind(kind: DeviceKind) -> Settings:
    return replace(BASE, device=replace(BASE.device, kind=kind))


def test_a_training_apart_says_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "0")  # put back at the end
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: [])
    answers, theirs = multiprocessing.Pipe(duplex=False)
    training._train_and_send(theirs, of_kind(DeviceKind.gpu), training.NO_GPU)
    assert str(answers.recv()).startswith("device=gpu needs a GPU that TensorFlow sees, got none")


@pytest.mark.slow
def test_a_training_apart_comes_back_with_its_result() -> None:
    settings = compose(["device=cpu", "train.epochs=2", "model.hidden=4"]).settings
    assert training.train_apart(settings, training.NO_GPU).device.endswith("core")
