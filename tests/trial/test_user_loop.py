"""A loop of the user's own trains like any trial: measured, paused, resumed, and told of in one line."""

import gc
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import signals
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting, FulcrumError
from pipeline.hardware import gpus
from pipeline.measures import Curve
from pipeline.settings.settings import Settings
from pipeline.trial import user_loop
from pipeline.trial.loop_states import LoopTrained
from pipeline.trial.user_loop import check_loop, train_for_model, train_loop
from tests.support import my_loops

CALL = "tests.support.my_loops"


def settings_of(name: str, *words: str) -> Settings:
    return compose(["trial=function", f"trial.call={CALL}:{name}", "device.pin=false", *words]).settings


def train(settings: Settings, **more: Any) -> list[LoopTrained]:
    return list(train_loop(settings, **more))


def accuracies(trained: LoopTrained) -> list[float]:
    return [round(epoch.validation_accuracy, 6) for epoch in trained.curve.epochs]


def stop_at(number: int) -> Any:
    return lambda curve: "enough" if curve.last.number == number else None


def test_each_yield_is_an_epoch_with_its_cost_and_numbers() -> None:
    items = train(settings_of("train", "epochs=3", "rate=0.5"))
    assert [item.curve.last.number for item in items] == [1, 2, 3]
    last = items[-1]
    assert accuracies(last) == [0.6, 0.8, 0.9]
    costs = [epoch.device_seconds for epoch in last.curve.epochs]
    assert 0 < costs[0] < costs[1] < costs[2] < 1
    assert last.curve.last.train_loss == pytest.approx(0.1)
    assert last.numbers[-1] == {"f1": pytest.approx(0.05)}
    assert last.paid_seconds == last.curve.last.device_seconds


def test_what_stands_behind_the_last_yield_runs_unless_the_loop_was_stopped() -> None:
    my_loops.SAVED.clear()
    assert len(train(settings_of("saving", "epochs=3"), stop=stop_at(2))) == 2
    assert my_loops.SAVED == []
    assert len(train(settings_of("saving", "epochs=2"))) == 2
    assert my_loops.SAVED == [2]


def test_what_is_not_counted_costs_nothing_even_around_a_yield() -> None:
    last = train(settings_of("evaluating", "epochs=2"))[-1]
    assert last.curve.last.device_seconds < my_loops.SLEEP_SECONDS / 2
    assert last.seconds.validate > 1.9 * my_loops.SLEEP_SECONDS


def test_a_loop_goes_on_from_its_state_and_pays_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    paused = train(settings_of("train", "epochs=4"), stop=stop_at(2), checkpoint=path)
    assert paused[-1].stop_reason == "enough"
    rest = train(settings_of("train", "epochs=4"), checkpoint=path)
    assert [item.curve.last.number for item in rest] == [3, 4]
    assert accuracies(rest[-1]) == accuracies(train(settings_of("train", "epochs=4"))[-1])
    assert rest[-1].earlier_device_seconds == paused[-1].curve.last.device_seconds
    assert rest[-1].numbers[0] == paused[0].numbers[0]
    again = train(settings_of("train", "epochs=4"), checkpoint=path)
    assert [item.is_restored for item in again] == [True]
    assert again[-1].paid_seconds == 0
    longer = train(settings_of("train", "epochs=5"), checkpoint=path)
    assert [item.curve.last.number for item in longer] == [5]
    shorter = train(settings_of("train", "epochs=1"), checkpoint=path)
    assert [item.curve.last.number for item in shorter] == [1]


