"""Folders of WAV files."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.features import SoundSamples
from pipeline.data.readers import folders, sounds
from pipeline.data.readers.loaded import LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.errors import BadData
from pipeline.settings.data import AudioFolder

SUFFIXES = (".wav",)


def fingerprint(data: AudioFolder, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all files."""
    return folders.fingerprint(data.path, SUFFIXES)


def load(data: AudioFolder, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read waveforms as int16 [n, samples].

    Raises:
        BadData: as `folders.load_folders`; or files have several rates and `data.rate` is null.
    """
    decode = SoundDecoder(data)
    read = partial(folders.read_arrays, decode=decode, scratch=scratch)
    loaded = folders.load_folders(data.path, SUFFIXES, data.on_error, read)
    return replace(loaded, kind=SoundSamples(decode.rate))


class SoundDecoder:
    """A function from the path of a WAV file to its waveform, int16 [seconds x rate].

    Without `data.rate` all files must have the rate of the first.
    """

    def __init__(self, data: AudioFolder) -> None:
        self._wanted_rate, self._seconds = data.rate, data.seconds
        self._first: tuple[Path, int] | None = None

    def __call__(self, path: Path) -> np.ndarray:
        wave, rate = sounds.decode_wav(path)
        if self._wanted_rate is not None:
            wave = sounds.resample(wave, rate, self._wanted_rate)
        else:
            self._check_rate(path, rate)
        return sounds.cut_or_pad(wave, round(self._seconds * self.rate))

    @property
    def rate(self) -> int:
        """Return the samples a second of all that was decoded."""
        if self._wanted_rate is not None:
            return self._wanted_rate
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
