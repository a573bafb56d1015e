"""Files of public data sets: found in the data directory, or fetched there once and checked by SHA-256."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.data.readers.loaded import CHUNK_BYTES, hash_file
from pipeline.errors import BadData, DataMissing

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that is downloaded once. `folder`: below data_dir.

    `mirrors`: addresses of folders, each ending in a slash, tried in turn; `remote_name`: the file's name
    there, "" where it is `name`.
    """

    name: str
    sha256: str
    mirrors: tuple[str, ...]
    folder: str
    remote_name: str = ""

    def build_address(self, mirror: str) -> str:
        """Return the address of this file on a mirror."""
        return mirror + (self.remote_name or self.name)


def fetch_file(file: RemoteFile, data_dir: Path) -> Path:
    """Return the local path of `file`; download it first where it is absent.

    Raises:
        BadData: a file is there but its hash is wrong.
        DataMissing: it is absent and no mirror gave it.
    """
    path = data_dir / file.folder / file.name
    if path.exists():
        _check_hash(path, file)
        return path
    reasons = [reason for mirror in file.mirrors if (reason := _fetch_from_mirror(mirror, file, path))]
    if len(reasons) == len(file.mirrors):
        raise DataMissing(
            f"{file.folder}/{file.name} is not in data_dir={data_dir} and could not be fetched "
            f"({'; '.join(reasons)}); get it from {file.build_address(file.mirrors[0])} and put it at "
            f"{path}, or use data=digits, which needs no download"
        )
    return path


def _check_hash(path: Path, file: RemoteFile) -> None:
    status = path.stat()
    sha256 = _compute_sha256(str(path), status.st_size, status.st_mtime_ns)
    if sha256 != file.sha256:
        raise BadData(
            f"{path} must have SHA-256 {file.sha256}, got {sha256}: damaged or another file; "
            "delete it and start again to fetch it"
        )


@lru_cache(maxsize=64)
def _compute_sha256(path: str, _size: int, _changed_ns: int) -> str:
    """Compute it once a process for an unchanged file: a search needs the same data in every trial."""
    return hash_file(Path(path))


def _fetch_from_mirror(mirror: str, file: RemoteFile, path: Path) -> str | None:
    """Download the file to `path`; return None, or why this mirror did not give it.

    pooch writes a draft, checks its hash and renames it: no file is ever incomplete, and two processes can
    download the same file.
    """
    import pooch
    from tqdm import tqdm

    pooch.get_logger().setLevel(logging.ERROR)
    # total=1: pooch asks whether the bar is true, then sets the real size. disable=None: only on a terminal.
    bar = tqdm(desc=file.name, total=1, unit="B", unit_scale=True, delay=0.5, leave=False, disable=None)
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS)
    try:
        pooch.retrieve(
            file.build_address(mirror), f"sha256:{file.sha256}", file.name, path.parent, downloader=downloader
        )
        path.chmod(0o644)  # pooch's are the owner's alone, and data folders are shared
    except OSError as error:  # requests' errors are OSErrors too
        return f"{mirror.split('/')[2]}: {_describe_error(error)}"
    except ValueError:  # pooch's error for a wrong hash
        return f"{mirror.split('/')[2]}: what came has the wrong SHA-256"
    finally:
        bar.close()
    return None


def _describe_error(error: OSError) -> str:
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
