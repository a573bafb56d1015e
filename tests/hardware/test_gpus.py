"""GPUs of one machine, shared out among processes: by a driver that a test has made up."""

import os
from pathlib import Path

import pytest

from pipeline.backend import tf
from pipeline.errors import BadSetting
from pipeline.hardware import device, gpus
from pipeline.hardware.energy import NvmlGauge, open_nvml_gauge
from pipeline.hardware.gpus import Gpu, check_workers, claim_gpus, list_gpus
from pipeline.settings.measuring import Device, DeviceKind

A100, T4 = "NVIDIA A100-SXM4-40GB", "Tesla T4"


class NoDriver(Exception):
    """As NVML raises it."""


class Nvml:
    """The library: a GPU is (name, slices), a handle a UUID; `slices`: None where it cannot be cut."""

    NVMLError = NoDriver

    def __init__(
        self, *cards: tuple[str, int | None], has_driver: bool = True, lost: tuple[int, ...] = ()
    ) -> None:
        self._cards, self._has_driver, self._lost = cards, has_driver, lost

    def nvmlInit(self) -> None:  # noqa: N802
        if not self._has_driver:
            raise NoDriver

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        if index in self._lost:
            raise NoDriver("GPU is lost")
        return f"GPU-{index}aaa"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetUUID(self, handle: str) -> bytes:  # noqa: N802
        return handle.encode()  # older versions of the library return bytes

    def nvmlDeviceGetName(self, handle: str) -> str:  # noqa: N802
        name = self._cards[int(handle[4])][0]
        return f"{name} MIG 1g.5gb" if handle.startswith("MIG-") else name

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:  # noqa: N802
        slices = self._cards[int(handle[4])][1]
        if slices is None:
            raise NoDriver("not supported")
        return [int(slices > 0), int(slices > 0)]

    def nvmlDeviceGetMaxMigDeviceCount(self, _handle: str) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: str, index: int) -> str:  # noqa: N802
        if index >= (self._cards[int(handle[4])][1] or 0):
            raise NoDriver("not found")
        return f"MIG-{handle[4]}bbb{index}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if handle.startswith("MIG-"):
            raise NoDriver("not supported")
        return 1000


FOUR = Nvml(*[(A100, 0)] * 4)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_claim", None)
    monkeypatch.setattr(gpus, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv(gpus.VISIBLE, "")  # put back at the end, whatever a claim makes of it
    monkeypatch.delenv(gpus.VISIBLE)


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        (None, [0, 1, 2, 3]),
        ("2,0", [2, 0]),
        ("GPU-1aaa, 3", [1, 3]),
        ("GPU-1", [1]),
        ("", []),
        ("-1", []),
        ("0,7,1", [0]),
        ("1,1", [1]),
        ("NoDevFiles", []),
        ("²", []),
        ("0x1", []),
        ("2,garbage,0", [2]),
    ],
)
def test_the_gpus_are_those_that_cuda_shows(visible: str | None, numbers: list[int]) -> None:
    assert list_gpus(FOUR, visible) == [Gpu(f"GPU-{number}aaa", A100) for number in numbers]


def test_slices_of_a_gpu_are_devices() -> None:
    cut = Nvml((A100, 2), (A100, 0), (T4, None))
    slices = [Gpu(f"MIG-0bbb{index}", f"{A100} MIG 1g.5gb") for index in range(2)]
    whole = [Gpu("GPU-1aaa", A100), Gpu("GPU-2aaa", T4)]
    assert list_gpus(cut) == [*slices, *whole]
    assert list_gpus(cut, "MIG-0bbb1") == slices[1:]
    check_workers(2, library=cut)
    with pytest.raises(
        BadSetting, match=r"^device\.count must be 1 on slices of a GPU .*, got 2; leave it out"
    ):
        check_workers(1, 2, cut)
    gauge = open_nvml_gauge(cut, "MIG-0bbb1")
    assert isinstance(gauge, NvmlGauge)
    with pytest.raises(AttributeError):  # the next question, which this stand-in does not know
        gauge.read()


def test_without_a_driver_or_the_library_nothing_is_claimed(tmp_path: Path) -> None:
    for library in (Nvml((A100, 0), has_driver=False), Nvml()):
        assert claim_gpus(1, library, tmp_path) == ()
        check_workers(1, library=library)
        with pytest.raises(BadSetting, match=r"must be 1 where neither NVML .*, got 8; .*search\.workers=1$"):
            check_workers(8, library=library)
    assert gpus.VISIBLE not in os.environ


def test_a_gpu_that_is_lost_hides_no_other() -> None:
    lost = Nvml((A100, 0), (A100, 0), (A100, 0), lost=(1,))
    assert list_gpus(lost) == [Gpu("GPU-0aaa", A100), Gpu("GPU-2aaa", A100)]
    assert list_gpus(lost, "2,1") == [Gpu("GPU-2aaa", A100)]


