"""The device that a trial claims."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.backend import tf
from pipeline.errors import BadDevice, BadSetting
from pipeline.hardware import cpu_cores, device, unseen_gpus
from pipeline.hardware import gpus as nvidia
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import SilentGauge
from pipeline.hardware.gpus import VISIBLE, Gpu
from pipeline.hardware.stopwatch import Stopwatch
from pipeline.measures import Seconds
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
    monkeypatch.setattr(unseen_gpus, "has_nvidia_driver", lambda: False)
    return seen


@pytest.mark.parametrize("kind", [DeviceKind.auto, DeviceKind.cpu])
@pytest.mark.usefixtures("gpus")
def test_the_cpu_is_held_by_the_core(kind: DeviceKind) -> None:
    held = device.claim_device(Device(kind, 1, False, 1))
    assert (held.kind, held.count, held.tf_device) == ("cpu", 1, "/CPU:0")
    assert held.name.endswith(", 1 core")


def test_a_gpu_is_taken_where_there_is_one(
    gpus: list[str], shown: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.append("a GPU")
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda _gpu, _on: None)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _gpu: {"device_name": "Some GPU"}
    )
    assert device.claim_device(Device(DeviceKind.auto, 1, True, 1)) == ClaimedDevice(
        "gpu", "Some GPU, 1 GPU", 1, "/GPU:0"
    )
    assert device.claim_device(Device(DeviceKind.cpu, 1, True, 1)).kind == "cpu"
    assert shown == [["a GPU"], []]  # one GPU, not all; then none
    assert device.explain_unseen_gpu() is None


def test_a_process_that_computed_without_gpus_cannot_take_one(
    gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(_devices: object, _kind: str) -> None:
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    gpus.append("a GPU")
    monkeypatch.setattr(tf.config, "set_visible_devices", too_late)
    with pytest.raises(BadSetting, match=r"^device.kind must stay cpu .* start a new process$"):
        device.claim_device(Device(DeviceKind.gpu, 1, False, 1))
    assert (
        device.claim_device(Device(DeviceKind.cpu, 1, False, 1)).kind == "cpu"
    )  # harmless the other way round


@pytest.mark.usefixtures("gpus")
def test_settling_binds_to_cores_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    monkeypatch.setattr(cpu_cores, "claim_cores", lambda count: held.extend(range(5, 5 + count)))
    monkeypatch.setattr(cpu_cores, "get_claimed_cores", lambda: tuple(held))
    assert device.claim_device(Device(DeviceKind.cpu, 1, False, 1), pin=True).cores == ()
    assert device.claim_device(Device(DeviceKind.auto, 1, True, 1), pin=True).cores == (5,)


def test_settling_on_a_gpu_binds_nothing(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.append("a GPU")
    monkeypatch.setattr(device, "_claim_gpus", lambda seen, _: ClaimedDevice("gpu", seen[0], 1, "/GPU:0"))
    monkeypatch.setattr(cpu_cores, "claim_cores", lambda _count: pytest.fail("bound"))
    assert device.claim_device(Device(DeviceKind.auto, 1, True, 1), pin=True).cores == ()


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadDevice, match=r"^device=gpu needs a GPU .*, got none; use device=cpu or device=auto$"
    ):
        device.claim_device(Device(DeviceKind.gpu, 1, False, 1))
    monkeypatch.setattr(unseen_gpus, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(unseen_gpus, "DRIVER_FILES", (Path("/dev/null"),))
    monkeypatch.delenv(VISIBLE, raising=False)
    with pytest.raises(BadDevice, match=r"got none; install .* requirements-gpu.txt$"):
        device.claim_device(Device(DeviceKind.gpu, 1, False, 1))


def test_a_driver_without_a_visible_gpu_is_told(gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.explain_unseen_gpu() is None
    monkeypatch.setattr(unseen_gpus, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(unseen_gpus, "DRIVER_FILES", (Path("/dev/null"),))
    monkeypatch.delenv(VISIBLE, raising=False)
    warning = device.explain_unseen_gpu()
    assert warning is not None
    assert "\n" not in warning
    with monkeypatch.context() as patched:
        patched.setattr(tf.sysconfig, "get_build_info", lambda: {"is_cuda_build": False})
        assert "this build of TensorFlow has no CUDA; install" in str(device.explain_unseen_gpu())
    assert "requirements-gpu.txt" in warning
    assert device.explain_unseen_gpu(DeviceKind.cpu) is None, "whoever asks for the CPU misses nothing"
    gpus.append("a GPU")
    assert device.explain_unseen_gpu() is None


def test_threads_cannot_change_once_something_was_computed() -> None:
    tf.constant(1) + 1
    held = tf.config.threading.get_intra_op_parallelism_threads()
    with pytest.raises(BadSetting, match=rf"^device.threads must stay {held} .* got {held + 1}; start a new"):
        device.claim_device(Device(DeviceKind.cpu, held + 1, False, 1))


@pytest.mark.slow
def test_importing_tensorflow_is_silent_and_starts_no_device() -> None:
    program = (
        "from pipeline.hardware import device; from pipeline.settings.measuring import Device, DeviceKind;"
        # Threads can still be set.
        "assert device.claim_device(Device(DeviceKind.cpu, 2, False, 1)).count == 2"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_several_gpus_are_one_device(
    gpus: list[str], shown: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus += ["one GPU", "another", "a third"]
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda _gpu, _on: None)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _gpu: {"device_name": "Some GPU"}
    )
    held = device.claim_device(Device(DeviceKind.gpu, 1, False, 2))
    assert held == ClaimedDevice("gpu", "Some GPU, 2 GPUs", 2, "/GPU:0")
    assert held.further == ("/GPU:1",)
    assert shown == [["one GPU", "another"]]
    with pytest.raises(BadDevice, match=r"^device\.count must be at most 3, .* got 4$"):
        device.claim_device(Device(DeviceKind.gpu, 1, False, 4))
    gpus.clear()
    with pytest.raises(BadDevice, match=r"^device\.count must be 1 without a GPU, got 2; leave it out$"):
        device.claim_device(Device(DeviceKind.auto, 1, False, 2))
    with pytest.raises(BadSetting, match=r"^device\.count must be 1 with device=cpu"):
        Device(DeviceKind.cpu, 1, False, 2)


def test_a_part_of_a_gpu_has_a_name_and_a_price_of_its_own(
    gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.append("a GPU")
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda _gpu, _on: None)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: {"device_name": "H200"})
    whole = device.claim_device(Device(DeviceKind.gpu, 1, False, 1))
    monkeypatch.setenv(device.SHARE, "1")  # which is taken back after the test
    device.share_gpu(0.25)
    part = device.claim_device(Device(DeviceKind.gpu, 1, False, 1))
    assert (whole.held, part.held, part.count) == (1, 0.25, 1)
    assert whole.name.endswith(", 1 GPU")
    assert part.name.endswith(", 0.25 GPU")
    watch = Stopwatch(part, gauge=SilentGauge())
    watch.seconds = Seconds(train=8.0)
    assert watch.device_seconds == 2.0


def test_a_loop_of_ones_own_gets_as_many_gpus_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [Gpu("GPU-0", "A100"), Gpu("GPU-1", "A100"), Gpu("GPU-2", "T4")]
    monkeypatch.setattr(nvidia, "list_gpus", lambda _library, _visible=None: present)
    held = device.claim_plain_device(Device(DeviceKind.gpu, 1, False, 2))
    assert (held.name, held.held) == ("A100, 2 GPUs", 2)
    with pytest.raises(BadDevice, match=r"^device\.count must be at most 2, the GPUs .* one kind .*, got 3$"):
        device.claim_plain_device(Device(DeviceKind.gpu, 1, False, 3))
    present[:] = [Gpu("MIG-0", "A100 MIG 1g.5gb"), Gpu("MIG-1", "A100 MIG 1g.5gb")]
    with pytest.raises(BadDevice, match=r"^device\.count must be at most 1, .*, got 2$"):
        device.claim_plain_device(Device(DeviceKind.gpu, 1, False, 2))
    present.clear()
    monkeypatch.setenv(VISIBLE, "7")
    with pytest.raises(BadDevice, match="got none; CUDA_VISIBLE_DEVICES=7 shows none here; unset it"):
        device.claim_plain_device(Device(DeviceKind.gpu, 1, False, 1))


def test_a_program_gets_its_threads_and_the_sight_of_gpus_back(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = FakeTorch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with device.lend_process():
        device.claim_plain_device(Device(DeviceKind.cpu, 1, False, 1), pin=True)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert torch.get_num_threads() == 1
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "OMP_NUM_THREADS" not in os.environ
    assert torch.get_num_threads() == 4
    with device.lend_process():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a")  # as who claims one says it: CUDA looks once
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"


class FakeTorch:
    """PyTorch as far as its threads go."""

    __spec__ = None

    def __init__(self) -> None:
        self.threads = 4

    def get_num_threads(self) -> int:
        return self.threads

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads
