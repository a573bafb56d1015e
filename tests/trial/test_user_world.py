"""What a loop of the user's own changes of its process holds for itself, and for nobody else."""

import io
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow
import mlflow.tracking.fluent
import numpy as np
import pytest

from pipeline import signals
from pipeline.errors import Stopped
from pipeline.trial.user_loop import train_loop
from pipeline.trial.user_world import MLFLOW, UserWorld
from tests.support.signalled import stop_at_each_line
from tests.trial.test_user_loop import accuracies, settings_of


def read_process() -> tuple[Any, ...]:
    mask = os.umask(0)
    os.umask(mask)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    streams, root = (sys.stdout, sys.stderr), (logging.root.level, list(logging.root.handlers))
    filters = list(warnings.filters)
    return os.getcwd(), dict(os.environ), streams, root, filters, handlers, mask, np.geterr()


def test_what_a_loop_changes_holds_for_itself_alone(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    settings = settings_of("changing", "epochs=3", f"folder={folder}")
    before, between = read_process(), []
    for trained in train_loop(settings):
        between.append(read_process())
        (tmp_path / str(trained.curve.last.number)).write_text("ours")  # by our mask
    assert accuracies(trained) == [1, 1, 1]  # it finds all as it has left it
    assert between == [before] * 3
    assert read_process() == before
    assert (tmp_path / "3").read_text() == "ours"


def test_a_signal_anywhere_on_the_way_in_or_out_leaves_ours_as_it_was(tmp_path: Path) -> None:
    def change() -> None:
        with UserWorld().entered():
            os.chdir(tmp_path)
            os.environ["FOUND"] = "theirs"

    signals.listen()
    before, exit_function, places = read_process(), os._exit, set[str]()
    for place, error in stop_at_each_line(change, "trial/user_world.py"):
        assert isinstance(error, Stopped), place
        assert (read_process(), os._exit) == (before, exit_function), place
        places.add(place)
    assert len(places) > 30


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Python 3.12: threads and forks
def test_a_forked_process_that_is_let_go_on_ends_where_the_loop_ends() -> None:
    for error, code in ((None, 0), (SystemExit(0), 0), (SystemExit("no"), 1), (ValueError("no"), 1)):
        child = -1
        with UserWorld().entered():
            child = os.fork()
            if child == 0 and error is not None:
                raise error
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_loop_that_ends_its_process_has_failed_and_one_that_it_forked_may_end() -> None:
    ours = os._exit
    with UserWorld().entered():
        if (child := os.fork()) == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with pytest.raises(SystemExit, match=r"os\._exit\(0\)"):
            os._exit(0)
    assert os._exit is ours


def test_a_timer_of_a_loop_runs_only_within_it_and_one_of_ours_goes_on() -> None:
    loop, timer = UserWorld(), signal.ITIMER_REAL
    before = signal.setitimer(timer, 0)
    with loop.entered():
        signal.setitimer(timer, 1000, 7)
    assert signal.getitimer(timer) == (0, 0)
    with loop.entered():
        assert 900 < signal.getitimer(timer)[0] <= 1000
        assert signal.setitimer(timer, 0)[1] == 7
    signal.setitimer(timer, 500)
    with loop.entered():
        assert 400 < signal.getitimer(timer)[0] <= 500
    assert 400 < signal.setitimer(timer, *before)[0] <= 500


def test_a_folder_that_is_gone_leaves_ours(tmp_path: Path) -> None:
    folder, before = tmp_path / "gone", os.getcwd()
    folder.mkdir()
    training = train_loop(settings_of("changing", "epochs=2", f"folder={folder}"))
    next(training)
    folder.rmdir()
    assert accuracies(next(training)) == [1, 0]  # it finds ours instead
    assert os.getcwd() == before


def test_what_changes_outside_of_it_is_seen_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = UserWorld()
    with imported.entered():
        os.environ["OF_MY_LOOP"] = "1"
    for number in "34":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", number)  # as each trial claims its own
        monkeypatch.setattr(sys, "stdout", io.StringIO())  # as a cell of a notebook has its own
        with UserWorld(imported).entered():
            print("seen", os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OF_MY_LOOP"])
        assert isinstance(sys.stdout, io.StringIO)
        assert sys.stdout.getvalue() == f"seen {number} 1\n"
        assert "OF_MY_LOOP" not in os.environ


def test_where_a_loop_lets_mlflow_write_holds_for_itself_alone(tmp_path: Path) -> None:
    for name in MLFLOW:  # MLflow's own, so a release may rename them
        module, _, attribute = name.partition(":")
        assert hasattr(sys.modules[module], attribute)
    before, theirs, loop = mlflow.get_tracking_uri(), f"sqlite:///{tmp_path}/theirs.db", UserWorld()
    for _ in range(2):
        with loop.entered():
            mlflow.set_tracking_uri(theirs)
            mlflow.tracking.fluent._active_experiment_id = "7"  # as set_experiment does
        assert (mlflow.get_tracking_uri(), mlflow.tracking.fluent._active_experiment_id) == (before, None)
    with loop.entered():
        assert (mlflow.get_tracking_uri(), mlflow.tracking.fluent._active_experiment_id) == (theirs, "7")
