"""An epoch and an answer taken apart, on real digits; what is checked is the make of it, not the clock."""

import pytest

from pipeline import ceilings as measured
from pipeline import export, meter, models
from pipeline.breakdown import Part
from pipeline.ceilings import ceilings
from pipeline.settings import Runtime
from pipeline.stages import dissect
from pipeline.stages.preprocess import preprocess
from tests import tiny

EPOCH = {Part.input, Part.forward, Part.backward, Part.update, Part.overhead}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissect, "FEWEST_ROUNDS", 3)
    monkeypatch.setattr(dissect, "SECONDS", 0.5)
    monkeypatch.setattr(dissect, "CHUNK_SECONDS", 0.01)
    monkeypatch.setattr(measured, "SECONDS", 0.01)
    monkeypatch.setattr(measured, "ARRAYS", {"cpu": (2**16, 2**18)})
    monkeypatch.setattr(measured, "SIDE", {"cpu": 64})


@pytest.mark.parametrize("words", ["engine=xla", "engine=graph precision=mixed_bfloat16", "engine=keras"])
def test_an_epoch_in_shares(words: str) -> None:
    settings = tiny.told(f"model.hidden=32 train.batch_size=64 {words}")
    prepared = preprocess(settings)
    found = dissect.dissect(settings, prepared)
    assert set(found.parts) == EPOCH
    assert all(0 <= each.low <= each.high for each in found.parts.values())
    assert all(each.method for each in found.parts.values())
    assert found.steps == len(prepared.train.labels) // 64
    assert {"compile", "validation"} <= set(found.beside)
    assert found.whole.low <= found.whole.seconds <= found.whole.high
    known = ceilings(meter.hold(settings.device), settings.cache_dir)
    roofline = dissect.roofline_of(settings, prepared, found, known)
    assert roofline.seconds == pytest.approx(found.whole.seconds / found.steps)
    assert roofline.precision == ("bfloat16" if "bfloat16" in words else "float32")


def test_keras_loop_is_mostly_overhead_and_its_parts_make_it_up() -> None:
    settings = tiny.told("model.hidden=16 train.batch_size=64 engine=keras")
    found = dissect.dissect(settings, preprocess(settings))
    assert found.share(Part.overhead) > 0.5
    assert abs(found.unexplained) < 0.05


def test_ceilings_are_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    held = meter.hold(tiny.told().device)
    first = ceilings(held, str(tmp_path))
    assert set(first.flops) == {"float32", "bfloat16", "float64"}
    assert all(rate > 0 for rate in [*first.flops.values(), *(rate for _, rate in first.bandwidth)])
    monkeypatch.setattr(measured, "measure", lambda _held: pytest.fail("measured again"))
    again = ceilings(held, str(tmp_path))
    assert again.flops == first.flops
    assert again.bandwidth == first.bandwidth


@pytest.mark.parametrize("runtime", [Runtime.compiled, Runtime.litert])
def test_an_answer_in_overhead_and_compute(runtime: Runtime) -> None:
    settings = tiny.told("model.hidden=32")
    prepared = preprocess(settings)
    model = models.build(settings, prepared)
    small = models.build(dissect.twin_settings(settings), prepared)
    answers = [export.answerer(each, runtime) for each in (model, small)]
    found = dissect.dissect_answer(*answers, prepared, 30, runtime.value, "a CPU")
    assert set(found.parts) == {Part.overhead, Part.compute}
    assert found.of == "answer"
    assert found.whole.seconds > 0
