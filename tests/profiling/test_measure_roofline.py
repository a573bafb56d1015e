"""A step is measured under the roof, of whatever kind its network is."""

import pytest

from pipeline.profiling import measure_roofline
from pipeline.profiling.roofline import Bound
from pipeline.settings.training import Engine
from tests.support import tiny

DATA = tiny.prepared(shape=(6, 5))


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        ("model.hidden=8 train.batch_size=8 engine=xla", Engine.xla),
        ("model=cnn model.filters=2 model.hidden=4 train.batch_size=8", Engine.graph),
    ],
)
def test_a_step_is_measured_and_its_work_counted(
    words: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.quick(monkeypatch)
    monkeypatch.setattr(measure_roofline, "CALL_SECONDS", 0.002)
    step = measure_roofline.measure_step(tiny.told(words), DATA)
    assert (step.engine, step.batch) == (engine, 8)
    assert step.seconds > 0
    roofline = step.roofline
    assert roofline is not None
    assert roofline.seconds == step.seconds
    assert roofline.peak_share == pytest.approx(roofline.work.flops / step.seconds / roofline.peak)
    assert roofline.bound in (Bound.memory, Bound.compute)