SAID = f"""GPU 0: {A100} (UUID: GPU-0aaa)
  MIG 1g.5gb      Device  0: (UUID: MIG-0bbb0)
  MIG 1g.5gb      Device  1: (UUID: MIG-0bbb1)
GPU 1: {A100} (UUID: GPU-1aaa)
GPU 2: {T4} (UUID: GPU-2aaa)
"""


def test_without_nvml_the_program_names_the_same_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Nvml((A100, 2), (A100, 0), (T4, None))
    monkeypatch.setattr(gpus, "_ask_program", lambda: SAID)
    for visible in (None, "0", "MIG-0bbb1,2"):
        assert list_gpus(None, visible) == list_gpus(cut, visible)
    monkeypatch.setattr(gpus, "_ask_program", lambda: "")
    assert list_gpus(None) == []


def claim_as_another_process(library: Nvml, folder: Path, count: int = 1) -> tuple[Gpu, ...]:
    """A lock is of an open file, so that of a process which was forgotten here holds all the same."""
    gpus._claim = None
    os.environ.pop(gpus.VISIBLE, None)
    return claim_gpus(count, library, folder)


def test_each_process_takes_another_gpu_and_cuda_shows_it_that_one(tmp_path: Path) -> None:
    taken = list[str]()
    for _ in range(4):
        (gpu,) = claim_as_another_process(FOUR, tmp_path)
        assert os.environ[gpus.VISIBLE] == gpu.uuid
        taken.append(gpu.uuid)
        assert claim_gpus(1, FOUR, tmp_path) == (gpu,), "a process keeps the one that it has"
    assert sorted(taken) == [f"GPU-{number}aaa" for number in range(4)]
    assert claim_as_another_process(FOUR, tmp_path) == ()
    assert gpus.VISIBLE not in os.environ, "where all are taken, the process goes on with what there is"


def test_what_a_process_gives_back_the_next_one_takes(tmp_path: Path) -> None:
    one = Nvml((A100, 0))
    assert claim_gpus(1, one, tmp_path)
    gpus.release_gpus()
    assert claim_as_another_process(one, tmp_path) == (Gpu("GPU-0aaa", A100),)


def test_a_trial_on_two_gpus_takes_two_or_none(tmp_path: Path) -> None:
    three = Nvml(*[(A100, 0)] * 3)
    first = claim_as_another_process(three, tmp_path, count=2)
    assert os.environ[gpus.VISIBLE] == "GPU-0aaa,GPU-1aaa"
    assert [gpu.uuid for gpu in first] == ["GPU-0aaa", "GPU-1aaa"]
    assert claim_as_another_process(three, tmp_path, count=2) == ()
    assert [gpu.uuid for gpu in claim_as_another_process(three, tmp_path)] == ["GPU-2aaa"]
    del os.environ[gpus.VISIBLE]
    check_workers(2, 2, FOUR)
    with pytest.raises(BadSetting, match=r"3 of .*, got 2, 2 each; use search\.workers=1$"):
        check_workers(2, 2, three)


def test_trials_of_one_study_have_gpus_of_one_kind(tmp_path: Path) -> None:
    mixed = Nvml((T4, None), (A100, 0), (T4, None))
    assert [claim_as_another_process(mixed, tmp_path) for _ in range(3)] == [
        (Gpu("GPU-0aaa", T4),),
        (Gpu("GPU-2aaa", T4),),
        (),
    ]
    with pytest.raises(BadSetting, match=rf"2 of {T4} \(others are another device\), got 3; .*workers=2$"):
        check_workers(3, library=mixed)


def test_no_more_workers_than_gpus() -> None:
    check_workers(4, library=FOUR)
    with pytest.raises(
        BadSetting, match=rf"^search\.workers must be .* 4 of {A100}, got 8; use search\.workers=4$"
    ):
        check_workers(8, library=FOUR)


@pytest.mark.parametrize(
    ("kind", "pin", "claims"),
    [
        (DeviceKind.gpu, True, 1),
        (DeviceKind.auto, True, 1),
        (DeviceKind.cpu, True, 0),
        (DeviceKind.gpu, False, 0),
    ],
)
def test_a_process_that_trains_takes_its_gpu_before_cuda_is_asked(
    kind: DeviceKind, pin: bool, claims: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()
    monkeypatch.setattr(gpus, "claim_gpus", lambda _count: asked.append("nvml"))

    def list_devices(_kind: str) -> list[str]:
        asked.append("cuda")
        return ["gpu"]

    monkeypatch.setattr(tf.config, "list_physical_devices", list_devices)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *_: None)
    monkeypatch.setattr(device, "_claim_gpus", lambda seen, _: seen)
    device.claim_device(Device(kind, 1, pin, 1), pin=True)
    assert asked == ["nvml"] * claims + ["cuda"] * (kind is not DeviceKind.cpu)
