"""Kinds of data with a front end before the network, or from folders and tables; see `settings.Data`."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.data import Data
from pipeline.settings.rules import require


class OnError(StrEnum):
    """What happens where a file cannot be read."""

    stop = "stop"
    skip = "skip"


class Colours(StrEnum):
    grey = "grey"
    rgb = "rgb"


class SoundData(Data):
    """Waveforms; a spectrogram stands before the network."""

    __slots__ = ()


class TextData(Data):
    """Texts; a vocabulary stands before the network."""

    __slots__ = ()


@dataclass(slots=True)
class Fsdd(SoundData):
    """Free Spoken Digit Dataset 1.0.9: 2,500 recordings, 8 kHz; test: numbers 0-4 of each digit and speaker.

    With `speaker_split` all recordings of `test_speaker` are the test split instead.
    """

    seconds: float
    speaker_split: bool
    test_speaker: str

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(0 < self.seconds <= 60, "data.seconds", "> 0 and <= 60", self.seconds)


@dataclass(slots=True)
class AudioFolder(SoundData):
    """A folder with a folder of WAV files for each class."""

    path: str
    seconds: float
    rate: int | None
    on_error: OnError

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(0 < self.seconds <= 600, "data.seconds", "> 0 and <= 600", self.seconds)
        known = self.rate is None or 1000 <= self.rate <= 400_000
        require(known, "data.rate", ">= 1000 and <= 400000 (Hz), or null (all files have one)", self.rate)


@dataclass(slots=True)
class RtPolarity(TextData):
    """Sentences of film reviews, 5,331 positive and 5,331 negative (Pang and Lee 2005)."""


@dataclass(slots=True)
class TextFolder(TextData):
    """A folder with a folder of .txt files for each class."""

    path: str
    encoding: str
    on_error: OnError

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        try:
            "".encode(self.encoding)
            known = True
        except LookupError:
            known = False
        require(known, "data.encoding", "an encoding such as utf-8 or cp1252", self.encoding)


@dataclass(slots=True)
class Csv(Data):
    """A table with a header: numbers and categories, or with `text` one column of texts.

    `columns`, `categorical`: null: all but the label; those whose cells are no numbers.
    """

    path: str
    label: str
    test_path: str | None
    text: str | None
    columns: list[str] | None
    categorical: list[str] | None
    separator: str
    encoding: str

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(len(self.separator) == 1, "data.separator", "one character", self.separator)
        require(
            self.text is None or self.columns is None,
            "data.columns",
            "null with data.text (one column of texts)",
            self.columns,
        )


@dataclass(slots=True)
class ImageFolder(Data):
    """A folder with a folder of PNG, JPEG, BMP or GIF images for each class.

    `size`: [height, width] to which all are scaled; null: they all have one size.
    """

    path: str
    size: list[int] | None
    colours: Colours
    on_error: OnError

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        fits = self.size is None or (len(self.size) == 2 and all(1 <= side <= 4096 for side in self.size))
        require(fits, "data.size", "[height, width], each >= 1 and <= 4096, or null", self.size)


@dataclass(slots=True)
class Tfds(Data):
    """A classification set of TensorFlow Datasets, which is no part of this package's own requirements."""

    name: str

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        known = re.fullmatch(r"[\w./:+-]+", self.name) is not None
        require(known, "data.name", "a name of the catalogue such as mnist", self.name)
