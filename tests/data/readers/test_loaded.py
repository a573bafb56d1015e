"""Classes that are numbered, and files that are hashed."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.readers.loaded import hash_file
from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="must be a file that can be read, got Is a directory"):
        hash_file(tmp_path)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
def test_classes_are_numbered_without_gaps_and_named_as_found(tmp_path: Path, dtype: type) -> None:
    """EMNIST's letters, for one, begin at 1."""
    loaded = load(
        places.npz(tmp_path, features=np.ones((4, 2)), labels=np.array([1, 26, 2, 1], dtype)), tmp_path
    )
    assert loaded.train.labels.tolist() == [0, 2, 1, 0]
    assert loaded.classes == ("1", "2", "26")


def test_what_is_no_class_number_is_left_for_cleaning(tmp_path: Path) -> None:
    labels = np.array([5, -1, 1.5, np.nan, 3])
    found = load(places.npz(tmp_path, features=np.ones((5, 2)), labels=labels), tmp_path).train.labels
    np.testing.assert_array_equal(found, [1, -1, 1.5, np.nan, 0])
