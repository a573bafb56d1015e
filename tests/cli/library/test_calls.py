"""The functions do what the commands do, return values, print nothing, and leave the process as it was."""

import copy
import dataclasses
import html
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fulcrum_ml as fulcrum
from pipeline.cli.library import calls, rendering
from pipeline.cli.library.study import Study
from pipeline.hardware import device
from tests.conftest import CHECKOUT
from tests.support.signalled import stop_at_each_line
from tests.support.studies import study, tried

SPACE = {"model.hidden": [8, 32], "optimizer.learning_rate": (0.003, 0.03, "log")}
SMALL = "search.trials=3 search.workers=0 search.confirm=0 search.study=of_a_program"


def test_the_names_that_others_may_use() -> None:
    assert fulcrum.__all__ == [
        "FulcrumError", "Point", "Study", "StudyPoint", "TrainedRun",
        "not_counted", "open_run", "open_study", "run", "sweep",
    ]  # fmt: skip
    assert all(getattr(fulcrum, name).__name__ == name for name in fulcrum.__all__)
    assert set(fulcrum.__all__) <= set(dir(fulcrum))
    with pytest.raises(AttributeError, match="has no attribute 'swep'"):
        fulcrum.swep  # noqa: B018


def test_importing_it_costs_nothing() -> None:
    code = "import fulcrum_ml, sys; print({'hydra', 'tensorflow', 'mlflow', 'optuna'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_a_sweep_and_a_run_return_what_the_commands_print(capfd: pytest.CaptureFixture[str]) -> None:
    cores, handler = os.sched_getaffinity(0), signal.getsignal(signal.SIGTERM)
    capfd.readouterr()
    found = fulcrum.sweep("data=digits train.epochs=2", SPACE, budget="1000 device-seconds", words=SMALL)
    points = found.frontier()
    run = fulcrum.run(points[-1].command)
    assert capfd.readouterr().out == ""
    assert (found.name, found.trials, found.measure) == ("of_a_program", 3, "accuracy")
    assert {key for point in points for key in point.settings} <= {*SPACE, "train.epochs"}
    assert [point.accuracy for point in points] == sorted(point.accuracy for point in points)
    assert found.best() == points[-1] == found.at_least(points[-1].accuracy)
    assert found.within(points[0].device_seconds) == points[0]
    assert run.accuracy == pytest.approx(points[-1].accuracy)
    assert len(run.curve) == points[-1].epochs
    assert run.device_seconds == run.curve[-1].device_seconds == run.metrics["cpu_seconds"] > 0
    assert run.test_accuracy == run.metrics["evaluate/test_accuracy"]
    assert run == fulcrum.open_run(run.run_id)
    assert repr(fulcrum.open_study("of_a_program")) == repr(found)
    assert run.load_model().output_shape == (None, 10)
    assert run.run_id in run._repr_html_()
    assert (os.sched_getaffinity(0), signal.getsignal(signal.SIGTERM)) == (cores, handler)


def train(settings: Any) -> Iterator[float]:
    """Learn by counting, the wider the better."""
    for epoch in range(3):
        yield 1 - 0.5**epoch / settings.width


