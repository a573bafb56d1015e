"""Which loop trains what."""

from dataclasses import replace

import pytest

from pipeline.errors import BadSetting
from pipeline.settings.model import Activation, Cnn, Output
from pipeline.settings.training import Engine, Policy, Precision
from pipeline.training import device_data, engine_choice
from tests.support import tiny

DATA = tiny.prepared()
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


def test_a_network_with_convolutions_has_a_graph_on_a_cpu() -> None:
    assert engine_choice.pick_engine(tiny.with_parts(model=NO_PERCEPTRON), tiny.CPU, DATA) is Engine.graph
    with pytest.raises(BadSetting, match=r"with convolutions on a CPU, got xla; use engine=graph$"):
        engine_choice.pick_engine(tiny.with_parts(model=NO_PERCEPTRON, engine=Engine.xla), tiny.CPU, DATA)
    half = tiny.with_parts(model=NO_PERCEPTRON, precision=Precision(Policy.mixed_float16, 1.0))
    assert engine_choice.pick_engine(half, tiny.CPU, DATA) is Engine.keras


def test_samples_on_disk_train_in_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_data, "is_streamed", lambda *_: True)
    assert engine_choice.pick_engine(tiny.BASE, tiny.CPU, DATA) is Engine.graph
    assert not engine_choice.has_gradients_by_hand(tiny.BASE, DATA, Engine.graph)


def test_float16_in_the_plain_graph_is_refused_on_a_cpu() -> None:
    settings = tiny.with_parts(engine=Engine.graph, precision=Precision(Policy.mixed_float16, 1.0))
    with pytest.raises(BadSetting, match=r"^engine must be .*=mixed_float16 on a CPU, got graph; use"):
        engine_choice.pick_engine(settings, tiny.CPU, DATA)
    assert engine_choice.pick_engine(settings, replace(tiny.CPU, kind="gpu"), DATA) is Engine.graph


def test_the_engine_that_is_named_is_taken() -> None:
    for kind in (Engine.graph, Engine.xla, Engine.keras):
        assert engine_choice.pick_engine(tiny.with_parts(engine=kind), tiny.CPU, DATA) is kind


def test_several_devices_share_what_our_own_loop_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = replace(tiny.CPU, kind="gpu", count=2)
    assert engine_choice.pick_engine(tiny.BASE, pair, DATA) is Engine.graph
    for refused in (
        tiny.with_parts(model=NO_PERCEPTRON),
        tiny.with_parts(engine=Engine.keras),
        tiny.with_parts(engine=Engine.xla),
    ):
        with pytest.raises(
            BadSetting, match=r"^device\.count must be 1 unless model=mlp .* got 2; all other"
        ):
            engine_choice.pick_engine(refused, pair, DATA)
    odd = tiny.with_parts(train=replace(tiny.BASE.train, batch_size=33))
    with pytest.raises(BadSetting, match=r"^train\.batch_size must be a multiple of .*=2, got 33; .*=34$"):
        engine_choice.pick_engine(odd, pair, DATA)
    monkeypatch.setattr(device_data, "is_streamed", lambda *_: True)
    with pytest.raises(BadSetting, match=r"^device\.count must be 1 unless"):
        engine_choice.pick_engine(tiny.BASE, pair, DATA)
