"""Packed files (gzip, bzip2, xz, Zstandard, zip), told by their first bytes and read as if not packed."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from pipeline.errors import BadData

MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
BUFFER = 1 << 18
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".data", ".dat", ".json", ".jsonl", ".ndjson")
"""By these a table in a zip is told from what lies beside it."""
UNPACKING_ERRORS = (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What the unpackers raise for a damaged file; RuntimeError: a password."""


MOST_RATIO, MOST_BYTES = 200, 2**30
"""What unpacks to more than so many times its size, and so many bytes, is meant to fill a machine."""


class BoundedReader(io.RawIOBase):
    """The bytes of an unpacked stream, up to a bound."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        """Read from `file`, which unpacks `path`; close it at the end."""
        super().__init__()
        self._file, self._path, self._left = file, path, compute_bound(path)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes.

        Raises:
            BadData: there are more than the bound.
        """
        content = self._file.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise explain_bomb(self._path)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Close the stream that is read."""
        self._file.close()
        super().close()


def compute_bound(packed: Path | int) -> int:
    """Compute how many bytes a packed file, or one of so many bytes, may unpack to."""
    return max(MOST_BYTES, MOST_RATIO * (packed if isinstance(packed, int) else packed.stat().st_size))


def explain_bomb(path: Path) -> BadData:
    """Return the error for a file that unpacks to more than its bound."""
    return BadData(
        f"{path} must unpack to at most {MOST_RATIO} times its size or {MOST_BYTES // 2**30} GiB, got more, "
        "as files have that are made to fill a machine; if you trust it, unpack it yourself"
    )


def check_zip(path: Path) -> None:
    """Check that all that lies in a zip (.npz, .xlsx and .keras are some) is within the bound.

    Raises:
        BadData: it is not.
        OSError, BadZipFile: it is no zip.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > compute_bound(path):
            raise explain_bomb(path)


def find_packing(path: Path) -> str:
    """Return how a file is packed (gzip, bzip2, xz, zstd, zip), "" for not at all.

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
def open_bounded(path: Path) -> Iterator[IO[bytes]]:
    """Open the bytes of a file, unpacked up to its bound; of a zip those of the one table in it.

    Errors of the unpackers (`UNPACKING_ERRORS`) pass.

    Raises:
        BadData: it unpacks to too much, or a zip holds another number of files.
    """
    openers: dict[str, Any] = {
        "gzip": gzip.open,
        "bzip2": bz2.open,
        "xz": lzma.open,
        "zstd": _open_zstd,
        "zip": _open_member,
        "": Path.open,
    }
    packing = find_packing(path)
    with cast(IO[bytes], openers[packing](path, "rb")) as file:
        yield cast(IO[bytes], io.BufferedReader(BoundedReader(file, path), BUFFER)) if packing else file


@contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open the bytes of a file; of a zip those of the one file in it.

    Raises:
        BadData: it is damaged, or unpacks to too much, or a zip holds another number of files.
    """
    try:
        with open_bounded(path) as file:
            yield file
    except UNPACKING_ERRORS as error:
        raise BadData(f"{path} must be a whole file, got: {error}; unpack it, or fetch it again") from None


def list_members(path: Path) -> list[str]:
    """Return the names of the files in a zip, without folders and what systems leave behind."""
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    return [name for name in names if "__MACOSX" not in name and not name.rpartition("/")[2].startswith(".")]


def pick_member(path: Path) -> tuple[str, list[str]]:
    """Return the name of the one table in a zip, and those of the other files in it, such as a read-me.

    Raises:
        BadData: it holds none, or several.
        OSError, BadZipFile: it is no zip.
    """
    names = list_members(path)
    tables = [name for name in names if name.lower().endswith(TABLE_SUFFIXES)]
    if len(names) != 1 and len(tables) != 1:
        listed = f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
        raise BadData(
            f"{path} must hold one table, got {len(names)} files{listed}; unpack it and name one of them"
        )
    name = names[0] if len(names) == 1 else tables[0]
    return name, [other for other in names if other != name]


def _open_member(path: Path, _mode: str) -> IO[bytes]:
    return zipfile.ZipFile(path).open(pick_member(path)[0])


def _open_zstd(path: Path, _mode: str) -> IO[bytes]:
    from pyarrow import input_stream  # Python's own comes with 3.14

    return cast(IO[bytes], input_stream(str(path), compression="zstd"))
