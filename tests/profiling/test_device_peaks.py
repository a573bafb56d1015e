"""What a device reaches at best."""

import pytest

from pipeline.hardware import device
from pipeline.profiling import device_peaks as measured
from pipeline.profiling.device_peaks import load_or_measure_peaks
from tests.support import tiny


def test_ceilings_are_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    tiny.quick(monkeypatch)
    claimed = device.claim_device(tiny.told().device)
    first = load_or_measure_peaks(claimed, str(tmp_path))
    assert set(first.flops) == {"float32", "bfloat16", "float64"}
    assert all(rate > 0 for rate in [*first.flops.values(), *(rate for _, rate in first.bandwidth)])
    monkeypatch.setattr(measured, "measure_peaks", lambda _held: pytest.fail("measured again"))
    again = load_or_measure_peaks(claimed, str(tmp_path))
    assert again.flops == first.flops
    assert again.bandwidth == first.bandwidth
