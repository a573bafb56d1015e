"""An engine is chosen by measurement: once, and only where it is worth trying."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training import measured_engine
from pipeline.training.measured_engine import MeasuredEngine
from tests.support import tiny

DATA = tiny.prepared(shape=(6, 5))
BUILD = "model=custom model.build=tests.support.my_models:build train.batch_size=8"


class Told:
    """A clock on which a step takes as many milliseconds as it is told of each engine."""

    def __init__(self, graph: float, xla: float) -> None:
        self._milliseconds = {False: graph, True: xla}

    def time(self, call: Any) -> float:
        loop, (steps,) = call.func.__self__, call.args
        return float(self._milliseconds[loop.network.spec.xla] * steps / 1000)


def measure(monkeypatch: pytest.MonkeyPatch, words: str, graph: float, xla: float) -> MeasuredEngine:
    monkeypatch.setattr(measured_engine, "choose_clock", lambda _: Told(graph, xla))
    return measured_engine.measure_engines(tiny.told(words), DATA, tiny.CPU)


@pytest.mark.parametrize(
    ("xla", "expected"),
    [
        (1.0, MeasuredEngine("xla", {"graph": 2.0, "xla": 1.0})),
        (1.9, MeasuredEngine("graph", {"graph": 2.0, "xla": 1.9})),  # it does not pay for its compilation
        (9.0, MeasuredEngine("graph", {"graph": 2.0})),  # left after a step
    ],
)
def test_the_faster_engine_is_taken(
    xla: float, expected: MeasuredEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measure(monkeypatch, BUILD, 2.0, xla)
    assert found.engine == expected.engine
    assert found.milliseconds == pytest.approx(expected.milliseconds)


def test_a_convolution_is_never_tried_by_xla_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever layer it comes from: of a user's own network nobody knows before."""
    words = "model=cnn model.filters=2 model.hidden=4 train.batch_size=8"
    assert set(measure(monkeypatch, words, 2.0, 1.0).milliseconds) == {"graph"}


def test_it_is_measured_once_for_a_kind_of_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Settings] = []

    def measure(settings: Settings, *_: object) -> MeasuredEngine:
        measured.append(settings)
        return MeasuredEngine("xla", {"graph": 2.0, "xla": 1.0})

    monkeypatch.setattr(measured_engine, "measure_engines", measure)
    settings = tiny.told(f"{BUILD} cache_dir={tmp_path}")

    def choose(words: str) -> Engine:
        return measured_engine.choose_measured(
            tiny.told(f"{BUILD} cache_dir={tmp_path} {words}"), DATA, tiny.CPU
        )

    assert choose("train.epochs=1") is Engine.graph  # over before XLA has compiled it
    assert measured == []
    assert measured_engine.describe_measured(settings, tiny.CPU.name, "xla") == ""
    monkeypatch.setattr(measured_engine, "LEAST_WORK", 1000)
    assert choose("train.epochs=9") is choose("optimizer=sgd model.hidden=9") is Engine.xla
    measured_engine._known.clear()  # another process
    assert choose("train.seed=3") is Engine.xla
    assert len(measured) == 1
    assert measured_engine.describe_measured(settings, tiny.CPU.name, "xla") == "graph 2, xla 1 ms a step"
    choose("precision=mixed_bfloat16")
    assert len(measured) == 2
    for text, path in zip(("{}", ""), (tmp_path / "engines").iterdir(), strict=True):
        path.write_text(text)  # damaged: measured again
    measured_engine._known.clear()
    assert choose("train.seed=4") is Engine.xla
    assert len(measured) == 3
