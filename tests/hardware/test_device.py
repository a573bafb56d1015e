"""What a trial holds, and whose a second is."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipeline.backend import tf
from pipeline.errors import BadDevice, BadSetting
from pipeline.hardware import cpu_cores, device
from pipeline.hardware.contention import Reading, Verdict
from pipeline.hardware.device import Held, Stopwatch
from pipeline.hardware.energy import Level, Silent
from pipeline.measures import Drawn, Seconds
from pipeline.settings.measuring import Device, DeviceKind


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The GPUs that TensorFlow was told to use, call by call."""
    calls: list[object] = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, _kind: calls.append(devices))
    return calls


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, shown: list[object]) -> list[str]:  # noqa: ARG001
    """What TensorFlow sees, and no NVIDIA driver."""
    seen: list[str] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: seen)
    monkeypatch.setattr(device, "_nvidia_driver", lambda: False)
    return seen


@pytest.mark.parametrize("kind", [DeviceKind.auto, DeviceKind.cpu])
@pytest.mark.usefixtures("gpus")
def test_the_cpu_is_held_by_the_core(kind: DeviceKind) -> None:
    held = device.claim_device(Device(kind, 1, False))
    assert (held.kind, held.count, held.place) == ("cpu", 1, "/CPU:0")
    assert held.name.endswith(", 1 core")


def test_a_gpu_is_taken_where_there_is_one(
    gpus: list[str], shown: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.append("a GPU")
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda _gpu, _on: None)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _gpu: {"device_name": "Some GPU"}
    )
    assert device.claim_device(Device(DeviceKind.auto, 1, True)) == Held(
        "gpu", "Some GPU, 1 GPU", 1, "/GPU:0"
    )
    assert device.claim_device(Device(DeviceKind.cpu, 1, True)).kind == "cpu"
    assert shown == ["a GPU", []]  # one GPU, not all; then none
    assert device.unseen_gpu() is None


def test_a_process_that_computed_without_gpus_cannot_take_one(
    gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(_devices: object, _kind: str) -> None:
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    gpus.append("a GPU")
    monkeypatch.setattr(tf.config, "set_visible_devices", too_late)
    with pytest.raises(BadSetting, match=r"^device.kind must stay cpu .* start a new process$"):
        device.claim_device(Device(DeviceKind.gpu, 1, False))
    assert device.claim_device(Device(DeviceKind.cpu, 1, False)).kind == "cpu"  # harmless the other way round


@pytest.mark.usefixtures("gpus")
def test_settling_binds_to_cores_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    monkeypatch.setattr(cpu_cores, "pin", lambda count: held.extend(range(5, 5 + count)))
    monkeypatch.setattr(cpu_cores, "held", lambda: tuple(held))
    assert device.claim_and_pin_device(Device(DeviceKind.cpu, 1, False)).cores == ()
    assert device.claim_and_pin_device(Device(DeviceKind.auto, 1, True)).cores == (5,)


def test_settling_on_a_gpu_binds_nothing(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.append("a GPU")
    monkeypatch.setattr(device, "_hold_gpu", lambda gpu: Held("gpu", gpu, 1, "/GPU:0"))
    monkeypatch.setattr(cpu_cores, "pin", lambda _count: pytest.fail("bound"))
    assert device.claim_and_pin_device(Device(DeviceKind.auto, 1, True)).cores == ()


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadDevice, match=r"^device=gpu needs a GPU .*, got none; use device=cpu or device=auto$"
    ):
        device.claim_device(Device(DeviceKind.gpu, 1, False))
    monkeypatch.setattr(device, "_nvidia_driver", lambda: True)
    with pytest.raises(BadDevice, match=r"got none; install .* requirements-gpu.txt$"):
        device.claim_device(Device(DeviceKind.gpu, 1, False))


def test_a_driver_without_a_visible_gpu_is_told(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.unseen_gpu() is None
    monkeypatch.setattr(device, "_nvidia_driver", lambda: True)
    warning = device.unseen_gpu()
    assert warning is not None
    assert "\n" not in warning
    assert "requirements-gpu.txt" in warning
    gpus.append("a GPU")
    assert device.unseen_gpu() is None


def test_threads_cannot_change_once_something_was_computed() -> None:
    tf.constant(1) + 1
    held = tf.config.threading.get_intra_op_parallelism_threads()
    with pytest.raises(BadSetting, match=rf"^device.threads must stay {held} .* got {held + 1}; start a new"):
        device.claim_device(Device(DeviceKind.cpu, held + 1, False))


def test_importing_tensorflow_is_silent_and_starts_no_device() -> None:
    program = (
        "from pipeline.hardware import device; from pipeline.settings.measuring import Device, DeviceKind;"
        "assert device.claim_device(Device(DeviceKind.cpu, 2, False)).count == 2"  # threads can still be set
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_stopwatch_adds_up_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    now = iter([10.0, 11.0, 20.0, 22.5, 30.0, 30.25])
    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: events.append("wait"))
    monkeypatch.setattr(device.time, "perf_counter", lambda: events.append("read") or next(now))
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


class Recorded:
    """A CPU that draws 30 W, and a process that gets half of its core in the second of three epochs."""

    def __init__(self) -> None:
        self._readings = iter(
            [
                Reading(0.0, 0.0, 0.0),
                Reading(2.0, 2.0, 0.0),
                Reading(5.0, 2.0, 0.0),
                Reading(9.0, 4.0, 2.0),
                Reading(9.0, 4.0, 2.0),
                Reading(11.0, 6.0, 2.0),
            ]
        )
        self._joules = iter([0.0, 60.0, 60.0, 180.0, 180.0, 240.0])

    def read(self) -> Reading:
        return next(self._readings)

    def gauge(self) -> "RecordedGauge":
        return RecordedGauge(self._joules)


class RecordedGauge:
    def __init__(self, joules: Iterator[float]) -> None:
        self._joules = joules

    def read(self) -> Level:
        return Level(joules=next(self._joules))

    def strangers(self) -> None:
        return None


def test_what_others_took_is_measured_but_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 5.0, 9.0, 9.0, 11.0])
    monkeypatch.setattr(device.time, "perf_counter", lambda: next(now))
    recorded = Recorded()
    watch = Stopwatch(Held("cpu", "x", 1, "/CPU:0"), recorded, recorded.gauge())
    told = []
    for _ in range(3):
        with watch.on_epoch():
            pass
        told.append((watch.verdict, watch.device_seconds, watch.lost_seconds))
    assert told == [
        (Verdict(False, 1.0), 2.0, 0.0),
        (Verdict(True, 0.5), 4.0, 2.0),
        (Verdict(False, 1.0), 6.0, 2.0),
    ]
    assert watch.seconds.train == 8.0
    assert watch.drawn.joules == 240.0