def test_a_function_takes_the_place_of_a_command_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capfd.readouterr()
    words = "search.workers=2 search.trial_timeout=60 search.confirm=0"
    monkeypatch.setattr("__main__.train", train, raising=False)  # as in a notebook: no other process has it
    monkeypatch.setattr(train, "__module__", "__main__")
    found = fulcrum.sweep(train, {"width": [2, 4]}, budget="2 trials", words=words)
    out, err = capfd.readouterr()
    assert out == ""
    assert "warning: search.workers=2 and search.trial_timeout=60 say nothing here" in err
    assert found.best().accuracy == pytest.approx(1 - 0.25 / 4)
    assert found.best().settings["width"] == 4
    assert "trial.call=__main__:train" in found.best().command


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("data=mnits", "data must be one of "),
        ("model.hidden=1,2", "model.hidden must be one value"),
        ("model.hidden=64 --help", "a program must say key=value, got --help"),
        ("data=arrays data.path=/nowhere", "data.path must "),
    ],
)
def test_a_mistake_is_one_exception_with_one_line(
    words: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(fulcrum.FulcrumError) as caught:
        fulcrum.run(words)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_the_model_of_a_loop_is_loaded_by_its_flavour() -> None:
    run = fulcrum.TrainedRun(
        run_id="1f",
        command="fulcrum run trial=function trial.call=m:train 'width=8'",
        accuracy=0.5,
        test_accuracy=None,
        device_seconds=1.0,
        device="a CPU",
        curve=(),
        metrics={},
    )
    with pytest.raises(fulcrum.FulcrumError, match=r"got trial=function; .*load_model\('runs:/1f/model'\)"):
        run.load_model()


def test_secrets_stay_out_of_what_is_raised() -> None:
    with pytest.raises(fulcrum.FulcrumError) as caught:
        fulcrum.open_study(words="search.storage=postgresql://ann:hidden@127.0.0.1:9/db")
    assert "hidden" not in str(caught.value)


def test_a_missing_study_or_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(fulcrum.FulcrumError, match="got mine; look in another storage"):
        fulcrum.open_study("mine")
    with pytest.raises(fulcrum.FulcrumError, match="a study must be named, got an empty text"):
        fulcrum.open_study("")
    with pytest.raises(fulcrum.FulcrumError, match=r"a study must be named by a text, got \[\]"):
        fulcrum.open_study([])  # type: ignore[arg-type]
    with pytest.raises(fulcrum.FulcrumError, match="got 'nope'"):
        fulcrum.open_run("nope")
    with pytest.raises(fulcrum.FulcrumError, match="must be named by its id, got None"):
        fulcrum.open_run(None)  # type: ignore[arg-type]


def test_the_points_of_a_study_are_frozen_values_that_draw_themselves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = study("digits")
    found = Study(results)
    points = found.frontier()
    assert [point.command for point in points] == [member.command for member in results.frontier]
    assert sum(point.is_knee for point in points) == 1
    knee = found.knee()
    assert knee == next(point for point in points if point.is_knee)
    assert knee.accuracy_interval is not None
    assert knee.accuracy_interval[0] < knee.accuracy < knee.accuracy_interval[1]
    assert str(knee).endswith(knee.command)
    with pytest.raises(dataclasses.FrozenInstanceError):
        knee.accuracy = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        knee.settings["model.hidden"] = 1  # type: ignore[index]
    for missing in (lambda: found.at_least(97), lambda: found.within(-1), lambda: found.within(1e-12)):
        with pytest.raises(fulcrum.FulcrumError):
            missing()
    assert pickle.loads(pickle.dumps(points)) == copy.deepcopy(points) == points
    assert len({*points, *found.frontier()}) == len(points)
    assert [row["settings"] for row in map(dataclasses.asdict, points)] == [
        point.settings for point in points
    ]
    no_number: Any
    for no_number in ("0.5", None, True, float("nan"), [0.5]):
        for ask in (found.at_least, found.within):
            with pytest.raises(fulcrum.FulcrumError, match=r"must be a number, got .*; write it as 0\.5"):
                ask(no_number)
    found.show()
    assert "digits sweep" in capsys.readouterr().out
    assert found._repr_html_().count("<tr>") == len(points) + 1
    assert "data:image/png;base64," in found._repr_html_()
    frame = rendering.render_page(results)
    assert frame.count("<iframe ") == 1
    assert "<script" not in frame  # the page is text of an attribute
    assert html.escape(points[-1].command) in html.unescape(frame)  # in the table of the page


def test_no_text_of_a_user_is_read_as_html() -> None:
    trial = tried(0, (0.5, 1.0), params={"data.label": "<u>&"}, command="python -m pipeline run a='<u>'")
    found = Study(dataclasses.replace(study("digits"), study="<i>", trials=(trial,), split=None))
    for text in (found._repr_html_(), found.best()._repr_html_()):
        assert "<u>&" not in text
        assert "<i>" not in text
        assert "'<u>'" not in text
    assert (
        "no trial has reached a point" in Study(dataclasses.replace(found._results, trials=()))._repr_html_()
    )


def test_ctrl_c_on_the_way_out_of_a_call_gives_the_program_back_all_that_was_lent() -> None:
    def call() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with calls._calling():
            os.environ["OMP_NUM_THREADS"] = "77"  # as a trial does

    before = dict(os.environ)
    places = set[str]()
    for place, error in stop_at_each_line(call, str(device.__file__), number=signal.SIGINT):
        assert isinstance(error, KeyboardInterrupt), place
        assert dict(os.environ) == before, place
        places.add(place)
    assert len(places) > 8
