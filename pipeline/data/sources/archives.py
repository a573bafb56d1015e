"""Archives are read, never unpacked: nothing that lies in one can be written anywhere."""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import BadData


def members(path: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Names (without folders) and contents of the plain files in a tar archive that end in `suffix`.

    Raises:
        BadData: it is damaged, or names a place outside its own folder.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts:
                    raise BadData(
                        f"{path} must hold files within its own folder, got {member.name}; "
                        "fetch it again from a source you trust"
                    )
                if member.isfile() and place.suffix == suffix:
                    file = archive.extractfile(member)
                    assert file is not None
                    yield place.name, file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path} must be a tar archive, got: {error}; fetch it again") from None
