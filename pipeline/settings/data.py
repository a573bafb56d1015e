"""Where samples come from."""

from dataclasses import dataclass

from pipeline.settings.rules import require


@dataclass(slots=True, kw_only=True)
class Data:
    """Where samples come from; one subclass a kind.

    `fraction`: of each class's training rows, that are used; a smaller part lies within a larger one.
    `in_memory_limit`: bytes of training features above which rows stay on disk and stream.
    """

    fraction: float
    in_memory_limit: int

    def __post_init__(self) -> None:
        require(0 < self.fraction <= 1, "data.fraction", "> 0 and <= 1", self.fraction)
        require(self.in_memory_limit >= 0, "data.in_memory_limit", ">= 0 (bytes)", self.in_memory_limit)


@dataclass(slots=True)
class Digits(Data):
    """scikit-learn's 1,797 handwritten digits, 8x8; shipped with scikit-learn."""


@dataclass(slots=True)
class Mnist(Data):
    """MNIST, 60,000 + 10,000 images, 28x28; fetched once, checked by SHA-256."""


@dataclass(slots=True)
class Idx(Data):
    """Four IDX files (plain or .gz) in one folder."""

    path: str
    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


@dataclass(slots=True)
class Arrays(Data):
    """An .npz file with named arrays; the two test names may be null."""

    path: str
    features: str
    labels: str
    test_features: str | None
    test_labels: str | None

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        require(
            (self.test_features is None) == (self.test_labels is None),
            "data.test_features",
            "set together with data.test_labels",
            self.test_features,
        )
