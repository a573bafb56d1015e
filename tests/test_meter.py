"""What a trial holds, and whose a second is."""

import subprocess
import sys

import pytest

from pipeline import meter
from pipeline.errors import BadDevice, BadSetting
from pipeline.measures import Seconds
from pipeline.meter import Held, Stopwatch
from pipeline.quietly import tf
from pipeline.settings import Device, DeviceKind


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What TensorFlow sees, and no NVIDIA driver."""
    seen: list[str] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: seen)
    monkeypatch.setattr(meter, "_nvidia_driver", lambda: False)
    return seen


@pytest.mark.parametrize("kind", [DeviceKind.auto, DeviceKind.cpu])
@pytest.mark.usefixtures("gpus")
def test_the_cpu_is_held_by_the_core(kind: DeviceKind) -> None:
    held = meter.hold(Device(kind, 1))
    assert (held.kind, held.count, held.place) == ("cpu", 1, "/CPU:0")
    assert held.name.endswith(", 1 core")


def test_a_gpu_is_taken_where_there_is_one(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.append("a GPU")
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda _gpu, _on: None)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _gpu: {"device_name": "Some GPU"}
    )
    assert meter.hold(Device(DeviceKind.auto, 1)) == Held("gpu", "Some GPU, 1 GPU", 1, "/GPU:0")
    assert meter.hold(Device(DeviceKind.cpu, 1)).kind == "cpu"
    assert meter.unseen_gpu() is None


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadDevice, match=r"^device=gpu needs a GPU .*, got none; use device=cpu or device=auto$"
    ):
        meter.hold(Device(DeviceKind.gpu, 1))
    monkeypatch.setattr(meter, "_nvidia_driver", lambda: True)
    with pytest.raises(BadDevice, match=r"got none; install .* requirements-gpu.txt$"):
        meter.hold(Device(DeviceKind.gpu, 1))


def test_a_driver_without_a_visible_gpu_is_told(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert meter.unseen_gpu() is None
    monkeypatch.setattr(meter, "_nvidia_driver", lambda: True)
    warning = meter.unseen_gpu()
    assert warning is not None
    assert "\n" not in warning
    assert "requirements-gpu.txt" in warning
    gpus.append("a GPU")
    assert meter.unseen_gpu() is None


def test_threads_cannot_change_once_something_was_computed() -> None:
    tf.constant(1) + 1
    held = tf.config.threading.get_intra_op_parallelism_threads()
    with pytest.raises(BadSetting, match=rf"^device.threads must stay {held} .* got {held + 1}; start a new"):
        meter.hold(Device(DeviceKind.cpu, held + 1))


def test_importing_tensorflow_is_silent_and_starts_no_device() -> None:
    program = (
        "from pipeline import meter; from pipeline.settings import Device, DeviceKind;"
        "assert meter.hold(Device(DeviceKind.cpu, 2)).count == 2"  # threads can still be set
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_stopwatch_adds_up_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    now = iter([10.0, 11.0, 20.0, 22.5, 30.0, 30.25])
    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: events.append("wait"))
    monkeypatch.setattr(meter.time, "perf_counter", lambda: events.append("read") or next(now))
    watch = Stopwatch(Held("cpu", "x", 2, "/CPU:0"))
    for part in ("train", "train", "validate"):
        with watch.on(part):
            events.append("work")
    assert watch.seconds == Seconds(train=3.5, validate=0.25)
    assert watch.device_seconds == 7.0
    assert events[:5] == ["wait", "read", "work", "wait", "read"]


def test_a_block_that_raises_is_not_counted() -> None:
    watch = Stopwatch(Held("cpu", "x", 1, "/CPU:0"))
    with pytest.raises(ValueError, match="no"), watch.on("train"):
        raise ValueError("no")
    assert watch.seconds == Seconds()