@pytest.mark.parametrize("word", ["rate=0.2", "train.seed=1", "kind=steep"])
def test_another_configuration_never_goes_on_from_a_state(word: str, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    train(settings_of("train", "epochs=2"), checkpoint=path)
    assert len(train(settings_of("train", "epochs=2", word), checkpoint=path)) == 2


def test_a_training_cut_short_has_the_model_that_its_loop_reports_last(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    paused = train(settings_of("modelling_last", "epochs=4"), stop=stop_at(2), checkpoint=path)
    assert paused[-1].model is None
    trained = train_for_model(settings_of("modelling_last", "epochs=2"), path)
    assert trained is not None
    assert trained.model[0] == 2
    assert trained.curve.last.validation_accuracy == paused[-1].curve.last.validation_accuracy
    rest = train(settings_of("modelling_last", "epochs=4"), checkpoint=path)
    assert [item.curve.last.number for item in rest] == [3, 4]  # the pause is still there to go on from


def test_a_loop_that_reports_no_model_is_trained_again_for_one_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, settings = tmp_path / "state.npz", settings_of("train", "epochs=2")
    train(settings_of("train", "epochs=4"), stop=stop_at(2), checkpoint=path)
    assert train_for_model(settings, path) is None
    monkeypatch.setattr(user_loop, "train_loop", None)
    assert train_for_model(settings, path) is None


def test_a_loop_without_a_state_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    train(settings_of("stateless", "epochs=4", "start=1.0"), stop=stop_at(2), checkpoint=path)
    again = train(settings_of("stateless", "epochs=4", "start=1.0"), checkpoint=path)
    assert [item.curve.last.number for item in again] == [1, 2, 3, 4]
    assert again[-1].paid_seconds == again[-1].curve.last.device_seconds


def test_a_damaged_state_is_none(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    train(settings_of("train", "epochs=2"), checkpoint=path)
    (saved,) = tmp_path.iterdir()
    saved.write_bytes(saved.read_bytes()[:100])
    assert len(train(settings_of("train", "epochs=2"), checkpoint=path)) == 2


def test_a_state_that_cannot_be_made_again_is_none(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    train(settings_of("fragile", "epochs=3"), stop=stop_at(2), checkpoint=path)
    assert len(train(settings_of("fragile", "epochs=3"), checkpoint=path)) == 3


def test_a_loop_may_end_early_and_is_stopped_where_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    assert len(train(settings_of("short", "epochs=9"), checkpoint=path)) == 2
    assert [item.is_restored for item in train(settings_of("short", "epochs=9"), checkpoint=path)] == [True]
    assert len(train(settings_of("endless", "epochs=3"))) == 3


@pytest.mark.parametrize("catches", ["GeneratorExit", "BaseException"])
def test_a_loop_that_goes_on_where_it_is_closed_is_left_alone(
    catches: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = list[object]()
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    assert len(train(settings_of("stubborn", f"catches={catches}", "epochs=2"))) == 2
    gc.collect()
    assert printed == []


@pytest.mark.parametrize("how", ["exit", "interrupt"])
def test_a_loop_that_is_closed_ends_nothing_but_itself(how: str) -> None:
    assert len(train(settings_of("leaving_when_closed", f"how={how}", "epochs=2"))) == 2


def test_a_schedule_that_ends_with_the_run_makes_no_state_fair_midway() -> None:
    curve: Curve = train(settings_of("short", "trial.fair_midway=false"))[-1].curve
    assert len(curve.points) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("returning", "must be a generator, got a function that returned 0.93; write yield"),
        ("silent", "must yield an accuracy after each epoch, got none"),
        ("raising", r"raised ValueError: a wrong\\nturn in line \d+; mend it"),
        ("raising_late", r"raised OSError: the disk is full in line \d+; mend it"),
        ("before_training", "must yield once after each of its 2 epochs, got more; yield at the end of an"),
        ("running_out", "^out of memory: trial.call=tests.support.my_loops:running_out raised RuntimeError"),
        ("leaving", "raised SystemExit: 3 in line"),
        ("leaving_by_number", "raised SystemExit: 4 in line"),
        ("misspelling", "raised AttributeError: the settings have no widht; did you mean width"),
        ("yielding", "accuracy must be >= 0 and <= 1, got 97 in epoch 1; report 0.97"),
        ("unstorable", "the state that a loop reports must be one that pickle stores, got function"),
    ],
)
def test_what_a_loop_does_wrong_is_one_line(name: str, text: str, tmp_path: Path) -> None:
    words = ["wrong=percent"] if name == "yielding" else []
    settings = settings_of(name, "epochs=2", *words)
    check_loop(settings)  # nobody can know before
    with pytest.raises(FulcrumError, match=text) as error:
        train(settings, stop=stop_at(1) if name == "unstorable" else None, checkpoint=tmp_path / "s.npz")
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 1


def test_where_a_loop_has_failed_is_a_line_of_the_users_code(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, names = (
        "def in_a_cell(settings):\n    yield 0.5\n    raise KeyError('lr')\n",
        {"__name__": "__main__"},
    )
    exec(compile(cell, "<cell 7>", "exec"), names)
    monkeypatch.setattr("__main__.in_a_cell", names["in_a_cell"], raising=False)
    for call, text in (
        ("__main__:in_a_cell", "raised KeyError: 'lr' in line 3; mend it"),
        ("tests.support.odd_loops:lending", r"a wrong\\nturn in line \d+ of my_loops\.py; mend it"),
    ):
        words = ["trial=function", f"trial.call={call}", "device.pin=false", "epochs=2"]
        with pytest.raises(FulcrumError, match=text):
            train(compose(words).settings)


def test_a_gpu_that_is_not_there_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "list_gpus", lambda *_: [])
    with pytest.raises(FulcrumError, match="device=gpu needs a GPU that NVIDIA's driver names, got none"):
        check_loop(settings_of("train", "device=gpu"))


def test_values_that_the_dataclass_refuses_are_told_before() -> None:
    with pytest.raises(BadSetting, match="13 brings bad luck"):
        check_loop(settings_of("train", "width=13"))
    with pytest.raises(BadSetting, match=r"refuses the settings \(SystemExit: nor does 14 help\)"):
        check_loop(settings_of("train", "width=14"))


def test_ctrl_c_in_a_call_of_the_library_is_no_failure_of_the_loop() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have let it be ignored
    try:
        with pytest.raises(KeyboardInterrupt), signals.hear_interrupt():
            list(train_loop(settings_of("interrupted")))
        assert signals.read_requested() is None
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