def test_a_gpu_that_tells_nothing_is_a_device_like_any_other() -> None:
    watch = Stopwatch(Held("gpu", "x", 1, "/GPU:0"), gauge=Silent())
    with watch.on_epoch():
        pass
    assert (watch.verdict, watch.drawn, watch.lost_seconds) == (Verdict(False, None), Drawn(), 0.0)


class Neighbour:
    """An epoch of one second that got half of its core, then laps of which two in three are clean."""

    def __init__(self) -> None:
        self.now, self.delayed, self._lap = 0.0, 0.0, 0

    def read(self) -> Reading:
        return Reading(self.now, self.now - self.delayed, self.delayed)

    def epoch(self) -> None:
        self.now, self.delayed = self.now + 1.0, self.delayed + 0.5

    def lap(self, steps: int) -> None:
        self._lap += 1
        taken = 0.01 if self._lap % 3 == 0 else 0.0
        self.now, self.delayed = self.now + 0.001 + 0.004 * steps + taken, self.delayed + taken


def test_short_repeats_tell_what_a_disturbed_epoch_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    neighbour = Neighbour()
    monkeypatch.setattr(device.time, "perf_counter", lambda: neighbour.now)
    watch = Stopwatch(Held("cpu", "x", 1, "/CPU:0"), neighbour, Silent())
    with watch.on_epoch():
        neighbour.epoch()
    assert watch.device_seconds == pytest.approx(0.5)  # by the share of the core
    watch.repeat(neighbour.lap, steps=100)
    assert watch.device_seconds == pytest.approx(0.4)  # 100 steps of 4 ms, without what a call costs
    assert watch.seconds.train == 1.0


def test_an_epoch_that_nobody_disturbed_is_not_repeated() -> None:
    neighbour = Neighbour()
    watch = Stopwatch(Held("cpu", "x", 1, "/CPU:0"), neighbour, Silent())
    with watch.on_epoch():
        neighbour.now += 1.0
    watch.repeat(lambda _: pytest.fail("repeated"), steps=100)
