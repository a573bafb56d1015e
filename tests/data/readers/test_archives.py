"""Archives are read, never unpacked."""

import io
import tarfile
from pathlib import Path

import pytest

from pipeline.data.readers import archives
from pipeline.errors import BadData
from tests.support import places


@pytest.mark.parametrize("name", ["../outside.wav", "/etc/outside.wav", "a/../../outside.wav"])
def test_an_archive_that_names_a_place_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadData) as caught:
        list(archives.read_members(path, ".wav"))
    places.assert_one_line(caught, "within its own folder", name)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(BadData, match="must be a tar archive"):
        list(archives.read_members(tmp_path / "a.tar.gz", ".wav"))
