"""Files of sound as waveforms."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io  # type: ignore[import-untyped]
import soundfile  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from pipeline.data.readers import sounds
from pipeline.data.readers.folders import Unreadable
from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places

TONE = places.tone(440) / 2**15


def decode(path: Path) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    wave, rate = sounds.decode_sound(path, notes.append)
    assert rate == 8000
    return wave, notes


@pytest.mark.parametrize("bytes_each", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_width_and_channel_sounds_the_same(tmp_path: Path, bytes_each: int, channels: int) -> None:
    wave = np.repeat(places.tone(440), channels) * 2.0 ** (8 * (bytes_each - 2))
    places.write_wav(tmp_path / "a.wav", wave, bytes_each=bytes_each, channels=channels)
    np.testing.assert_allclose(decode(tmp_path / "a.wav")[0], TONE, atol=1e-4)


@pytest.mark.parametrize(
    ("suffix", "subtype", "error"),
    [
        ("wav", "PCM_U8", 0.01),
        ("wav", "PCM_24", 1e-6),
        ("wav", "FLOAT", 1e-6),
        ("wav", "DOUBLE", 1e-6),
        ("wav", "ULAW", 0.03),
        ("wav", "ALAW", 0.03),
        ("wav", "IMA_ADPCM", 0.1),
        ("flac", "PCM_16", 1e-4),
        ("flac", "PCM_24", 1e-6),
        ("aiff", "PCM_16", 1e-4),
        ("au", "FLOAT", 1e-6),
        ("ogg", "VORBIS", 0.1),
        ("ogg", "OPUS", 0.1),
        ("mp3", "MPEG_LAYER_III", 0.1),
        ("w64", "PCM_16", 1e-4),
        ("caf", "PCM_16", 1e-4),
    ],
)
def test_every_kind_of_file_sounds_the_same(tmp_path: Path, suffix: str, subtype: str, error: float) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", TONE, 8000, subtype)
    assert f".{suffix}" in sounds.SUFFIXES
    wave, notes = decode(tmp_path / f"a.{suffix}")
    delay = 1105 if suffix == "mp3" else 0  # that of the coder
    spectrum = np.abs(np.fft.rfft(wave[delay:][:2000] * np.hanning(len(wave[delay:][:2000]))))
    assert spectrum.argmax() * 8000 / len(wave[delay:][:2000]) == pytest.approx(440, abs=8)
    assert np.abs(wave).max() == pytest.approx(0.5, abs=max(error, 0.02))
    if error < 0.1:
        np.testing.assert_allclose(wave[: len(TONE)], TONE, atol=error)
    assert notes == []


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32", "IMA_ADPCM", "MS_ADPCM"])
def test_wav_of_the_codecs_of_telephones_sounds_the_same(tmp_path: Path, subtype: str) -> None:
    """Some of them cannot be read from another place than their beginning."""
    soundfile.write(tmp_path / "a.wav", TONE, 8000, subtype=subtype)
    wave, _ = decode(tmp_path / "a.wav")
    assert abs(len(wave) - len(TONE)) < 600  # their blocks are filled up
    errors = [np.sqrt(np.mean((wave[shift : shift + 1800] - TONE[:1800]) ** 2)) for shift in range(12)]
    assert min(errors) < 0.1 * np.sqrt(np.mean(TONE**2))


@pytest.mark.parametrize(
    ("number", "codec"),
    [(0x55, "MP3"), (0xFF, "AAC"), (0x161, "WMA 2"), (0x2000, "AC-3"), (0x7ABC, "0x7abc")],
)
def test_a_codec_that_is_not_known_is_named(tmp_path: Path, number: int, codec: str) -> None:
    places.write_wav(tmp_path / "a.wav", places.tone(440))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[20:22] = number.to_bytes(2, "little")
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(Unreadable, match=rf"WAV with the codec .*{codec}.*: convert it to FLAC"):
        decode(tmp_path / "a.wav")


def test_a_file_of_another_form_than_its_name_says_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"\0\0\0 ftypM4A " + b"\0" * 500)
    with pytest.raises(Unreadable, match="MP4 or M4A, which is not read here"):
        decode(tmp_path / "a.wav")


@pytest.mark.parametrize("scale", [2**15, 2**23, 2**31 - 1, 1e12])
def test_floats_in_the_range_of_integers_are_brought_back(tmp_path: Path, scale: float) -> None:
    soundfile.write(tmp_path / "a.wav", TONE * 1.99 * scale, 8000, "DOUBLE")
    wave, notes = decode(tmp_path / "a.wav")
    assert notes == ["floats in the range of integers: divided by that range"]
    factor = 1.99 if scale < 1e12 else 1 / np.abs(TONE).max()
    np.testing.assert_allclose(wave, TONE * factor, atol=1e-3)


def test_what_is_louder_than_full_scale_keeps_its_form(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", TONE * 3, 8000, "FLOAT")
    wave, notes = decode(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, TONE / np.abs(TONE).max(), atol=1e-5)
    assert notes == ["louder than full scale: divided by their peak"]


@pytest.mark.parametrize("others", [-0.999, -1.0])
def test_channels_in_opposite_phase_do_not_cancel(tmp_path: Path, others: float) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, TONE * others], 1), 8000)
    wave, notes = decode(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, TONE, atol=1e-3)
    assert notes == ["of channels in opposite phase: the loudest channel is used"]


def test_one_channel_of_six_is_heard(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, *[0 * TONE] * 5], 1), 8000)
    wave, notes = decode(tmp_path / "a.wav")
    np.testing.assert_allclose(wave, TONE / 6, atol=1e-3)
    assert notes == []


@pytest.mark.parametrize("to", [4000, 11025, 16000, 44100, 7999, 48000])
def test_a_tone_stays_one_at_another_rate(to: int) -> None:
    wave = sounds.resample(places.tone(440, seconds=1) / 2**15, 8000, to)
    assert len(wave) == pytest.approx(to, abs=2)
    expected = places.tone(440, seconds=1, rate=to)[: len(wave)] / 2**15
    middle = slice(len(wave) // 10, -len(wave) // 10)
    np.testing.assert_allclose(wave[: len(expected)][middle], expected[middle], atol=0.01)


def test_what_is_above_half_the_rate_is_filtered_out() -> None:
    wave = sounds.resample(places.tone(3500, seconds=1) / 2**15, 8000, 4000)
    assert np.abs(wave[100:-100]).max() < 0.01


def test_rates_that_are_far_apart_are_a_damaged_header() -> None:
    with pytest.raises(Unreadable, match="a rate of 2147483647 Hz"):
        sounds.resample(TONE, 2**31 - 1, 8000)
    with pytest.raises(Unreadable, match="a rate of 1 Hz"):
        sounds.resample(TONE, 1, 8000)


@pytest.mark.parametrize(("samples", "excerpts"), [(50, 1), (100, 1), (149, 1), (150, 2), (200, 2), (260, 3)])
def test_a_sound_is_cut_into_excerpts(samples: int, excerpts: int) -> None:
    wave = np.linspace(0.1, 0.9, samples)
    cut = list(sounds.cut_excerpts(wave, 100))
    assert [len(excerpt) for excerpt in cut] == [100] * excerpts
    whole = np.concatenate(cut)
    expected = np.rint(wave * 2**15)[: 100 * excerpts]
    np.testing.assert_array_equal(whole[: len(expected)], expected)
    assert not whole[len(expected) :].any()


def test_silence_beside_sounds_is_left_out() -> None:
    loud, quiet = np.full(10, 3000, np.int16), np.full(10, 20, np.int16)
    assert len(sounds.drop_silence([quiet, loud, loud // 2])) == 2
    assert len(sounds.drop_silence([quiet, quiet])) == 2
    assert sounds.drop_silence([quiet * 0]) == []


@pytest.mark.parametrize("content", [b"", b"RIFF", b"nothing of the kind" * 9, "half", "NaN", "no frames"])
def test_what_is_no_sound_is_named(tmp_path: Path, content: bytes | str) -> None:
    places.audio_folder(tmp_path)
    path = tmp_path / "low" / "000.wav"
    match content:
        case bytes():
            path.write_bytes(content)
        case "half":
            path.write_bytes(path.read_bytes()[:2000])
        case "NaN":
            soundfile.write(path, np.array([0.1, np.nan]), 8000, "FLOAT")
        case _:
            soundfile.write(path, np.zeros(0), 8000)
    with pytest.raises(Unreadable):
        sounds.decode_sound(path)
    with pytest.raises(BadData) as caught:
        load(places.sounds(tmp_path), tmp_path)
    places.assert_one_line(caught, "got 1 that cannot be read", "000.wav", "data.on_error=skip")


def test_a_file_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    places.write_wav(tmp_path / "a.wav", places.tone(440))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    start = content.index(b"data") + 4
    content[start : start + 4] = b"\xff" * 4  # as ffmpeg writes into a pipe
    (tmp_path / "a.wav").write_bytes(content)
    np.testing.assert_allclose(decode(tmp_path / "a.wav")[0], TONE, atol=1e-4)


@settings(max_examples=60)
@given(
    place=st.floats(0, 1),
    noise=st.binary(min_size=1, max_size=40),
    suffix=st.sampled_from(["WAV", "FLAC", "OGG", "AIFF", "MP3"]),
)
def test_damaged_sounds_are_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, place: float, noise: bytes, suffix: str
) -> None:
    file = io.BytesIO()
    soundfile.write(file, TONE, 8000, format=suffix)
    content = bytearray(file.getvalue())
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    path = tmp_path_factory.mktemp("damaged") / f"a.{suffix.lower()}"
    path.write_bytes(content)
    try:
        wave, _ = sounds.decode_sound(path)
    except Unreadable:
        return
    assert np.abs(wave).max() <= 1


INSTALLED = sorted(Path(scipy.io.__file__).parent.rglob("*.wav"))


@pytest.mark.skipif(not INSTALLED, reason="this SciPy comes without the files of its own tests")
@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_the_files_of_scipy_are_read_as_scipy_does(path: Path) -> None:
    try:
        rate, samples = wavfile.read(path)
    except ValueError:
        with suppress(Unreadable):  # libsndfile knows some that SciPy does not
            assert sounds.decode_sound(path)[0].ndim == 1
        return
    if "early-eof" in path.name:  # SciPy reads what is there
        with pytest.raises(Unreadable, match="cut short"):
            sounds.decode_sound(path)
        return
    kind = samples.dtype.kind
    scale = 2.0**7 if samples.dtype == np.uint8 else -float(np.iinfo(samples.dtype).min) if kind == "i" else 1
    expected = (samples.astype(float) - (128 if kind == "u" else 0)) / scale
    wave, its_rate = sounds.decode_sound(path)
    assert its_rate == rate
    np.testing.assert_allclose(wave, expected.reshape(len(expected), -1).mean(axis=1), atol=1e-6)
