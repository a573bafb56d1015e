"""A run that went on from a checkpoint is the run that never stopped."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.training import checkpoints
from pipeline.training.train import Trained, train
from tests.support import tiny

DATA = tiny.prepared()
MANY = "optimizer=sgd optimizer.momentum=0.9 schedule=cosine augment=shift"


def trained(words: str, **given: object) -> list[Trained]:
    return list(train(DATA, tiny.told(words), **given))  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["xla", "graph", "keras"])
@pytest.mark.parametrize("words", ["", pytest.param(MANY, marks=pytest.mark.slow)])
def test_it_goes_on_as_if_it_had_never_stopped(engine: str, words: str, tmp_path: Path) -> None:
    words = f"{words} engine={engine} train.epochs=4"
    whole = trained(words)[-1]
    for state in train(DATA, tiny.told(words)):
        if state.curve.last.number == 2:
            checkpoints.save(tmp_path / "state.npz", state.to_checkpoint())
            break
    resumed = trained(words, checkpoint=checkpoints.load(tmp_path / "state.npz"))
    assert [state.curve.last.number for state in resumed] == [3, 4]
    for one, other in zip(whole.get_weights(), resumed[-1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    accuracies = [[epoch.validation_accuracy for epoch in each.curve.epochs] for each in (whole, resumed[-1])]
    assert accuracies[0] == accuracies[1]


@pytest.mark.parametrize(
    "model",
    [
        "model=cnn model.filters=2 model.dropout=0.3",
        "model=custom model.build=tests.support.my_models:build",  # with batch normalisation
    ],
)
def test_any_network_goes_on_as_if_it_had_never_stopped(model: str, tmp_path: Path) -> None:
    """What changes outside the gradients, such as a mean over batches or a drawn mask, is kept, too."""
    words = f"{model} train.epochs=3"
    whole = trained(words)[-1]
    state = next(train(DATA, tiny.told(words)))
    checkpoints.save(tmp_path / "state.npz", state.to_checkpoint())
    resumed = trained(words, checkpoint=checkpoints.load(tmp_path / "state.npz"))[-1]
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_cost_goes_on_counting(tmp_path: Path) -> None:
    first = trained("train.epochs=2")[-1]
    checkpoints.save(tmp_path / "a" / "state.npz", first.to_checkpoint())
    paused = checkpoints.load(tmp_path / "a" / "state.npz")
    assert paused is not None
    second = trained("train.epochs=3", checkpoint=paused)[-1]
    assert second.curve.epochs[:2] == first.curve.epochs
    assert second.curve.last.device_seconds > first.curve.last.device_seconds
    assert second.seconds.train == pytest.approx(
        second.curve.last.measured_seconds - first.curve.last.measured_seconds
    )


@pytest.mark.parametrize("kept", ["train.patience=6", "train.keep=least_loss"])
def test_the_best_weights_so_far_are_kept(kept: str, tmp_path: Path) -> None:
    words = f"train.epochs=6 {kept} optimizer.learning_rate=0.5"
    whole = trained(words)[-1]
    for state in train(DATA, tiny.told(words)):
        if state.curve.last.number == 4:
            checkpoints.save(tmp_path / "state.npz", state.to_checkpoint())
            break
    resumed = trained(words, checkpoint=checkpoints.load(tmp_path / "state.npz"))[-1]
    assert resumed.chosen_epoch.number == whole.chosen_epoch.number
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    assert checkpoints.load(path) is None
    checkpoints.save(path, trained("")[-1].to_checkpoint())
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:cut])
        assert checkpoints.load(path) is None
    path.write_bytes(whole)
    assert checkpoints.load(path) is not None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cache_dir must be a writable folder"):
        checkpoints.save(tmp_path / "file" / "state.npz", trained("")[-1].to_checkpoint())
