"""GPUs that are lost, broken, closed, full or cut into nothing, as NVML tells it."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.hardware.gpu_faults import find_gpu_faults
from pipeline.hardware.gpus import list_gpus
from tests.hardware.test_gpus import A100, Nvml


class Asked(Nvml):
    """A GPU that knows these answers, and no other question."""

    def __init__(self, mig: int = 0, **answers: Any) -> None:
        super().__init__((A100, 0))
        self._mig = mig
        for name, answer in answers.items():
            setattr(self, f"nvmlDeviceGet{name}", lambda *_, answer=answer: answer)

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:  # noqa: N802
        del handle
        return [self._mig, self._mig]


def memory(free: int) -> SimpleNamespace:
    return SimpleNamespace(free=free * 1024**3, total=80 * 1024**3)


@pytest.mark.parametrize(
    ("library", "text", "is_fatal"),
    [
        (Asked(TotalEccErrors=3), "GPU 0 has 3 memory errors that nothing corrected (ECC)", True),
        (Asked(RemappedRows=(2, 1, 0, 1)), "GPU 0 has no spare rows left for its broken memory", True),
        (Asked(RemappedRows=(2, 1, 1, 0)), "GPU 0 waits to exchange broken rows of its memory", True),
        (Asked(ComputeMode=2), "GPU 0 lets no program compute", True),
        (Asked(ComputeMode=3), "GPU 0 takes one process at a time (exclusive)", False),
        (Asked(mig=1), "GPU 0 is to be cut (MIG) and has no slice", True),
        (Asked(MemoryInfo=memory(3)), "GPU 0 has 3.0 of 80.0 GiB free", False),
        (Nvml((A100, 0), lost=(0,)), "GPU 0 cannot be asked (GPU is lost)", True),
    ],
)
def test_what_is_wrong_is_found_with_a_remedy(library: Any, text: str, is_fatal: bool) -> None:
    (fault,) = find_gpu_faults(library)
    assert (fault.text, fault.is_fatal) == (text, is_fatal)
    assert fault.remedy


def test_nothing_is_wrong_with_a_gpu_that_works_or_that_nobody_can_ask() -> None:
    healthy = Asked(TotalEccErrors=0, RemappedRows=(4, 0, 0, 0), ComputeMode=0, MemoryInfo=memory(79))
    for library in (healthy, Nvml((A100, 0), (A100, 2)), Nvml((A100, 0), has_driver=False), None):
        assert find_gpu_faults(library) == []


def test_a_gpu_that_is_to_be_cut_and_is_not_is_no_device() -> None:
    assert list_gpus(Asked(mig=1)) == []
