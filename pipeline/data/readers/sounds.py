"""Files of sound as waveforms of one rate, and as excerpts of one length."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.data.readers.compression import MOST_RATIO, compute_bound
from pipeline.data.readers.folders import Unreadable

SUFFIXES = tuple(
    f".{name}"
    for name in "wav wave flac ogg oga opus mp3 aif aiff aifc au snd caf w64 rf64".split()  # noqa: SIM905
)
FULL_SCALE = 2**15
FLOAT_BYTES = 4
QUIET = 0.01
"""An excerpt of so small a share of the loudest one's amplitude, 40 dB below it, is silence."""
OPPOSED = 0.05
"""Where channels add up to less than this share of the loudest of them, they are of opposite phase."""
MAX_RATIO = 10_000
"""Largest whole number in a ratio of two rates; the filter has some twenty times as many taps."""
CODECS = {
    0x0001: "PCM, of a form",
    0x0003: "floats, of a form",
    0x0050: "MPEG layer 2",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x0160: "WMA 1",
    0x0161: "WMA 2",
    0x0162: "WMA Pro",
    0x0163: "WMA lossless",
    0x0270: "ATRAC 3",
    0x1600: "AAC",
    0x1602: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
    0xFFFE: "of an extension, of a form",
}
"""What WAV files may hold that libsndfile does not know, by the number in them (RFC 2361)."""
CONTAINERS = (
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"0&\xb2u", "Windows Media (WMA)"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
)
"""What files of sound may be in spite of their names: the place of the first bytes, these, and what it is."""
Note = Callable[[str], None]


def ignore(_text: str) -> None:
    """Drop a note."""


def decode_sound(file: Path | BinaryIO, note: Note = ignore) -> tuple[np.ndarray, int]:
    """Read a file of sound: float32 [n] in -1..1, one channel, and the samples a second.

    Channels are averaged, but where they cancel each other, the loudest is taken. Floats beyond -1..1 are
    brought into it: by the range of the integers that they were, or by their peak. `note`: gets what was
    done beyond reading.

    Raises:
        Unreadable: it is no sound, damaged, cut short, or has nothing in it.
    """
    try:
        _check_length(file)
        channels, rate, expected = _read_channels(file)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("too large for the memory") from None
    except Exception as error:  # libsndfile's, and the system's
        text = str(error).replace(repr(str(file)), "it").removeprefix("Error opening it: ")
        raise Unreadable(text or type(error).__name__) from None
    if not channels.size or rate <= 0:
        raise Unreadable("no sound in it")
    if len(channels) < expected:
        raise Unreadable(f"cut short: {len(channels)} of {expected} samples")
    if not np.isfinite(channels).all():
        raise Unreadable("NaN or infinite samples")
    return _mix(_bring_into_range(channels, note), note), rate


def _read_channels(file: Path | BinaryIO) -> tuple[np.ndarray, int, int]:
    """Read float32 [n, channels], the samples a second, and how many there should be."""
    import soundfile  # type: ignore[import-untyped]

    try:
        with soundfile.SoundFile(file) as opened:
            if opened.frames * opened.channels * FLOAT_BYTES > compute_bound(_measure_bytes(file)):
                raise Unreadable(f"it unpacks to more than {MOST_RATIO} times its size")
            expected = 0 if opened.format == "MP3" else opened.frames  # MP3 does not say how long it is
            frames = -1 if opened.seekable() else opened.frames  # some codecs, as GSM 6.10, are read on alone
            samples = opened.read(frames, dtype="float32", always_2d=True)
            return samples, int(opened.samplerate), expected
    except soundfile.LibsndfileError:
        wide = _read_wide_wav(file)
        if wide is None:
            _name_codec(file)
            raise
        return (*wide, 0)


def _measure_bytes(file: Path | BinaryIO) -> int:
    if isinstance(file, Path):
        return file.stat().st_size
    place = file.tell()
    size = file.seek(0, 2)
    file.seek(place)
    return size


def _read_wide_wav(file: Path | BinaryIO) -> tuple[np.ndarray, int] | None:
    """Read WAV of integers above 32 bits, which libsndfile does not know; None where it is something else."""
    from scipy.io import wavfile  # type: ignore[import-untyped]

    try:
        rate, samples = wavfile.read(file)
    except Exception:  # of many kinds, for a file that is no WAV
        return None
    if samples.dtype != np.int64:
        return None
    return np.atleast_2d(samples.T / 2.0**63).T.astype(np.float32), int(rate)


