"""Folders of texts."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places


def test_texts_are_read_in_their_encoding(tmp_path: Path) -> None:
    data = places.texts(places.text_folder(tmp_path, encoding="cp1252"), encoding="cp1252")
    loaded = load(data, tmp_path)
    assert loaded.classes == ("bad", "good")
    assert "café" in loaded.train.features[np.array([3])][0]
    with pytest.raises(BadData) as caught:
        load(places.texts(tmp_path, encoding="utf-8"), tmp_path)
    places.assert_one_line(caught, "got 40 that cannot be read", "utf-8", "and 37 more")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32"])
def test_an_encoding_is_detected_and_reported(tmp_path: Path, encoding: str) -> None:
    plain = load(places.texts(places.text_folder(tmp_path / "utf8")), tmp_path)
    other = load(places.texts(places.text_folder(tmp_path / "other", encoding=encoding)), tmp_path)
    assert list(other.train.features[np.arange(40)]) == list(plain.train.features[np.arange(40)])
    assert plain.findings == ()
    expected = [] if encoding == "utf-8-sig" else [encoding]
    assert [finding.text.removeprefix("read as ") for finding in other.findings] == expected


def test_nul_bytes_and_line_ends_are_no_letters(tmp_path: Path) -> None:
    places.text_folder(tmp_path)
    (tmp_path / "bad" / "000.txt").write_bytes(b"one\x00two\r\nthree\rfour\x00")
    assert load(places.texts(tmp_path), tmp_path).train.features[np.array([0])][0] == "one two\nthree\nfour"


def test_a_text_that_only_names_another_file_is_no_sample(tmp_path: Path) -> None:
    places.text_folder(tmp_path)
    (tmp_path / "bad" / "000.txt").write_text("version https://git-lfs.github.com/spec/v1\nsize 3\n")
    (tmp_path / "bad" / "001.txt").write_text("{\\rtf1\\ansi good}")
    (tmp_path / "bad" / "002.txt").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n")
    (tmp_path / "bad" / "003.txt").write_bytes(("ä" * 20).encode()[:-1])
    with pytest.raises(BadData) as caught:
        load(places.texts(tmp_path), tmp_path)
    places.assert_one_line(
        caught,
        "bad/000.txt (a pointer of Git LFS: `git lfs pull`",
        "001.txt (a text of Word",
        "002.txt (a PDF",
    )
