"""Folders of images, sounds and texts; what is wrong with one is told in one line."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.features import SoundSamples
from pipeline.data.readers import archives, sounds
from pipeline.data.readers.folders import Unreadable
from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data import Colours, Fsdd, OnError
from tests.support import places


def one_line(caught: pytest.ExceptionInfo[BadData], *parts: str) -> None:
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


# ---- images -------------------------------------------------------------------------------------------


def test_images_become_bytes_in_the_order_of_their_names(tmp_path: Path) -> None:
    loaded = load(places.images(places.image_folder(tmp_path)), tmp_path)
    features = np.asarray(loaded.train.features)
    assert (features.shape, features.dtype) == ((24, 8, 6), np.uint8)
    assert loaded.classes == ("left", "right")
    assert loaded.train.labels.tolist() == [0] * 12 + [1] * 12
    np.testing.assert_array_equal(features[13], np.asarray(Image.open(tmp_path / "right" / "001.png")))


def test_colours_and_size_are_as_asked_for(tmp_path: Path) -> None:
    data = places.images(places.image_folder(tmp_path), colours=Colours.rgb, size=[5, 4])
    assert np.asarray(load(data, tmp_path).train.features).shape == (24, 5, 4, 3)


def test_folders_named_train_and_test_are_official_splits(tmp_path: Path) -> None:
    places.image_folder(tmp_path / "train")
    places.image_folder(tmp_path / "test", rows=3)
    loaded = load(places.images(tmp_path), tmp_path)
    assert loaded.test is not None
    assert (len(loaded.train.labels), len(loaded.test.labels)) == (24, 6)


def test_mixed_sizes_name_two_files_and_the_remedy(tmp_path: Path) -> None:
    places.image_folder(tmp_path)
    Image.new("L", (9, 9)).save(tmp_path / "right" / "big.png")
    with pytest.raises(BadData) as caught:
        load(places.images(tmp_path), tmp_path)
    one_line(caught, "must all have one size", "9x9 in", "big.png", "6x8 in", "data.size=[height,width]")
    assert len(load(places.images(tmp_path, size=[8, 6]), tmp_path).train.labels) == 25


def test_an_unreadable_image_stops_or_is_left_out_and_named(tmp_path: Path) -> None:
    places.image_folder(tmp_path)
    (tmp_path / "left" / "000.png").write_bytes(b"nothing of the kind")
    whole = (tmp_path / "left" / "001.png").read_bytes()
    (tmp_path / "left" / "001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData) as caught:
        load(places.images(tmp_path), tmp_path)
    one_line(caught, "got 2 that cannot be read", "000.png", "001.png", "data.on_error=skip")
    loaded = load(places.images(tmp_path, on_error=OnError.skip), tmp_path)
    assert [Path(name).name for name in loaded.unreadable] == ["000.png", "001.png"]
    assert len(loaded.train.labels) == 22


def test_the_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    data = places.images(places.image_folder(tmp_path))
    first = fingerprint(data, tmp_path)
    assert fingerprint(data, tmp_path) == first
    (tmp_path / "left" / "000.png").rename(tmp_path / "right" / "moved.png")
    second = fingerprint(data, tmp_path)
    Image.new("L", (6, 8)).save(tmp_path / "right" / "moved.png")
    assert len({first, second, fingerprint(data, tmp_path)}) == 3


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("no folder", "must be a folder with a folder for each class"),
        ("no classes", "a folder for each of two classes or more, got 0"),
        ("one class", "a folder for each of two classes or more, got 1"),
        ("empty class", "every class must have files"),
        ("unknown class", "must hold classes that"),
    ],
)
def test_a_folder_that_holds_no_classes_is_one_line(tmp_path: Path, kind: str, rule: str) -> None:
    root = tmp_path / "data"
    match kind:
        case "no classes":
            root.mkdir()
        case "one class":
            places.image_folder(root)
            (root / "left").rename(tmp_path / "elsewhere")
        case "empty class":
            places.image_folder(root)
            (root / "nothing").mkdir()
        case "unknown class":
            places.image_folder(root / "train")
            places.image_folder(root / "test")
            (root / "test" / "left").rename(root / "test" / "middle")
    with pytest.raises(DataMissing if kind == "no folder" else BadData) as caught:
        fingerprint(places.images(root), tmp_path)
    one_line(caught, rule)


# ---- sounds -------------------------------------------------------------------------------------------


def test_sounds_become_waves_of_one_length(tmp_path: Path) -> None:
    loaded = load(places.sounds(places.audio_folder(tmp_path), seconds=0.5), tmp_path)
    waves = np.asarray(loaded.train.features)
    assert loaded.kind == SoundSamples(8000)
    assert (waves.shape, waves.dtype) == ((24, 4000), np.int16)
    np.testing.assert_allclose(waves[12, :2400], places.tone(300), atol=2)
    assert not waves[:, 2400:].any()


@pytest.mark.parametrize("bytes_each", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_width_and_channel_sounds_the_same(tmp_path: Path, bytes_each: int, channels: int) -> None:
    wave = np.repeat(places.tone(440), channels) * 2.0 ** (8 * (bytes_each - 2))
    places.write_wav(tmp_path / "a.wav", wave, bytes_each=bytes_each, channels=channels)
    decoded, rate = sounds.decode_wav(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(decoded, places.tone(440) / 2**15, atol=1e-4)


def test_another_rate_is_told_or_brought_to_one(tmp_path: Path) -> None:
    places.audio_folder(tmp_path)
    places.write_wav(tmp_path / "low" / "fast.wav", places.tone(300, rate=16000), 16000)
    with pytest.raises(BadData) as caught:
        load(places.sounds(tmp_path), tmp_path)
    one_line(caught, "one sampling rate", "16000 Hz in", "fast.wav", "8000 Hz", "data.rate=8000")
    loaded = load(places.sounds(tmp_path, rate=8000), tmp_path)
    fast = np.asarray(loaded.train.features)[np.flatnonzero(loaded.train.labels == 1)[-1]]
    np.testing.assert_allclose(fast[100:1900], places.tone(300)[100:1900], atol=300)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"nothing of the kind" * 9, "half"])
def test_what_is_no_wav_is_named(tmp_path: Path, content: bytes | str) -> None:
    places.audio_folder(tmp_path)
    whole = (tmp_path / "low" / "000.wav").read_bytes()
    (tmp_path / "low" / "000.wav").write_bytes(content if isinstance(content, bytes) else whole[:2000])
    with pytest.raises(Unreadable):
        sounds.decode_wav(tmp_path / "low" / "000.wav")
    with pytest.raises(BadData) as caught:
        load(places.sounds(tmp_path), tmp_path)
    one_line(caught, "got 1 that cannot be read", "000.wav", "data.on_error=skip")


def test_the_spoken_digits_have_their_official_test_split(data_dir: str) -> None:
    told = {"seconds": 1.0, "test_speaker": "theo", **places.WHOLE}
    loaded = load(Fsdd(speaker_split=False, **told), Path(data_dir))  # type: ignore[arg-type]
    assert loaded.test is not None
    assert (len(loaded.train.labels), len(loaded.test.labels)) == (2250, 250)
    assert np.bincount(loaded.test.labels).tolist() == [25] * 10
    unseen = load(Fsdd(speaker_split=True, **told), Path(data_dir))  # type: ignore[arg-type]
    assert unseen.test is not None
    assert (len(unseen.train.labels), len(unseen.test.labels)) == (2000, 500)
    with pytest.raises(BadData, match="must be one of george, jackson, nicolas, theo, yweweler, got lucas"):
        load(Fsdd(1.0, True, "lucas", **places.WHOLE), Path(data_dir))  # type: ignore[arg-type]


# ---- archives -----------------------------------------------------------------------------------------


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
    one_line(caught, "within its own folder", name)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(BadData, match="must be a tar archive"):
        list(archives.read_members(tmp_path / "a.tar.gz", ".wav"))


# ---- texts --------------------------------------------------------------------------------------------


def test_texts_are_read_in_their_encoding(tmp_path: Path) -> None:
    data = places.texts(places.text_folder(tmp_path, encoding="cp1252"), encoding="cp1252")
    loaded = load(data, tmp_path)
    assert loaded.classes == ("bad", "good")
    assert "café" in loaded.train.features[np.array([3])][0]
    with pytest.raises(BadData) as caught:
        load(places.texts(tmp_path), tmp_path)
    one_line(caught, "got 40 that cannot be read", "utf-8", "and 37 more")


def test_the_reviews_are_windows_1252(data_dir: str) -> None:
    from pipeline.settings.data import RtPolarity

    loaded = load(RtPolarity(**places.WHOLE), Path(data_dir))  # type: ignore[arg-type]
    assert np.bincount(loaded.train.labels).tolist() == [5331, 5331]
    assert loaded.classes == ("negative", "positive")
    lines = loaded.train.features[np.arange(10662)]
    assert any("é" in line for line in lines)
    assert not any("\ufffd" in line or "\x96" in line for line in lines)
