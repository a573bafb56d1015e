"""How samples are cleaned, scaled, split and turned into features."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require

AUTO_RULE = "auto for texts and tables, which bring their own scaling"
"""What `preprocess.standardise` must be where the data is no image, array or sound."""


class Standardise(StrEnum):
    """What is brought to mean 0 and deviation 1: nothing, all features together, or each by itself."""

    auto = "auto"
    none = "none"
    overall = "overall"
    feature = "feature"


class Storage(StrEnum):
    """The dtype in which prepared features are stored."""

    float32 = "float32"
    uint8 = "uint8"


class Form(StrEnum):
    """What a text becomes: weights of n-grams (tf-idf), or the numbers of its words in order (tokens)."""

    auto = "auto"
    tfidf = "tfidf"
    tokens = "tokens"


class TextSplit(StrEnum):
    """What a text is cut into: words at spaces, letters; auto: letters where it is written without spaces."""

    auto = "auto"
    words = "words"
    letters = "letters"


@dataclass(slots=True, kw_only=True)
class Preprocess:
    """How samples are cleaned, scaled and split; `pieces`: of each number of a table, 0 for none."""

    validation: float
    test: float
    normalise: bool
    standardise: Standardise
    deduplicate: bool
    storage: Storage
    pieces: int
    seed: int

    def __post_init__(self) -> None:
        require(0 < self.validation < 1, "preprocess.validation", "> 0 and < 1", self.validation)
        require(0 < self.test < 1, "preprocess.test", "> 0 and < 1", self.test)
        require(
            self.validation + self.test < 1,
            "preprocess.validation",
            f"< 1 - preprocess.test ({1 - self.test:g})",
            self.validation,
        )
        require(0 <= self.pieces <= 64, "preprocess.pieces", ">= 0 (none) and <= 64", self.pieces)
        require(0 <= self.seed < 2**31, "preprocess.seed", ">= 0 and < 2147483648", self.seed)


@dataclass(slots=True, kw_only=True)
class Spectrogram:
    """How a sound becomes a log-mel spectrogram."""

    window_ms: float
    hop_ms: float
    mels: int
    low_hz: float
    high_hz: float | None
    floor_db: float

    def __post_init__(self) -> None:
        require(1 <= self.window_ms <= 1000, "spectrogram.window_ms", ">= 1 and <= 1000", self.window_ms)
        require(0 < self.hop_ms <= self.window_ms, "spectrogram.hop_ms", "> 0 and <= window_ms", self.hop_ms)
        require(4 <= self.mels <= 512, "spectrogram.mels", ">= 4 and <= 512", self.mels)
        require(self.low_hz >= 0, "spectrogram.low_hz", ">= 0", self.low_hz)
        require(
            self.high_hz is None or self.high_hz > self.low_hz,
            "spectrogram.high_hz",
            "> spectrogram.low_hz, or null (half the sampling rate)",
            self.high_hz,
        )
        require(-200 <= self.floor_db < 0, "spectrogram.floor_db", ">= -200 and < 0", self.floor_db)


@dataclass(slots=True)
class Vocabulary:
    """How a text becomes numbers."""

    form: Form
    split: TextSplit
    size: int
    ngrams: int
    length: int

    def __post_init__(self) -> None:
        require(2 <= self.size <= 1_000_000, "vocabulary.size", ">= 2 and <= 1000000", self.size)
        require(1 <= self.ngrams <= 5, "vocabulary.ngrams", ">= 1 and <= 5", self.ngrams)
        require(1 <= self.length <= 100_000, "vocabulary.length", ">= 1 and <= 100000", self.length)