def _name_codec(file: Path | BinaryIO) -> None:
    """Raise Unreadable with what is in a file that libsndfile cannot read, where its head says so."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            head = opened.read(4096)
    else:
        file.seek(0)
        head = file.read(4096)
    remedy = "which is not read here: convert it to FLAC or to WAV with PCM"
    if head[:4] in (b"RIFF", b"RF64") and (start := head.find(b"fmt ")) > 0:
        number = int.from_bytes(head[start + 8 : start + 10], "little")
        raise Unreadable(f"WAV with the codec {CODECS.get(number, f'number {number:#06x}')}, {remedy}")
    for place, magic, form in CONTAINERS:
        if head[place : place + len(magic)] == magic:
            raise Unreadable(f"{form}, {remedy}")


def _check_length(file: Path | BinaryIO) -> None:
    """Raise Unreadable where a WAV file has fewer bytes than it says; libsndfile passes over that."""
    if not isinstance(file, Path):
        return
    with file.open("rb") as opened:
        header = opened.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WAVE":
            return
        while len(chunk := opened.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                there = file.stat().st_size - opened.tell()
                # a recorder that was never told the length writes the largest number or 0
                if there < size < 2**31 - 2**16:
                    raise Unreadable(f"cut short: {there} of {size} bytes of sound")
                return
            opened.seek(size + size % 2, 1)


def _bring_into_range(channels: np.ndarray, note: Note) -> np.ndarray:
    peak = float(np.abs(channels).max())
    if peak <= 1:
        return channels
    if peak <= 8:  # recorded too loud
        note("louder than full scale: divided by their peak")
        return channels / np.float32(peak)
    note("floats in the range of integers: divided by that range")
    ranges = (2.0**15, 2.0**23, 2.0**31)
    return channels / np.float32(next((each for each in ranges if peak <= each), peak))


def _mix(channels: np.ndarray, note: Note) -> np.ndarray:
    if channels.shape[1] == 1:
        return channels[:, 0]
    mixed: np.ndarray = channels.mean(axis=1)
    energies = np.square(channels, dtype=np.float64).mean(axis=0)
    loudest = int(energies.argmax())
    if np.square(mixed, dtype=np.float64).mean() < OPPOSED**2 * energies[loudest]:
        note("of channels in opposite phase: the loudest channel is used")
        return channels[:, loudest]
    return mixed


def resample(wave: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Convert a waveform [n] from `rate` to `to` samples a second, by a polyphase filter.

    Raises:
        Unreadable: the rates are too far apart, as of a damaged header.
    """
    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    if rate == to:
        return wave
    ratio = Fraction(to, rate).limit_denominator(MAX_RATIO)
    if not ratio or ratio.numerator > 100 * MAX_RATIO or ratio > 1000:
        raise Unreadable(f"a rate of {rate} Hz, which cannot be brought to {to} Hz")
    changed: np.ndarray = resample_poly(wave, ratio.numerator, ratio.denominator)
    return changed


def cut_or_pad(wave: np.ndarray, samples: int) -> np.ndarray:
    """Convert a waveform in -1..1 to int16 [samples]: cut at the end, or followed by silence."""
    loud = np.rint(wave[:samples] * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return np.pad(loud, (0, samples - len(loud)))


def cut_excerpts(wave: np.ndarray, samples: int) -> Iterator[np.ndarray]:
    """Yield a waveform in -1..1 as excerpts int16 [samples], one after the other; the last is padded.

    What is left after the last whole excerpt is an excerpt of its own where it is half of one or more.
    """
    yield cut_or_pad(wave, samples)
    for start in range(samples, len(wave) - samples // 2 + 1, samples):
        yield cut_or_pad(wave[start:], samples)


def drop_silence(excerpts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the excerpts of one sound, int16 [n] each, that are no silence beside its loudest one."""
    loudness = [float(np.sqrt(np.square(excerpt, dtype=np.float64).mean())) for excerpt in excerpts]
    return [
        excerpt
        for excerpt, rms in zip(excerpts, loudness, strict=True)
        if rms > max(1, QUIET * max(loudness))
    ]
