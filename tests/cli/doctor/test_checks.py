"""Each part of a machine that lacks something, or has it broken."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.backend import tf
from pipeline.cli.doctor import checks
from pipeline.hardware import gpus, unseen_gpus
from pipeline.settings.measuring import DeviceKind
from tests.hardware.test_gpus import A100, T4, Nvml


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """An NVIDIA driver, as far as files show."""
    monkeypatch.setattr(unseen_gpus, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(unseen_gpus, "DRIVER_FILES", (Path("/dev/null"),))
    monkeypatch.setattr(gpus, "_ask_program", lambda: "")
    monkeypatch.delenv(gpus.VISIBLE, raising=False)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("library", "visible", "told"),
    [
        (Nvml((A100, 0), (A100, 2), (T4, None)), None, ("ok", f"4 x {A100} and {A100} MIG 1g.5gb and {T4}")),
        (Nvml((A100, 0), (A100, 0)), "1", ("ok", f"1 of 2 x {A100}")),
        (
            Nvml((A100, 0), (A100, 0), lost=(0,)),
            None,
            ("fails", f"1 x {A100}, GPU 0 cannot be asked (GPU is"),
        ),
        (None, None, ("note", "an NVIDIA driver is here, no GPU: nobody can be asked")),
        (
            Nvml((A100, 0), has_driver=False),
            None,
            ("note", "an NVIDIA driver is here, no GPU: the driver does"),
        ),
        (Nvml((A100, 0)), "", ("note", "an NVIDIA driver is here, no GPU: CUDA_VISIBLE_DEVICES= shows none")),
    ],
)
def test_the_driver_and_its_gpus(
    library: Any, visible: str | None, told: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    state, text, remedy = checks.look_at_driver(library)
    assert (state, text[: len(told[1])]) == told
    assert bool(remedy) == (state != "ok")


@pytest.mark.usefixtures("driver")
def test_gpus_that_tensorflow_does_not_see_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: [])
    monkeypatch.setattr(gpus, "load_nvml", lambda: None)
    state, text, remedy = checks.look_at_tensorflow()
    assert state == "fails"
    assert text.endswith("0 GPUs seen")
    assert "pip install -r requirements-gpu.txt" in remedy
    assert checks.look_at_tensorflow(DeviceKind.cpu)[0] == "ok", "the CPU alone was asked for"


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


def test_a_torch_that_is_broken_is_named_and_one_that_works_says_what_it_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def import_module(_name: str) -> Any:
        raise OSError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(checks, "find_spec", lambda _name: True)
    monkeypatch.setattr(checks.metadata, "version", lambda _name: "1.0")
    monkeypatch.setattr(checks, "import_module", import_module)
    state, text, remedy = checks.look_at_extras()
    assert state == "note"
    assert text.endswith("torch cannot be imported (libcudnn.so.9: cannot open shared object file)")
    assert "pytorch.org" in remedy
    torch = SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 2))
    monkeypatch.setattr(checks, "import_module", lambda _name: torch)
    assert checks.look_at_extras()[0] == "ok"
    assert checks.look_at_extras()[1].endswith("torch sees 2 GPUs")


def test_a_time_of_day_that_was_set_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.hardware import stopwatch

    seconds = iter([9.0, 9.0, 1.0, 2.0])
    timed = SimpleNamespace(time=lambda _call: next(seconds))
    monkeypatch.setattr(stopwatch, "WALL", timed)
    state, text, remedy = checks.look_at_clock(checks.read_clock_lead() - 3600)
    assert state == "note"
    assert text.endswith("; the time of day was set by +3600.0 s meanwhile")
    assert "chrony" in remedy


@pytest.mark.parametrize(("supported", "state"), [(True, "ok"), (False, "note")])
def test_a_cpu_without_products_in_bfloat16_is_told(
    monkeypatch: pytest.MonkeyPatch, supported: bool, state: str
) -> None:
    monkeypatch.setattr(checks, "supports_bfloat16", lambda: supported)
    found, text, remedy = checks.look_at_bfloat16()
    assert found == state
    assert ("precision=mixed_bfloat16 is slower" in text, bool(remedy)) == (not supported, not supported)
