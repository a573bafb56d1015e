"""Each part of a machine that lacks something, or has it broken."""

import shutil

import pytest

from pipeline.backend import tf
from pipeline.cli.doctor import checks
from pipeline.hardware import device, memory
from pipeline.hardware.memory import Memory
from tests.hardware.test_gpus import A100, T4, Nvml


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """An NVIDIA driver, as far as files show."""
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/nvidia-smi")


@pytest.mark.usefixtures("driver")
def test_the_driver_and_its_gpus() -> None:
    assert checks.look_at_driver(Nvml((A100, 0), (A100, 2), (T4, None)))[:2] == (
        "ok",
        f"4 x {A100} and {A100} MIG 1g.5gb and {T4}",
    )
    state, text, remedy = checks.look_at_driver(None)
    assert (state, text) == ("note", "an NVIDIA driver is here, NVML cannot be asked")
    assert "requirements-gpu.txt" in remedy
    assert "NVML finds no GPU" in checks.look_at_driver(Nvml((A100, 0), has_driver=False))[1]


@pytest.mark.usefixtures("driver")
def test_gpus_that_tensorflow_does_not_see_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: [])
    monkeypatch.setattr(device, "_has_nvidia_driver", lambda: True)
    state, text, remedy = checks.look_at_tensorflow()
    assert state == "fails"
    assert text.endswith("0 GPUs seen")
    assert "pip install -r requirements-gpu.txt" in remedy


def test_too_little_memory_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "read_memory", lambda: Memory(8 * 1024**3, 1024**3 // 2))
    state, text, _ = checks.look_at_memory()
    assert (state, text) == ("fails", "0.5 of 8.0 GiB available")


def test_a_clock_that_does_not_wait_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.hardware import stopwatch

    monkeypatch.setattr(stopwatch, "WALL", stopwatch.Clock("no seconds", lambda: 7.0))
    with pytest.raises(ZeroDivisionError):
        checks.look_at_clock()
    ticks = iter(range(100))
    monkeypatch.setattr(stopwatch, "WALL", stopwatch.Clock("calls", lambda: float(next(ticks))))
    assert checks.look_at_clock()[0] == "fails"


def test_missing_extras_are_named_with_their_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)
    state, text, remedy = checks.look_at_extras()
    assert (state, text) == ("note", "none")
    assert "ray for cluster=ray (pip install -r requirements-ray.txt)" in remedy
