"""Pictures of a trial are PNGs that follow the data. How they look was looked at."""

import os
import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.measures import Curve, Epoch
from pipeline.reports import palette, style, trial_plots
from pipeline.settings.settings import Settings
from tests.support.pictures import ink, scored, size, table


@pytest.fixture(scope="module")
def settings() -> Settings:
    return compose(["evaluate.worst=6"]).settings


def curve(*accuracies: float, seconds: float = 0.1) -> Curve:
    epochs = (
        Epoch(
            number=at,
            device_seconds=at * seconds,
            train_loss=0.5,
            validation_loss=0.5,
            validation_accuracy=accuracy,
        )
        for at, accuracy in enumerate(accuracies, start=1)
    )
    return Curve("a CPU, 1 core", True, tuple(epochs))


# ---- learning curves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1e-5, 0.1, 1e4])
@pytest.mark.parametrize("epochs", [1, 3, 50])
def test_curves_of_any_length_and_price(epochs: int, seconds: float) -> None:
    png = trial_plots.draw_learning_curves(curve(*np.linspace(0.5, 0.9, epochs), seconds=seconds))
    assert size(png) == (9 * style.DPI, int((3.4 + style.HEAD) * style.DPI))
    assert ink(png, palette.BLUE) > 100


def test_curves_follow_accuracy_and_seconds() -> None:
    assert trial_plots.draw_learning_curves(curve(0.8, 0.9)) != trial_plots.draw_learning_curves(
        curve(0.8, 0.95)
    )
    assert trial_plots.draw_learning_curves(curve(0.8, 0.9)) != trial_plots.draw_learning_curves(
        curve(0.8, 0.9, seconds=0.3)
    )


# ---- confusion matrix ---------------------------------------------------------------------------------


def test_shares_are_of_the_true_class() -> None:
    shares = trial_plots.compute_row_shares([[3, 1, 0], [0, 0, 0], [1, 1, 2]])
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0.25, 0.5]])


def test_more_classes_take_more_room_up_to_a_limit(settings: Settings) -> None:
    sizes = []
    for classes in (2, 10, 20, 21, 60):
        prepared = table(classes, rows=120)
        sizes.append(size(trial_plots.draw_confusion_matrix(scored(prepared, settings), prepared.classes)))
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[3] == sizes[4]
    assert max(map(max, sizes)) < 2000


def test_right_is_blue_and_wrong_is_orange(settings: Settings) -> None:
    right = replace(scored(table(2), settings), confusion=((30, 0), (0, 30)))
    wrong = replace(right, confusion=((0, 30), (30, 0)))
    of_right, of_wrong = (trial_plots.draw_confusion_matrix(each, ("no", "yes")) for each in (right, wrong))
    assert ink(of_right, palette.BLUE) > 50_000 > ink(of_right, palette.ORANGE) == 0
    assert ink(of_wrong, palette.ORANGE) > 50_000 > ink(of_wrong, palette.BLUE) == 0


# ---- calibration --------------------------------------------------------------------------------------


def test_only_the_distance_of_confidence_and_accuracy_is_orange(settings: Settings) -> None:
    base = scored(table(), settings)
    honest = [replace(each, accuracy=each.confidence) for each in base.bins]
    boasting = [replace(each, accuracy=each.confidence / 2) for each in base.bins]
    assert ink(trial_plots.draw_calibration(replace(base, bins=tuple(honest))), palette.ORANGE) == 0
    assert ink(trial_plots.draw_calibration(replace(base, bins=tuple(boasting))), palette.ORANGE) > 1000


def test_a_style_that_somebody_has_set_changes_no_picture() -> None:
    before = trial_plots.draw_learning_curves(curve(0.8, 0.9))
    with matplotlib.rc_context({"axes.facecolor": "black", "lines.linewidth": 9, "font.size": 30}):
        assert trial_plots.draw_learning_curves(curve(0.8, 0.9)) == before
        assert matplotlib.rcParams["lines.linewidth"] == 9  # which is theirs to set


@pytest.mark.parametrize(("told", "kept"), [("none-such", False), ("svg", True)])
def test_pictures_are_drawn_whatever_backend_a_user_has_for_windows(told: str, kept: bool) -> None:
    code = (
        "import os, pipeline.reports.trial_plots, matplotlib;"
        "print(os.environ['MPLBACKEND'], dict.__getitem__(matplotlib.rcParams, 'backend'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MPLBACKEND": told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    variable, backend = done.stdout.split(maxsplit=1)
    assert variable == told  # what is started later may have another matplotlib
    assert (backend.strip() == told) is kept
