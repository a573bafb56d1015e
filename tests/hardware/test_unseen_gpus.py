"""Why no GPU can be used, on machines that tests have made up; and what is told to do about it."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.hardware import gpus, unseen_gpus
from pipeline.hardware.unseen_gpus import INSTALL, explain_unseen
from tests.hardware.test_gpus import A100, NoDriver, Nvml


class Broken(Nvml):
    """A driver that does not answer, and says this."""

    def __init__(self, words: str) -> None:
        super().__init__((A100, 0))
        self._words = words

    def nvmlInit(self) -> None:  # noqa: N802
        raise NoDriver(self._words)


class Old(Nvml):
    """A driver that knows this version of CUDA."""

    def __init__(self, cuda: int) -> None:
        super().__init__((A100, 0))
        self._cuda = cuda

    def nvmlSystemGetCudaDriverVersion(self) -> int:  # noqa: N802
        return self._cuda

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"470.57"


@pytest.mark.parametrize(
    ("library", "visible", "cuda", "text"),
    [
        (Nvml((A100, 0)), "", "12.5.1", "CUDA_VISIBLE_DEVICES= shows none of the 1 GPUs; unset it"),
        (Nvml((A100, 0)), "3", "12.5.1", "CUDA_VISIBLE_DEVICES=3 shows none of the 1 GPUs"),
        (None, "-1", None, "CUDA_VISIBLE_DEVICES=-1 shows none here; unset it"),
        (Nvml(), None, "12.5.1", "this container or job was given no GPU; ask for one: docker run --gpus"),
        (Broken("Driver/library version mismatch"), None, "12.5.1", r"mismatch\); .* restart the machine"),
        (Broken("Driver Not Loaded"), None, "12.5.1", r"Driver Not Loaded\); load the driver"),
        (Broken("NVML Shared Library Not Found"), None, None, "NVIDIA_DRIVER_CAPABILITIES"),
        (Broken("Insufficient Permissions"), None, None, "read and write /dev/nvidia"),
        (Broken("Unknown Error"), None, None, r"\(Unknown Error\); see what nvidia-smi says"),
        (Old(11040), None, "12.5.1", "driver 470.57 knows CUDA 11, .* for 12.5.1; install driver 525 or"),
        (Old(12080), None, "99.1", "install a newer driver"),
        (Old(12000), None, "12.5.1", INSTALL),
        (Old(12000), "0", "12.5.1", INSTALL),
        (Old(11040), None, None, INSTALL),
        (None, None, "12.5.1", INSTALL),
    ],
)
def test_the_reason_and_what_helps(
    library: Any, visible: str | None, cuda: str | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "_ask_program", lambda: "")
    monkeypatch.setattr(unseen_gpus, "DRIVER_FILES", (Path("/dev/null"),))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    told = explain_unseen(library, cuda)
    assert "\n" not in told
    assert re.search(text, told), told


def test_a_container_without_the_files_was_given_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "_ask_program", lambda: "")
    monkeypatch.setattr(unseen_gpus, "DRIVER_FILES", (tmp_path / "nvidiactl",))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    assert explain_unseen(None, "12.5.1").startswith("this container or job was given no GPU; ask for one")
