"""A file that is written whole or not at all."""

from pathlib import Path
from typing import BinaryIO

import pytest

from pipeline.errors import BadInput
from pipeline.files import expand_home, write_whole


def test_a_file_is_replaced_in_one_step_and_nothing_stays_aside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, lambda file: file.write(b"one"))
    write_whole(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_amid_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "inside", lambda file: file.write(b""))


def test_a_user_who_has_no_folder_is_told_in_one_line() -> None:
    assert expand_home("~/x") == Path.home() / "x"
    with pytest.raises(BadInput, match="got ~no-such-user/x of a user without one; write it in full"):
        expand_home("~no-such-user/x")
