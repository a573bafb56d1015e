"""Folders of files of sound, each cut into excerpts of one length."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.features import SoundSamples
from pipeline.data.readers import folders, sounds
from pipeline.data.readers.file_tree import FileTree, LabelledFile
from pipeline.data.readers.loaded import LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.readers.sounds import SUFFIXES
from pipeline.data.report import Findings
from pipeline.errors import BadData
from pipeline.settings.data import AudioFolder

FORMAT = folders.FORMAT


def fingerprint(data: AudioFolder, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all files."""
    return folders.fingerprint(data.path, SUFFIXES, data.is_regression)


def load(data: AudioFolder, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read waveforms as int16 [n, samples], a row for each excerpt; those of a file are one group.

    Raises:
        BadData: as `folders.find_files` and `folders.load_splits`; or files have several rates and
            `data.rate` is null.
    """
    findings = Findings()
    tree = folders.find_files(data.path, SUFFIXES, findings, scratch, data.is_regression)
    return load_tree(data, tree, scratch, findings)


def load_tree(data: AudioFolder, tree: FileTree, scratch: ScratchSpace, findings: Findings) -> LoadedData:
    """Read the sounds of these files; `data.path` is not looked at.

    Raises:
        BadData: as `load`.
    """
    decode = SoundDecoder(data, findings)
    read = partial(folders.read_arrays, decode=decode, scratch=scratch)
    loaded = folders.load_splits(tree, data.on_error, read, findings, data.is_regression)
    return replace(loaded, kind=SoundSamples(decode.rate))


class SoundDecoder:
    """A function from a file to its excerpts, int16 [seconds x rate] each, less those of silence.

    Without `data.rate` all files must have the rate of the first.
    """

    def __init__(self, data: AudioFolder, findings: Findings) -> None:
        self._wanted_rate, self._seconds, self._findings = data.rate, data.seconds, findings
        self._first: tuple[str, int] | None = None

    def __call__(self, file: LabelledFile) -> list[np.ndarray]:
        wave, rate = sounds.decode_sound(file.path, lambda text: self._findings.add("sound", text, file.name))
        if self._wanted_rate is None:
            self._check_rate(file, rate)
        elif rate != self._wanted_rate:
            wave = sounds.resample(wave, rate, self._wanted_rate)
            self._findings.add("sound", f"brought from {rate} to {self._wanted_rate} Hz", file.name)
        return self._cut(wave, file)

    def _cut(self, wave: np.ndarray, file: LabelledFile) -> list[np.ndarray]:
        samples = max(1, round(self._seconds * self.rate))
        excerpts = list(sounds.cut_excerpts(wave, samples))
        if len(wave) > samples * len(excerpts):
            self._findings.add("sound", "with an end left out: shorter than half an excerpt", file.name)
        loud = sounds.drop_silence(excerpts)
        if not loud:
            self._findings.add("sound", "with nothing but silence", file.name)
            return excerpts[:1]
        if len(excerpts) > 1:
            longer = (
                f"longer than data.seconds={self._seconds:g}: a row for each excerpt; scored by file, too"
            )
            self._findings.add("sound", longer, file.name)
            quiet = "left out: 40 dB below the loudest excerpt of their sound"
            self._findings.add("excerpt", quiet, file.name, len(excerpts) - len(loud))
        return loud

    @property
    def rate(self) -> int:
        """Return the samples a second of all that was decoded."""
        if self._wanted_rate is not None:
            return self._wanted_rate
        assert self._first is not None
        return self._first[1]

    def _check_rate(self, file: LabelledFile, rate: int) -> None:
        if self._first is None:
            self._first = (file.name, rate)
        if rate != self._first[1]:
            raise BadData(
                f"sounds must all have one sampling rate, got {rate} Hz in {file.name} and "
                f"{self._first[1]} Hz in {self._first[0]}; bring them to one with "
                f"data.rate={min(rate, self._first[1])}"
            )
