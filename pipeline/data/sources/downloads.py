"""Files of public data sets: found in the data directory, or fetched there once and checked by SHA-256."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.data.sources.loaded import CHUNK, file_sha256
from pipeline.errors import BadData, DataMissing

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`mirrors`: addresses of folders, each ending in a slash, tried in turn. `folder`: below data_dir.

    `remote_name`: its name there, where that is another.
    """

    name: str
    sha256: str
    mirrors: tuple[str, ...]
    folder: str
    remote_name: str = ""

    def address(self, mirror: str) -> str:
        return mirror + (self.remote_name or self.name)


def fetched(file: RemoteFile, data_dir: Path) -> Path:
    """The local path of `file`, fetched first where it is absent.

    Raises:
        BadData: a file is there but its hash is wrong.
        DataMissing: it is absent and no mirror gave it.
    """
    path = data_dir / file.folder / file.name
    if path.exists():
        _check(path, file)
        return path
    reasons = [reason for mirror in file.mirrors if (reason := _fetch(mirror, file, path))]
    if len(reasons) == len(file.mirrors):
        raise DataMissing(
            f"{file.folder}/{file.name} is not in data_dir={data_dir} and could not be fetched "
            f"({'; '.join(reasons)}); get it from {file.address(file.mirrors[0])} and put it at {path}, "
            "or use data=digits, which needs no download"
        )
    return path


def _check(path: Path, file: RemoteFile) -> None:
    status = path.stat()
    found = _sha256(str(path), status.st_size, status.st_mtime_ns)
    if found != file.sha256:
        raise BadData(
            f"{path} must have SHA-256 {file.sha256}, got {found}: damaged or another file; "
            "delete it and start again to fetch it"
        )


@lru_cache(maxsize=64)
def _sha256(path: str, _size: int, _changed_ns: int) -> str:
    """Once a process for a file that did not change: a search asks for the same data at every trial."""
    return file_sha256(Path(path))


def _fetch(mirror: str, file: RemoteFile, path: Path) -> str | None:
    """None when the file lies at `path` now, else why this mirror did not give it.

    pooch writes aside, checks the hash and renames: nothing half-written, and two processes do no harm.
    """
    import pooch
    from tqdm import tqdm

    pooch.get_logger().setLevel(logging.ERROR)
    # total=1: pooch asks whether the bar is true, then sets the real size. disable=None: only on a terminal.
    bar = tqdm(desc=file.name, total=1, unit="B", unit_scale=True, delay=0.5, leave=False, disable=None)
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT_SECONDS)
    try:
        pooch.retrieve(
            file.address(mirror), f"sha256:{file.sha256}", file.name, path.parent, downloader=downloader
        )
        path.chmod(0o644)  # pooch's are the owner's alone, and data folders are shared
    except OSError as error:  # requests' errors are OSErrors too
        return f"{mirror.split('/')[2]}: {_reason(error)}"
    except ValueError:  # pooch's error for a wrong hash
        return f"{mirror.split('/')[2]}: what came has the wrong SHA-256"
    finally:
        bar.close()
    return None


def _reason(error: OSError) -> str:
    import requests

    match error:
        case requests.HTTPError(response=requests.Response(status_code=status)):
            return f"HTTP {status}"
        case requests.Timeout():
            return "no answer in time"
        case requests.ConnectionError():
            return "connection failed"
        case PermissionError():
            return f"{error.filename or 'the folder'} is not writable"
        case _:
            return error.strerror or type(error).__name__
