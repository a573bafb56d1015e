"""Which loop trains what."""

from dataclasses import replace

import pytest

from pipeline.errors import BadSetting
from pipeline.settings.model import Activation, Cnn, Output
from pipeline.settings.training import Engine, Policy, Precision
from pipeline.training import engine_choice
from tests.support import tiny

NO_PERCEPTRON = Cnn(
    filters=4, blocks=1, hidden=8, activation=Activation.relu, output=Output.softmax, dropout=0.0
)


@pytest.mark.parametrize(
    ("device", "policy", "batch", "expected"),
    [
        ("cpu", Policy.float32, 1, Engine.xla),
        ("cpu", Policy.float32, 127, Engine.xla),
        ("cpu", Policy.float32, 128, Engine.graph),
        ("cpu", Policy.float64, 128, Engine.graph),
        ("cpu", Policy.mixed_bfloat16, 1, Engine.graph),
        ("cpu", Policy.mixed_float16, 512, Engine.xla),
        ("gpu", Policy.mixed_bfloat16, 512, Engine.xla),
        ("gpu", Policy.float32, 1, Engine.xla),
    ],
)
def test_choice_of_engine(device: str, policy: Policy, batch: int, expected: Engine) -> None:
    assert (
        engine_choice.choose_engine(device, policy, batch, replace(tiny.BASE.model, hidden=128)) is expected
    )


def test_bfloat16_stays_with_xla_on_a_cpu_that_only_emulates_it() -> None:
    choice = engine_choice.choose_engine(
        "cpu", Policy.mixed_bfloat16, 512, tiny.BASE.model, native_bfloat16=False
    )
    assert choice is Engine.xla


def test_a_model_that_is_no_perceptron_goes_to_keras() -> None:
    assert engine_choice.choose_engine("gpu", Policy.float32, 1, NO_PERCEPTRON) is Engine.keras
    with pytest.raises(BadSetting, match=r"^engine must be auto or keras unless model=mlp, got xla$"):
        engine_choice.pick_engine(tiny.with_parts(model=NO_PERCEPTRON, engine=Engine.xla), tiny.CPU)


def test_float16_in_the_plain_graph_is_refused_on_a_cpu() -> None:
    settings = tiny.with_parts(engine=Engine.graph, precision=Precision(Policy.mixed_float16, 1.0))
    with pytest.raises(BadSetting, match=r"^engine must be .*=mixed_float16 on a CPU, got graph; use"):
        engine_choice.pick_engine(settings, tiny.CPU)
    assert engine_choice.pick_engine(settings, replace(tiny.CPU, kind="gpu")) is Engine.graph


def test_the_engine_that_is_named_is_taken() -> None:
    for kind in (Engine.graph, Engine.xla, Engine.keras):
        assert engine_choice.pick_engine(tiny.with_parts(engine=kind), tiny.CPU) is kind


def test_several_devices_share_what_our_own_loop_trains() -> None:
    pair = replace(tiny.CPU, kind="gpu", count=2)
    assert engine_choice.pick_engine(tiny.BASE, pair) is Engine.graph
    for refused in (
        tiny.with_parts(model=NO_PERCEPTRON),
        tiny.with_parts(engine=Engine.keras),
        tiny.with_parts(engine=Engine.xla),
    ):
        with pytest.raises(
            BadSetting, match=r"^device\.count must be 1 unless model=mlp .* got 2; Keras' loop"
        ):
            engine_choice.pick_engine(refused, pair)
    with pytest.raises(BadSetting, match=r"^device\.count must be 1 unless"):
        engine_choice.pick_engine(tiny.BASE, pair, streams=True)
    odd = tiny.with_parts(train=replace(tiny.BASE.train, batch_size=33))
    with pytest.raises(BadSetting, match=r"^train\.batch_size must be a multiple of .*=2, got 33; .*=34$"):
        engine_choice.pick_engine(odd, pair)
