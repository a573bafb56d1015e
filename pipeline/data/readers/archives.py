"""Archives of files: read member by member, or unpacked, never outside of a folder."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from pipeline.data.readers.compression import check_zip, compute_bound, explain_bomb, open_bounded
from pipeline.data.report import Findings
from pipeline.errors import BadData, read_reason

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LEFT_OUT = "left out: links of an archive are not followed"
DAMAGES = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # zipfile's, where a password is asked for
    NotImplementedError,  # and for a compression that it does not know
    ValueError,
)


def read_members(path: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Yield names (without folders) and contents of the plain files in a tar archive that end in `suffix`.

    Raises:
        BadData: it is damaged, or names a path outside its own folder.
    """
    try:
        with open_bounded(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path_inside = check_inside(path, member.name)
                if member.isfile() and path_inside.suffix == suffix:
                    file = archive.extractfile(member)
                    assert file is not None
                    yield path_inside.name, file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BadData(
            f"{path} must be a tar archive, got: {_describe_error(error)}; fetch it again"
        ) from None


def _describe_error(error: Exception) -> str:
    return read_reason(error).rstrip(":")


def check_inside(archive: Path, name: str) -> PurePosixPath:
    """Return the path of a member of an archive.

    Raises:
        BadData: it leads outside of the archive.
    """
    path_inside = PurePosixPath(name.replace("\\", "/"))
    has_drive = PureWindowsPath(name).drive != ""
    if path_inside.is_absolute() or ".." in path_inside.parts or has_drive:
        raise BadData(
            f"{archive} must hold files within its own folder, got {name}; "
            "fetch it again from a source you trust"
        )
    return path_inside


def is_archive(path: Path) -> bool:
    """Return whether the name of the file is that of an archive that `unpack` can read."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(path: Path, folder: Path, findings: Findings) -> None:
    """Write the plain files of a zip or tar archive below `folder`; links and devices are left out.

    Raises:
        BadData: it is damaged, needs a password, unpacks to too much, or names a path outside.
    """
    folder.mkdir(parents=True, exist_ok=True)  # of an empty one, too
    try:
        if path.suffix.lower() == ".zip":
            _unpack_zip(path, folder, findings)
        else:
            _unpack_tar(path, folder, findings)
    except (*DAMAGES, OSError) as error:
        raise BadData(
            f"{path} must be an archive without password, got: {_describe_error(error)}; fetch or unpack it"
        ) from None


def _unpack_zip(path: Path, folder: Path, findings: Findings) -> None:
    check_zip(path)
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        _check_room(path, folder, sum(member.file_size for member in members))
        for member in members:
            path_inside, mode = check_inside(path, member.filename), member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):  # as Unix writes them; 0: another system
                findings.add("link", LEFT_OUT, member.filename)
                continue
            with archive.open(member) as file:
                _write_file(folder / path_inside, file, findings, member.filename)


def _unpack_tar(path: Path, folder: Path, findings: Findings) -> None:
    left = compute_bound(path)
    with open_bounded(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path_inside = check_inside(path, member.name)
            if member.isfile():
                left -= member.size  # of a sparse file more than lies in the archive
                if left < 0:
                    raise explain_bomb(path)
                _check_room(path, folder, member.size)
                file = archive.extractfile(member)
                assert file is not None
                _write_file(folder / path_inside, file, findings, member.name)
            elif not member.isdir():
                findings.add("link", LEFT_OUT, member.name)


def _check_room(path: Path, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise BadData(
            f"{path} must fit on the disk when unpacked, got {size:,} bytes and {free:,} free; "
            "set cache_dir=... to a larger one"
        )


def _write_file(path: Path, file: IO[bytes], findings: Findings, name: str) -> None:
    """Write a file; a later one of the same name takes its place, as in `tar` and `unzip -o`, and is told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():  # the same name twice, or one that this disk takes for the same
        findings.add("file", "left out: a later one of its archive has the same name", name)
    with path.open("wb") as out:
        shutil.copyfileobj(file, out)
