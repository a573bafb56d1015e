"""An epoch and an answer taken apart, on real digits; what is checked is the make of it, not the clock."""

import numpy as np
import pytest

from pipeline.data.preprocess import preprocess
from pipeline.hardware import device
from pipeline.models import keras_models, litert
from pipeline.profiling import ablation_keras, measure_breakdown, measure_roofline
from pipeline.profiling.breakdown import Part, Rung
from pipeline.profiling.device_peaks import load_or_measure_peaks
from pipeline.settings.measuring import Runtime
from pipeline.training.keras_loop import KerasLoop
from tests.support import tiny

EPOCH = {Part.input, Part.forward, Part.backward, Part.update, Part.overhead}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.quick(monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("engine=xla", marks=pytest.mark.slow),
        "engine=graph precision=mixed_bfloat16",
        "engine=keras",
    ],
)
def test_an_epoch_in_shares(words: str) -> None:
    settings = tiny.told(f"model.hidden=32 train.batch_size=64 {words}")
    prepared = preprocess(settings)
    found = measure_breakdown.measure_epoch(settings, prepared)
    assert set(found.parts) == EPOCH
    assert all(0 <= each.low <= each.high for each in found.parts.values())
    assert all(each.method for each in found.parts.values())
    assert found.steps == len(prepared.train.labels) // 64
    assert {"compile", "validation"} <= set(found.beside)
    assert found.whole.low <= found.whole.seconds <= found.whole.high
    known = load_or_measure_peaks(device.claim_device(settings.device), settings.cache_dir)
    roofline = measure_roofline.build_roofline(settings, prepared, found, known)
    assert roofline is not None
    assert roofline.seconds == pytest.approx(found.whole.seconds / found.steps)
    assert roofline.precision == ("bfloat16" if "bfloat16" in words else "float32")
    if words == "engine=keras":  # whose loop is mostly overhead
        assert found.share(Part.overhead) > 0.5
        assert abs(found.unexplained) < 0.05


@pytest.mark.parametrize(
    "words",
    [
        "model=cnn model.filters=4 model.hidden=8 augment=shift",
        pytest.param(
            "model=cnn model.filters=4 model.hidden=8 precision=mixed_bfloat16 optimizer=sgd",
            marks=pytest.mark.slow,
        ),
        "model=custom model.build=tests.support.my_models:build",
        "model=custom model.build=tests.support.my_models:build engine=keras",
        pytest.param(
            "model=custom model.build=tests.support.my_models:build engine=xla", marks=pytest.mark.slow
        ),
    ],
)
def test_any_network_is_taken_apart_and_its_parts_make_up_the_whole(words: str) -> None:
    settings = tiny.told(f"train.batch_size=64 {words}")
    prepared = preprocess(settings)
    found = measure_breakdown.measure_epoch(settings, prepared)
    assert set(found.parts) == EPOCH
    assert found.loop == (words.partition("engine=")[2] or "graph")
    assert abs(found.unexplained) < 0.05
    # One part of a tiny network may be lost in the noise of a busy machine, down to an interval of 0 alone.
    assert found.parts[Part.forward].high + found.parts[Part.backward].high > 0
    known = load_or_measure_peaks(device.claim_device(settings.device), settings.cache_dir)
    roofline = measure_roofline.build_roofline(settings, prepared, found, known)
    assert roofline is not None
    assert roofline.seconds == pytest.approx(found.whole.seconds / found.steps)
    assert roofline.work.flops > 64 * 2 * 2 * 64  # two thin layers of 64 pixels at least
    assert keras_models.build_model(measure_breakdown.make_twin_settings(settings), prepared).input_shape == (
        None,
        *prepared.shape,
    )


@pytest.mark.slow
def test_each_rung_does_what_it_says() -> None:
    settings = tiny.told("model=cnn model.filters=4 model.hidden=8 train.batch_size=64")
    prepared = preprocess(settings)
    held = device.claim_device(settings.device)
    loop = KerasLoop(settings, prepared, keras_models.draw_initial_weights(settings, prepared), held)
    loop.prepare(1)
    before = loop.get_parameters()[0].numpy()
    for rung in (Rung.forward, Rung.backward):
        ablation_keras.make_step_caller(loop, rung)(3)
        np.testing.assert_array_equal(loop.get_parameters()[0].numpy(), before)
    ablation_keras.make_step_caller(loop, Rung.update)(3)
    changed = loop.get_parameters()[0].numpy()
    assert (changed != before).any()
    again = KerasLoop(settings, prepared, keras_models.draw_initial_weights(settings, prepared), held)
    again.prepare(1)
    ablation_keras.make_step_caller(again, Rung.input)(3)
    third = KerasLoop(settings, prepared, keras_models.draw_initial_weights(settings, prepared), held)
    third.prepare(1)
    third.run_steps(3)
    np.testing.assert_allclose(
        again.get_parameters()[0].numpy(), third.get_parameters()[0].numpy(), atol=1e-6
    )


@pytest.mark.parametrize("runtime", [Runtime.compiled, Runtime.litert])
def test_an_answer_in_overhead_and_compute(runtime: Runtime) -> None:
    settings = tiny.told("model.hidden=32")
    prepared = preprocess(settings)
    model = keras_models.build_model(settings, prepared)
    small = keras_models.build_model(measure_breakdown.make_twin_settings(settings), prepared)
    answers = [litert.make_predictor_for(each, runtime) for each in (model, small)]
    found = measure_breakdown.measure_answer(*answers, prepared, 30, runtime.value, "a CPU")
    assert set(found.parts) == {Part.overhead, Part.compute}
    assert found.of == "answer"
    assert found.whole.seconds > 0
