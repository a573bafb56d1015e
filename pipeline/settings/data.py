"""Where samples come from: a class for each kind of data, which stands for an option of conf/data."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.settings.rules import require


class OnError(StrEnum):
    """What happens where a file cannot be read."""

    stop = "stop"
    skip = "skip"


class Task(StrEnum):
    """What is learned: one of several classes, or a quantity."""

    classification = "classification"
    regression = "regression"


class Colours(StrEnum):
    """What an image is read as: one channel, or red, green and blue."""

    grey = "grey"
    rgb = "rgb"


@dataclass(slots=True, kw_only=True)
class Data:
    """Where samples come from; one subclass for each kind.

    `fraction`: share of each class's training rows that is used; a smaller one lies within a larger one.
    `in_memory_limit`: bytes of training features above which rows stay on disk and stream. `fits_training`:
    whether epochs and batch that nobody chose follow from the number of rows (`rows_defaults`).
    """

    fits_training = True

    fraction: float
    in_memory_limit: int

    @property
    def is_regression(self) -> bool:
        """Return whether the labels are quantities; kinds of data without a `task` have classes."""
        return getattr(self, "task", Task.classification) is Task.regression

    def __post_init__(self) -> None:
        require(0 < self.fraction <= 1, "data.fraction", "> 0 and <= 1", self.fraction)
        require(self.in_memory_limit >= 0, "data.in_memory_limit", ">= 0 (bytes)", self.in_memory_limit)


class SoundData(Data):
    """Waveforms, of which a spectrogram is computed before the network."""

    __slots__ = ()


class TextData(Data):
    """Texts, which a vocabulary turns into numbers before the network."""

    __slots__ = ()


@dataclass(slots=True)
class Digits(Data):
    """scikit-learn's 1,797 handwritten digits, 8x8; shipped with scikit-learn."""

    fits_training = False


@dataclass(slots=True)
class Mnist(Data):
    """MNIST, 60,000 + 10,000 images, 28x28; downloaded once and checked by SHA-256."""

    fits_training = False


@dataclass(slots=True)
class Idx(Data):
    """Four IDX files (plain or .gz) in one folder."""

    path: str
    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


class Channels(StrEnum):
    """Where arrays of images have their channels: [n, height, width, channels], or [n, channels, ...]."""

    last = "last"
    first = "first"


@dataclass(slots=True, kw_only=True)
class Arrays(Data):
    """Named arrays in an .npz, HDF5 or MATLAB file, or .npy files in a folder; the test names may be null.

    `channels`: null where it can be told from the shape.
    """

    path: str
    features: str
    labels: str
    test_features: str | None
    test_labels: str | None
    channels: Channels | None
    task: Task = Task.classification

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(
            (self.test_features is None) == (self.test_labels is None),
            "data.test_features",
            "set together with data.test_labels",
            self.test_features,
        )


@dataclass(slots=True)
class Fsdd(SoundData):
    """Free Spoken Digit Dataset 1.0.9: 2,500 recordings at 8 kHz.

    The test split is the recordings 0 to 4 of each digit and speaker, or with `speaker_split` all
    recordings of `test_speaker`.
    """

    fits_training = False

    seconds: float
    speaker_split: bool
    test_speaker: str

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(0 < self.seconds <= 60, "data.seconds", "> 0 and <= 60", self.seconds)


@dataclass(slots=True)
class AudioFolder(SoundData):
    """Sounds, in a folder with a folder for each class, an archive of one, or named by a list.

    `seconds`: of an excerpt; a longer sound is several rows.
    """

    path: str
    seconds: float
    rate: int | None
    on_error: OnError
    task: Task = Task.classification

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(0 < self.seconds <= 600, "data.seconds", "> 0 and <= 600", self.seconds)
        valid = self.rate is None or 1000 <= self.rate <= 400_000
        require(valid, "data.rate", ">= 1000 and <= 400000 (Hz), or null (all files have one)", self.rate)


@dataclass(slots=True)
class RtPolarity(TextData):
    """Sentences of film reviews, 5,331 positive and 5,331 negative (Pang and Lee 2005)."""

    fits_training = False


@dataclass(slots=True)
class TextFolder(TextData):
    """Texts (.txt), in a folder with a folder for each class, an archive of one, or named by a list.

    `encoding`: "auto" to detect it.
    """

    path: str
    encoding: str
    on_error: OnError
    task: Task = Task.classification

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        try:
            "".encode(self.encoding)
            exists = True
        except LookupError:
            exists = self.encoding == "auto"
        require(exists, "data.encoding", "auto, or an encoding such as utf-8 or cp1252", self.encoding)


@dataclass(slots=True, kw_only=True)
class ImageFolder(Data):
    """Images, in a folder with a folder for each class, an archive of one, or named by a list.

    `size`: [height, width] to which all are scaled; null where all have the same size. `background`: the
    colour that shows through transparent parts.
    """

    path: str
    size: list[int] | None
    colours: Colours
    background: str
    on_error: OnError
    task: Task = Task.classification

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        fits = self.size is None or (len(self.size) == 2 and all(1 <= side <= 4096 for side in self.size))
        require(fits, "data.size", "[height, width], each >= 1 and <= 4096, or null", self.size)
        known = re.fullmatch(r"white|black|grey|#[0-9a-fA-F]{6}", self.background) is not None
        require(known, "data.background", "white, black, grey or #RRGGBB", self.background)


@dataclass(slots=True, kw_only=True)
class Datasets(Data):
    """A data set of the Hugging Face package `datasets`, which must be installed apart.

    `name`: on the Hub, or the path of a folder or file; `config`: its variant; `label`: the column that is
    learned, null where it can be told; `features`: the columns learned from, null for all but the label.
    What they hold decides on the rest: images (`size`, `colours`, `background`), sounds (`seconds`, `rate`),
    one column of texts, or a table.
    """

    name: str
    config: str | None
    label: str | None
    features: list[str] | None
    size: list[int] | None
    colours: Colours
    background: str
    seconds: float
    rate: int | None
    on_error: OnError
    task: Task = Task.classification

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        self.make_image_folder()  # these check what they have in common with this
        self.make_audio_folder()
        require(self.features != [], "data.features", "one column or more, or null (all but the label)", "[]")
        require(
            self.label is None or self.label not in (self.features or ()),
            "data.features",
            f"columns without data.label ({self.label})",
            self.features,
        )

    def make_image_folder(self) -> ImageFolder:
        """Return the settings of images alone."""
        return ImageFolder(
            path=self.name,
            size=self.size,
            colours=self.colours,
            background=self.background,
            **self._list_common(),
        )

    def make_audio_folder(self) -> AudioFolder:
        """Return the settings of sounds alone."""
        return AudioFolder(path=self.name, seconds=self.seconds, rate=self.rate, **self._list_common())

    def _list_common(self) -> dict[str, Any]:
        names = ("on_error", "task", "fraction", "in_memory_limit")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Tfds(Data):
    """A classification set of TensorFlow Datasets, a package that must be installed apart."""

    name: str

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        valid = re.fullmatch(r"[\w./:+-]+", self.name) is not None
        require(valid, "data.name", "a name of the catalogue such as mnist", self.name)
