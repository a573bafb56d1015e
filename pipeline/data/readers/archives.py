"""Archives are read, never unpacked: no file in one can be written anywhere."""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import BadData


def read_members(path: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Yield names (without folders) and contents of the plain files in a tar archive that end in `suffix`.

    Raises:
        BadData: it is damaged, or names a path outside its own folder.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                path_inside = PurePosixPath(member.name)
                if path_inside.is_absolute() or ".." in path_inside.parts:
                    raise BadData(
                        f"{path} must hold files within its own folder, got {member.name}; "
                        "fetch it again from a source you trust"
                    )
                if member.isfile() and path_inside.suffix == suffix:
                    file = archive.extractfile(member)
                    assert file is not None
                    yield path_inside.name, file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path} must be a tar archive, got: {error}; fetch it again") from None
