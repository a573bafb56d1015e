"""Files that a reader finds whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from pipeline.errors import BadInput


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file aside, then rename it into place: a kill leaves the old file or the new one.

    `write`: gets the file that is open for writing bytes. The folder of `path` is made where it is missing.

    Raises:
        OSError: the folder cannot be made or written, or has no room left.
    """
    draft = path.with_name(f".{path.name}-{os.getpid()}-{token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            write(file)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def expand_home(path: str) -> Path:
    """Return the path with `~` as the folder of its user.

    Raises:
        BadInput: there is no such user, or the user of a container has no folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadInput(
            f"a path must begin in a folder that is there, got {path} of a user without one; write it in full"
        ) from None
