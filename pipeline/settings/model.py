"""What is trained."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require


class Activation(StrEnum):
    relu = "relu"
    sigmoid = "sigmoid"
    tanh = "tanh"


class Output(StrEnum):
    softmax = "softmax"
    sigmoid = "sigmoid"


class Init(StrEnum):
    glorot = "glorot"
    he = "he"
    pretrained = "pretrained"


@dataclass(slots=True)
class Model:
    """What is trained; one subclass a kind."""


@dataclass(slots=True)
class Mlp(Model):
    """`layers` hidden layers of width `hidden`, then one unit a class."""

    hidden: int
    layers: int
    activation: Activation
    output: Output
    dropout: float
    init: Init
    pretrained: str | None

    def __post_init__(self) -> None:
        require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
        require(1 <= self.layers <= 64, "model.layers", ">= 1 and <= 64", self.layers)
        require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)
        require(
            (self.init is Init.pretrained) == (self.pretrained is not None),
            "model.pretrained",
            "set (a run id, registry URI or path) with model.init=pretrained, and only then",
            self.pretrained,
        )


@dataclass(slots=True)
class Cnn(Model):
    """`blocks` of convolution and pooling, the filters doubling, then one hidden layer; for images."""

    filters: int
    blocks: int
    hidden: int
    activation: Activation
    output: Output
    dropout: float

    def __post_init__(self) -> None:
        require(1 <= self.filters <= 4096, "model.filters", ">= 1 and <= 4096", self.filters)
        require(1 <= self.blocks <= 8, "model.blocks", ">= 1 and <= 8", self.blocks)
        require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
        require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)


@dataclass(slots=True)
class Text(Model):
    """Embedding of `width`, mean and maximum over the words, one hidden layer; for texts."""

    width: int
    hidden: int
    activation: Activation
    output: Output
    dropout: float

    def __post_init__(self) -> None:
        require(1 <= self.width <= 65536, "model.width", ">= 1 and <= 65536", self.width)
        require(0 <= self.hidden <= 65536, "model.hidden", ">= 0 (none) and <= 65536", self.hidden)
        require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)


@dataclass(slots=True)
class Custom(Model):
    """A user's own network: `build` is `package.module:function`; `hidden` is for it to use."""

    build: str
    hidden: int
    output: Output

    def __post_init__(self) -> None:
        known = re.fullmatch(r"[\w.]+:\w+", self.build) is not None
        require(known, "model.build", "package.module:function", self.build)
        require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
