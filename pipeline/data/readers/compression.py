"""Files packed by gzip, bzip2, xz or zip, told by their first bytes and read as if they were not packed."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from pipeline.errors import BadData

MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
UNPACKING_ERRORS = (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the unpackers raise for a damaged file; RuntimeError: a password."""


def find_packing(path: Path) -> str:
    """Return how a file is packed (gzip, bzip2, xz, zip), "" for not at all.

    Raises:
        BadData: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise BadData(
            f"{path} must be a file that can be read, got {error.strerror}; move or mend it"
        ) from None
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")


@contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open the bytes of a file; of a zip those of the one file in it.

    Raises:
        BadData: it is damaged, or a zip holds another number of files.
    """
    openers: dict[str, Any] = {
        "gzip": gzip.open,
        "bzip2": bz2.open,
        "xz": lzma.open,
        "zip": _open_member,
        "": Path.open,
    }
    try:
        with cast(IO[bytes], openers[find_packing(path)](path, "rb")) as file:
            yield file
    except UNPACKING_ERRORS as error:
        raise BadData(f"{path} must be a whole file, got: {error}; unpack it, or fetch it again") from None


def list_members(path: Path) -> list[str]:
    """Return the names of the files in a zip, without folders and what systems leave behind."""
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    return [name for name in names if "__MACOSX" not in name and not name.rpartition("/")[2].startswith(".")]


def _open_member(path: Path, _mode: str) -> IO[bytes]:
    names = list_members(path)
    if len(names) != 1:
        raise BadData(f"{path} must hold one table, got {len(names)} files; unpack it and name one of them")
    return zipfile.ZipFile(path).open(names[0])
