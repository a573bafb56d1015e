"""WAV files: folders of them, and the Free Spoken Digit Dataset."""

import io
import re
import warnings
from functools import partial
from math import gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.data.features import Sound
from pipeline.data.sources import archives, folders
from pipeline.data.sources.downloads import RemoteFile, fetched
from pipeline.data.sources.folders import Unreadable
from pipeline.data.sources.loaded import Loaded, Samples, digest
from pipeline.data.sources.scratch import Scratch
from pipeline.errors import BadData
from pipeline.settings.data_kinds import AudioFolder, Fsdd

SUFFIXES = (".wav",)
FSDD = RemoteFile(
    "fsdd-1.0.9.tar.gz",
    "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
    ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/",),
    "fsdd",
    "v1.0.9.tar.gz",
)
FSDD_RATE = 8000
OFFICIAL_TEST = range(5)
"""Numbers of the recordings that the data set's authors keep for the test."""

# ---- one file -----------------------------------------------------------------------------------------


def decoded(file: Path | BinaryIO) -> tuple[np.ndarray, int]:
    """Float64 [n] in -1..1, channels averaged, and the sampling rate.

    Raises:
        Unreadable: no WAV file, or one without sound.
    """
    from scipy.io import wavfile  # type: ignore[import-untyped]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks with the artist's name and such
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, samples = wavfile.read(file)
    except Exception as error:  # of many kinds, for a file that is no WAV or only a part of one
        raise Unreadable(str(error) or type(error).__name__) from None
    if not samples.size or rate <= 0:
        raise Unreadable("no sound in it")
    if samples.dtype == np.uint8:
        wave = (samples.astype(np.float64) - 128) / 128
    elif samples.dtype.kind == "i":
        wave = samples / -float(np.iinfo(samples.dtype).min)
    else:
        wave = np.nan_to_num(samples.astype(np.float64)).clip(-1, 1)
    return (wave.mean(axis=1) if wave.ndim == 2 else wave), int(rate)


def resampled(wave: np.ndarray, rate: int, to: int) -> np.ndarray:
    """The same sound at another rate, by a polyphase filter."""
    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    if rate == to:
        return wave
    common = gcd(rate, to)
    changed: np.ndarray = resample_poly(wave, to // common, rate // common)
    return changed


def fitted(wave: np.ndarray, samples: int) -> np.ndarray:
    """Int16 [samples]: cut, or ended in silence."""
    loud = np.rint(wave[:samples] * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
    return np.pad(loud, (0, samples - len(loud)))


# ---- folders ------------------------------------------------------------------------------------------


def fingerprint(data: AudioFolder) -> str:
    return folders.fingerprint(folders.find(data.path, SUFFIXES))


def load(data: AudioFolder, scratch: Scratch) -> Loaded:
    """Waveforms int16 [n, samples].

    Raises:
        BadData: see `folders`; or files have several rates and `data.rate` is null.
    """
    tree = folders.find(data.path, SUFFIXES)
    decode = Decoder(data)
    read = partial(folders.arrays, decode=decode, on_error=data.on_error, room=scratch.room)
    train, unreadable = read(tree.train)
    test: Samples | None = None
    if tree.test is not None:
        test, more = read(tree.test)
        unreadable = [*unreadable, *more]
    return Loaded(train, test, tree.classes, Sound(decode.rate), tuple(unreadable))


class Decoder:
    """One file as int16 of one length; without a rate asked for the first one's rate is every one's."""

    def __init__(self, data: AudioFolder) -> None:
        self._asked, self._seconds = data.rate, data.seconds
        self._first: tuple[Path, int] | None = None

    def __call__(self, path: Path) -> np.ndarray:
        wave, rate = decoded(path)
        if self._asked is not None:
            wave = resampled(wave, rate, self._asked)
        else:
            self._check_rate(path, rate)
        return fitted(wave, round(self._seconds * self.rate))

    @property
    def rate(self) -> int:
        """Of all that was decoded."""
        if self._asked is not None:
            return self._asked
        assert self._first is not None
        return self._first[1]

    def _check_rate(self, path: Path, rate: int) -> None:
        if self._first is None:
            self._first = (path, rate)
        if rate != self._first[1]:
            raise BadData(
                f"WAV files must all have one sampling rate, got {rate} Hz in {path} and {self._first[1]} Hz "
                f"in {self._first[0]}; bring them to one with data.rate={min(rate, self._first[1])}"
            )


# ---- Free Spoken Digit Dataset --------------------------------------------------------------------------


def fsdd_fingerprint(data_dir: Path) -> str:
    return digest([fetched(FSDD, data_dir)])


def fsdd_load(data: Fsdd, data_dir: Path) -> Loaded:
    """Digits 0 to 9 by five speakers; which recordings are the test, the settings say.

    Raises:
        BadData: there is no such speaker.
    """
    waves, labels, tests, speakers = [], [], [], set()
    for name, content in archives.members(fetched(FSDD, data_dir), ".wav"):
        digit, speaker, number = re.fullmatch(r".*?(\d)_(\w+)_(\d+)\.wav", name).groups()  # type: ignore[union-attr]
        waves.append(fitted(decoded(io.BytesIO(content))[0], round(data.seconds * FSDD_RATE)))
        labels.append(int(digit))
        speakers.add(speaker)
        official = int(number) in OFFICIAL_TEST
        tests.append(speaker == data.test_speaker if data.speaker_split else official)
    if data.speaker_split and data.test_speaker not in speakers:
        raise BadData(
            f"data.test_speaker must be one of {', '.join(sorted(speakers))}, got {data.test_speaker}"
        )
    all_waves, all_labels, apart = np.stack(waves), np.array(labels), np.array(tests)
    train, test = (Samples(all_waves[rows], all_labels[rows]) for rows in (~apart, apart))
    return Loaded(train, test, tuple(str(digit) for digit in range(10)), Sound(FSDD_RATE))
