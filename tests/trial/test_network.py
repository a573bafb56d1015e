"""The page of one trial: it stops, pauses and goes on, and says before what would go wrong after."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.prepared import Target
from pipeline.errors import BadData, BadModel, BadSetting
from pipeline.measures import Curve, Epoch
from pipeline.settings.privacy import Privacy
from pipeline.training import checkpoints
from pipeline.training.checkpoint_key import get_keyed_path
from pipeline.training.train import Trained, train
from pipeline.trial import network as trial
from pipeline.trial.network import check_trial, run_trial, train_to_end, train_trial
from tests.support import tiny

DATA = tiny.prepared()
PACKAGE = Path(trial.__file__).parents[1]


def numbers(items: list[Trained]) -> list[int]:
    return [item.curve.last.number for item in items]


def stop_at(number: int) -> trial.Stop:
    return lambda curve: "enough" if curve.last.number == number else None


def assert_same_weights(one: Trained, other: Trained) -> None:
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_trial_is_trained_evaluated_and_profiled() -> None:
    epochs: list[Epoch] = []
    result = run_trial(DATA, tiny.told("train.epochs=3"), epochs.append)
    assert tuple(epochs) == result.trained.curve.epochs
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert result.evaluation.validation.accuracy == pytest.approx(epochs[-1].validation_accuracy)
    assert result.seconds.evaluate > 0
    assert result.seconds.profile > 0
    assert result.seconds.train == result.trained.seconds.train
    assert result.trained.paid_seconds == epochs[-1].device_seconds


def test_nothing_but_the_page_trains() -> None:
    """Run, sweep, confirmation, diagnosis and registering a model all go through `train_trial`.

    A membership attack trains models of its own, which are no trials.
    """
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "pipeline.training.train"
        and any(alias.name == "train" for alias in node.names)
    }
    assert importers == {"trial/network.py", "evaluation/membership.py"}


# ---- stop and checkpoint ----------------------------------------------------------------------------------


def test_a_stop_ends_it_with_its_reason() -> None:
    curves: list[Curve] = []

    def stop(curve: Curve) -> str | None:
        curves.append(curve)
        return "enough" if curve.last.number == 2 else None

    items = list(train_trial(DATA, tiny.told("train.epochs=5"), stop))
    assert numbers(items) == [1, 2]
    assert [item.stop_reason for item in items] == ["", "enough"]
    assert [item.curve for item in items] == curves


def test_a_trial_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    path, settings = tmp_path / "state.npz", tiny.told("train.epochs=4")
    *_, stopped = train_trial(DATA, settings, stop_at(2), path)
    items = list(train_trial(DATA, settings, checkpoint=path))
    assert numbers(items) == [3, 4]
    assert_same_weights(items[-1], train_to_end(DATA, settings))
    spent = stopped.curve.last.device_seconds
    assert [item.earlier_device_seconds for item in items] == [spent, spent]
    assert items[-1].paid_seconds == pytest.approx(items[-1].curve.last.device_seconds - spent)


@pytest.mark.parametrize("words", ["train.epochs=3", "train.epochs=30 train.patience=1"])
def test_a_trial_that_had_ended_costs_nothing(words: str, tmp_path: Path) -> None:
    path, settings = tmp_path / "state.npz", tiny.told(f"{words} optimizer.learning_rate=0.5")
    first = train_to_end(DATA, settings, checkpoint=path)
    (again,) = train_trial(DATA, settings, checkpoint=path)
    assert (again.is_restored, first.is_restored) == (True, False)
    assert again.paid_seconds == 0
    assert again.curve == first.curve
    assert again.chosen_epoch == first.chosen_epoch
    assert_same_weights(again, first)


def test_a_kill_costs_what_was_not_saved_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SAVE_EVERY_SECONDS", -1.0)
    path, settings = tmp_path / "state.npz", tiny.told("train.epochs=4")
    begun = train_trial(DATA, settings, checkpoint=path)
    next(begun)
    next(begun)
    begun.close()
    assert numbers(list(train_trial(DATA, settings, checkpoint=path))) == [3, 4]


def test_nothing_is_told_of_secret_steps_before_their_state_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "train.epochs=4 privacy=dp_sgd privacy.repeatable="
    assert [tiny.told(words + value).privacy.is_secret for value in ("false", "true")] == [True, False]
    monkeypatch.setattr(Privacy, "is_secret", True)  # a plain training is quicker
    path, settings = tmp_path / "state.npz", tiny.told("train.epochs=4")
    begun = train_trial(DATA, settings, checkpoint=path)
    told = [next(begun).curve.last, next(begun).curve.last]
    begun.close()
    items = list(train_trial(DATA, settings, checkpoint=path))
    assert numbers(items) == [3, 4]
    assert items[-1].curve.epochs[:2] == tuple(told)


def test_between_two_checkpoints_nothing_is_written(tmp_path: Path) -> None:
    path, settings = tmp_path / "state.npz", tiny.told("train.epochs=3")
    begun = train_trial(DATA, settings, checkpoint=path)
    next(begun)
    next(begun)
    assert list(tmp_path.iterdir()) == []
    list(begun)
    saved = checkpoints.load(get_keyed_path(path, DATA, settings))
    assert saved is not None
    assert len(saved.curve.epochs) == 3


def test_the_state_of_a_longer_trial_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    train_to_end(DATA, tiny.told("train.epochs=4"), checkpoint=path)
    (longer,) = tmp_path.iterdir()
    before = longer.read_bytes()
    assert numbers(list(train_trial(DATA, tiny.told("train.epochs=2"), checkpoint=path))) == [1, 2]
    assert list(tmp_path.iterdir()) == [longer]
    assert longer.read_bytes() == before


def test_the_state_of_other_data_is_left_alone(tmp_path: Path) -> None:
    """With the same words and as many classes and features: only the labels were corrected."""
    path, settings = tmp_path / "state.npz", tiny.told("train.epochs=2")
    first = train_to_end(DATA, settings, checkpoint=path)
    (old,) = tmp_path.iterdir()
    before = old.read_bytes()
    labels = np.roll(DATA.train.labels, 1)
    corrected = replace(DATA, train=replace(DATA.train, labels=labels), key="corrected")
    items = list(train_trial(corrected, settings, checkpoint=path))
    assert numbers(items) == [1, 2]
    assert items[-1].paid_seconds == items[-1].curve.last.device_seconds > 0
    assert_same_weights(items[-1], train_to_end(corrected, settings))
    assert old.read_bytes() == before
    (back,) = train_trial(DATA, settings, checkpoint=path)  # each finds its own again
    assert back.curve == first.curve


# ---- what is checked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error", "text"),
    [
        ("train.batch_size=99", BadSetting, "train.batch_size must be <= 46"),
        ("engine=xla model.init=pretrained model.pretrained=x", BadModel, "pretrained"),
        ("augment=shift", BadData, "augment needs images"),
        ("evaluate.shift=blur", BadData, "evaluate.shift"),
        ("precision=float64 profile.runtime=litert", BadSetting, "a network that LiteRT cannot hold"),
    ],
)
def test_what_a_stage_would_refuse_is_refused_before(words: str, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        check_trial(tiny.prepared(shape=(20,)), tiny.told(words))


def test_a_trial_that_fits_passes() -> None:
    check_trial(DATA, tiny.told("augment=shift evaluate.shift=noise profile.runtime=litert"))
    check_trial(
        DATA,
        tiny.told("model.init=pretrained model.pretrained=x"),
        next(train(DATA, tiny.BASE)).get_weights(),
    )


def test_loaded_data_is_kept_for_the_next_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(trial, "_loaded", {})
    monkeypatch.setattr(trial, "preprocess", lambda settings: asked.append(settings.data_dir) or DATA)
    for folder in ("a", "b", "a", "c", "d", "e", "a"):
        assert trial.load_prepared(replace(tiny.BASE, data_dir=folder)) is DATA
    assert asked == ["a", "b", "c", "d", "e", "a"]
    assert len(trial._loaded) == trial.MAX_LOADED
    trial.forget_prepared()  # a file may have changed
    assert trial.load_prepared(replace(tiny.BASE, data_dir="a")) is DATA
    assert asked[6:] == ["a"]


def test_a_quantity_that_a_file_cannot_hold_is_refused_before_training() -> None:
    splits = {
        name: replace(split, labels=1.7e9 + split.labels.astype(np.float64))
        for name, split in (("train", DATA.train), ("validation", DATA.validation), ("test", DATA.test))
    }
    data = replace(DATA, **splits, classes=(), target=Target(1.7e9, 1.0))
    settings = tiny.told("data=arrays data.path=x data.task=regression profile.runtime=litert")
    with pytest.raises(BadSetting, match="for a network that LiteRT cannot hold"):
        check_trial(data, settings)
