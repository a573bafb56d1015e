"""Files that a reader finds whole or not at all, and what a killed process leaves of them."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.util import Finalize
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import psutil

from pipeline.errors import BadInput, CacheUnusable
from pipeline.processes.process_owner import ProcessOwner, is_free

DRAFT_PREFIX = ".writing-"  # then the process that writes, and a random word
DRAFT_LEASE_SECONDS = 24 * 3600.0
"""A draft of another machine that nobody wrote into for so long is left over; writing renews its lease."""
TEMPORARY_PREFIX, OWNER_PREFIX = "fulcrum-tmp-", "owner-"


def make_draft_path(folder: Path) -> Path:
    """Return a name in `folder` that no other process has, to write what is renamed when it is whole."""
    return folder / f"{DRAFT_PREFIX}{ProcessOwner.current().to_file_name()}.{token_hex(4)}"


def remove_abandoned_drafts(folder: Path) -> None:
    """Remove the drafts in a folder that nobody holds any more: see `process_owner.is_free`."""
    for path in folder.glob(f"{DRAFT_PREFIX}*-*-*"):
        owner = ProcessOwner.from_file_name(path.name.removeprefix(DRAFT_PREFIX))
        if owner is not None:
            _remove_if_free(path, owner)


def _remove_if_free(path: Path, owner: ProcessOwner) -> None:
    with suppress(OSError):  # another process was faster
        inside = path.iterdir() if path.is_dir() else ()
        written = max(entry.stat().st_mtime for entry in (path, *inside))
        if not is_free(owner, time.time() - written > DRAFT_LEASE_SECONDS):
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


@contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Keep all temporary files of this process, those of libraries too, in one folder of its own.

    What killed processes left there, a socket of a fork server or half an upload, goes when this one starts
    and when it ends, as a worker may have been killed meanwhile. What processes share lies elsewhere: see
    `get_shared_folder`.
    """
    try:
        _remove_abandoned_folders()
        folder = _make_temporary_folder(Path(tempfile.gettempdir()))
    except OSError:  # full, or not writable: whoever needs a file there will tell
        yield
        return
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = None
        _remove_temporary_folder(folder)
        _remove_abandoned_folders()


def _make_temporary_folder(shared: Path) -> Path:
    """Make a folder that has the name of its process inside from the first moment on.

    Its own name is short: that of a socket inside may have some hundred letters.
    """
    draft = make_draft_path(shared)
    draft.mkdir(mode=0o700)
    (draft / f"{OWNER_PREFIX}{ProcessOwner.current().to_file_name()}.").touch()
    return draft.rename(shared / f"{TEMPORARY_PREFIX}{token_hex(4)}")


def _remove_temporary_folder(folder: Path) -> None:
    """Remove a folder now, or where a library keeps files there after those, which it removes at exit.

    `multiprocessing` does, and matplotlib of a user without a home folder that can be written.
    """
    if any(path for name in ("pymp-*", "matplotlib-*") for path in folder.glob(name)):
        Finalize(None, shutil.rmtree, args=(str(folder), True), exitpriority=-200)  # its own has -100
    else:
        shutil.rmtree(folder, ignore_errors=True)


def check_temporary_folder() -> None:
    """Check that temporary files can be written somewhere: no library is imported without.

    Raises:
        BadInput: nowhere.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        value = os.environ.get("TMPDIR") or "none, and no /tmp that is"
        raise BadInput(
            f"TMPDIR must be a folder that can be written and has room, got {value}; set TMPDIR=..."
        ) from None


def check_working_folder() -> None:
    """Check that the folder of this process is there: a shell stays in one that was removed.

    Raises:
        BadInput: it is not.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise BadInput(
            f"the working folder must be there, got one that was removed ({error.strerror}); cd to another"
        ) from None


def get_shared_folder() -> Path:
    """Return the folder for temporary files that all processes of this machine share."""
    folder = Path(tempfile.gettempdir())
    return folder.parent if folder.name.startswith(TEMPORARY_PREFIX) else folder


def _remove_abandoned_folders() -> None:
    with suppress(OSError):
        remove_abandoned_drafts(get_shared_folder())
        for path in get_shared_folder().glob(f"{TEMPORARY_PREFIX}*"):
            _remove_abandoned_folder(path)


def _remove_abandoned_folder(path: Path) -> None:
    """Remove a folder that nobody holds; without a name inside, a process was killed as it removed it."""
    with suppress(OSError):
        if path.stat().st_uid != os.getuid():
            return
        names = [file.name.removeprefix(OWNER_PREFIX) for file in path.glob(f"{OWNER_PREFIX}*")]
        if not names:
            shutil.rmtree(path, ignore_errors=True)
        elif owner := ProcessOwner.from_file_name(names[0]):
            _remove_if_free(path, owner)


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file aside, then rename it into place: a kill leaves the old file or the new one.

    `write`: gets the file that is open for writing bytes. The folder of `path` is made where it is missing.

    Raises:
        OSError: the folder cannot be made or written, or has no room left.
    """
    draft = make_draft_path(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            write(file)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_content(path: Path, content: str | bytes) -> None:
    """Write a file of this content as `write_whole` does; text as UTF-8.

    Raises:
        OSError: as `write_whole`.
    """
    data = content.encode() if isinstance(content, str) else content
    write_whole(path, lambda file: file.write(data))


def list_code_files(name: str) -> list[Path]:
    """List the Python files of an imported package in a fixed order, or the one file of a module."""
    module = sys.modules[name]
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    if not folders and (file := getattr(module, "__file__", None)):
        return [Path(file)]
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


NETWORK_SYSTEMS: tuple[str, ...] = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "afs",
    "glusterfs",
    "fuse.sshfs",
)
NETWORK_SYSTEMS += ("fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.juicefs", "panfs", "wekafs", "9p")
"""How the names of file systems begin that several machines may share, in /proc/self/mounts."""


def find_network_system(path: Path) -> str:
    """Return the kind of the network file system on which a path lies, such as nfs4; "" for a local disk."""
    resolved = os.path.realpath(path)
    mounts = [
        mount
        for mount in psutil.disk_partitions(all=True)
        if resolved == mount.mountpoint or resolved.startswith(mount.mountpoint.rstrip("/") + "/")
    ]
    kind = str(max(mounts, key=lambda mount: len(mount.mountpoint)).fstype) if mounts else ""
    return kind if kind.startswith(NETWORK_SYSTEMS) else ""


def describe_no_file(path: Path) -> str:
    """Say what lies where a file is wanted and none is: `which is a folder`, `which is not there`."""
    if path.is_dir():
        return "which is a folder"
    return "which is no file" if path.exists() else "which is not there"


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


def can_be_written(folder: Path) -> bool:
    """Return whether this user may write into a folder, or make it where it is missing."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def has_home() -> bool:
    """Return whether the user has a home folder by name; one of a container without HOME may have none."""
    return not os.path.expanduser("~").startswith("~")


@contextmanager
def any_home() -> Iterator[None]:
    """Give a user without a home folder one during the block: MLflow asks for it as it is imported."""
    is_missing = not has_home()
    if is_missing:
        os.environ["HOME"] = tempfile.gettempdir()
    try:
        yield
    finally:
        if is_missing:
            os.environ.pop("HOME")


def explain_unwritable_cache(folder: Path, error: OSError) -> CacheUnusable:
    """Return the error for a folder of `cache_dir` that cannot be written or has no room left."""
    return CacheUnusable(
        f"cache_dir must be a writable folder with room, got {folder} ({error.strerror or error}); "
        "set cache_dir=... or FULCRUM_CACHE"
    )
