"""Files that are hashed."""

from pathlib import Path

import pytest

from pipeline.data.readers.loaded import hash_file
from pipeline.errors import BadData


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="must be a file that can be read, got Is a directory"):
        hash_file(tmp_path)
