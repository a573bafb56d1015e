"""Archives are read, and unpacked within a folder."""

import io
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.readers import archives
from pipeline.data.report import Findings
from pipeline.data.sources import fingerprint, load
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


def pack(folder: Path, path: Path) -> Path:
    kind = {".zip": "zip", ".tar": "tar", ".tgz": "gztar", ".bz2": "bztar"}[path.suffix]
    made = shutil.make_archive(str(path.parent / "made"), kind, folder)
    return Path(made).rename(path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "A.TAR.BZ2"])
def test_an_archive_is_read_as_the_folder_that_it_holds(tmp_path: Path, name: str) -> None:
    places.image_folder(tmp_path / "set" / "inner")
    (tmp_path / "set" / "__MACOSX").mkdir()
    (tmp_path / "set" / "__MACOSX" / "._a.png").write_bytes(b"x")
    path = pack(tmp_path / "set", (tmp_path / name).with_suffix(Path(name).suffix.lower()))
    path = path.rename(tmp_path / name)
    scratch = tmp_path / "scratch"
    loaded = load(places.images(path), tmp_path, scratch)
    direct = load(places.images(tmp_path / "set"), tmp_path)
    np.testing.assert_array_equal(loaded.train.features, direct.train.features)
    assert [finding.count for finding in loaded.findings] == [1]
    assert fingerprint(places.images(path), tmp_path)


def test_an_unreadable_file_of_an_archive_is_named_as_in_it(tmp_path: Path) -> None:
    places.image_folder(tmp_path / "set")
    (tmp_path / "set" / "left" / "000.png").write_bytes(b"nothing of the kind")
    with pytest.raises(BadData, match=r"cannot be read: a\.zip/left/000\.png"):
        load(places.images(pack(tmp_path / "set", tmp_path / "a.zip")), tmp_path, tmp_path / "scratch")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.png",
        "/etc/outside.png",
        "a\\..\\..\\outside.png",
        "C:\\outside.png",
        "c:outside.png",
        "\\\\server\\share\\outside.png",
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, name: str, kind: str) -> None:
    path, folder = tmp_path / f"evil.{kind}", tmp_path / "far" / "folder"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"abc")
    else:
        with tarfile.open(path, "w") as archive_of_tar:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive_of_tar.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(BadData, match="within its own folder") as caught:
        archives.unpack(path, folder, Findings())
    places.assert_one_line(caught)
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == [path.name]


def test_links_and_devices_of_an_archive_are_left_out_and_told(tmp_path: Path) -> None:
    path, findings = tmp_path / "a.tar", Findings()
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    with tarfile.open(path, "w") as archive:
        for number, kind in enumerate(kinds):
            link = tarfile.TarInfo(f"link{number}")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    archives.unpack(path, tmp_path / "out", findings)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive_of_zip:
        entry = zipfile.ZipInfo("link.txt")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive_of_zip.writestr(entry, "/etc/passwd")
    archives.unpack(tmp_path / "a.zip", tmp_path / "out", findings)
    assert list((tmp_path / "out").rglob("*")) == []
    assert [str(finding) for finding in findings.to_tuple()] == [
        "6 links left out: links of an archive are not followed (link0)"
    ]


def test_a_name_that_comes_twice_is_told_and_the_later_file_is_read(tmp_path: Path) -> None:
    findings = Findings()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for content in (b"old", b"new"):
            member = tarfile.TarInfo("a/b.txt")
            member.size = 3
            archive.addfile(member, io.BytesIO(content))
    archives.unpack(tmp_path / "a.tar", tmp_path / "out", findings)
    assert (tmp_path / "out" / "a" / "b.txt").read_bytes() == b"new"
    assert [finding.text for finding in findings.to_tuple()] == [
        "left out: a later one of its archive has the same name"
    ]


def test_a_sparse_file_counts_with_all_that_it_stands_for(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("hole.png")
        member.size, size = 3, 2**40
        member.pax_headers = {"GNU.sparse.map": "0,3", "GNU.sparse.size": str(size)}
        archive.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(BadData, match="made to fill a machine"):
        archives.unpack(path, tmp_path / "out", Findings())
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_larger_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places.image_folder(tmp_path / "set")
    path = pack(tmp_path / "set", tmp_path / "a.zip")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(BadData, match="must fit on the disk when unpacked"):
        archives.unpack(path, tmp_path / "out", Findings())


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x1f\x8b nothing", b"\xfd7zXZ\0 nothing"])
def test_what_is_no_archive_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData) as caught:
        load(places.images(tmp_path / name), tmp_path, tmp_path / "scratch")
    places.assert_one_line(caught, name)
