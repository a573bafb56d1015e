"""Quantities as labels of arrays and of lists of files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.readers.loaded import LoadedData
from pipeline.data.sources import load
from pipeline.errors import BadData
from pipeline.settings.data import Arrays, Task
from tests.support import places


def read(folder: Path, labels: np.ndarray, task: Task = Task.regression) -> LoadedData:
    path = folder / "a.npz"
    np.savez(path, features=np.arange(2.0 * len(labels)).reshape(-1, 2), labels=labels)
    told = Arrays(
        path=str(path),
        features="features",
        labels="labels",
        test_features=None,
        test_labels=None,
        channels=None,
        task=task,
        fraction=1.0,
        in_memory_limit=1 << 30,
    )
    return load(told, folder)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0.5, 7.5, np.nan, -3.0]),
        np.array([[1e6], [2e6], [3e6], [np.inf]]),
        np.array([25, 31, 84, 25], np.uint8),
    ],
    ids=["fractions", "a column", "whole"],
)
def test_labels_of_arrays_are_taken_as_they_are(tmp_path: Path, labels: np.ndarray) -> None:
    loaded = read(tmp_path, labels)
    assert loaded.classes == ()
    assert loaded.train.labels.dtype == np.float64
    np.testing.assert_array_equal(loaded.train.labels, labels.ravel())


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (
            np.array(["1.5", "2"]),
            "labels must be numbers with data.task=regression, got <U3; leave data.task",
        ),
        (
            np.eye(2),
            r"labels must be \[n\], one quantity for each sample, .* got \(2, 2\); choose one column",
        ),
        (np.array([True, False]), "labels must be numbers with data.task=regression, got bool"),
    ],
    ids=["words", "several", "truth"],
)
def test_what_is_no_quantity_is_refused(tmp_path: Path, labels: np.ndarray, line: str) -> None:
    with pytest.raises(BadData, match=line):
        read(tmp_path, labels)


@pytest.mark.parametrize("labels", [np.arange(60.0) / 2, np.arange(60)], ids=["fractions", "whole"])
def test_many_numbers_are_offered_to_be_learned_as_quantities(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(BadData, match=r"data\.task=regression learns quantities"):
        read(tmp_path, labels, Task.classification)


def make_list(folder: Path, labels: list[str]) -> Path:
    rows = []
    for number, label in enumerate(labels):
        name = f"{number}.png"
        Image.fromarray(np.full((2, 2), number, np.uint8)).save(folder / name)
        rows.append(f"{name},{label},{'test' if number % 3 == 2 else 'train'}")
    path = folder / "list.csv"
    path.write_text("path,label,split\n" + "\n".join(rows) + "\n")
    return path


def test_a_list_of_files_has_quantities_also_such_as_training_has_not(tmp_path: Path) -> None:
    path = make_list(tmp_path, [str(number / 4 - 5) for number in range(30)])
    loaded = load(places.images(path, task=Task.regression), tmp_path)
    assert loaded.test is not None
    for samples, others in ((loaded.train, (0, 1)), (loaded.test, (2,))):
        numbers = samples.features.reshape(len(samples.labels), -1)[:, 0]  # type: ignore[union-attr]
        np.testing.assert_array_equal(samples.labels, numbers / 4 - 5)
        assert set(numbers % 3) == set(others)
    with pytest.raises(BadData, match="must hold classes that its training split holds"):
        load(places.images(path), tmp_path)


def test_a_list_with_a_word_among_quantities_is_refused(tmp_path: Path) -> None:
    path = make_list(tmp_path, ["1", "2", "3", "high"])
    with pytest.raises(BadData, match=r"labels must be numbers with data\.task=regression, got 'high'"):
        load(places.images(path, task=Task.regression), tmp_path)
