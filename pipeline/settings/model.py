"""The network that is trained: a class for each kind, which stands for an option of conf/model."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require, require_function


class Activation(StrEnum):
    """The function after each hidden layer."""

    relu = "relu"
    sigmoid = "sigmoid"
    tanh = "tanh"


class Output(StrEnum):
    """The function after the last layer: probabilities of one class, or of each by itself; a quantity."""

    softmax = "softmax"
    sigmoid = "sigmoid"
    linear = "linear"


class Init(StrEnum):
    """What the weights are before the first step."""

    glorot = "glorot"
    he = "he"
    pretrained = "pretrained"


@dataclass(slots=True)
class Model:
    """The network that is trained; one subclass for each kind."""

    @property
    def reads_tokens(self) -> bool:
        """Return whether texts reach it as numbers of their words, unless `vocabulary.form` names a form."""
        return False


@dataclass(slots=True, kw_only=True)
class Mlp(Model):
    """`layers` hidden layers of `hidden` units, then one unit for each class; none: a linear model."""

    hidden: int
    layers: int
    activation: Activation
    output: Output
    dropout: float
    init: Init
    pretrained: str | None

    def __post_init__(self) -> None:
        require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
        require(0 <= self.layers <= 64, "model.layers", ">= 0 (a linear model) and <= 64", self.layers)
        require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)
        require(
            (self.init is Init.pretrained) == (self.pretrained is not None),
            "model.pretrained",
            "set (a run id, registry URI or path) with model.init=pretrained, and only then",
            self.pretrained,
        )


@dataclass(slots=True, kw_only=True)
class Cnn(Model):
    """`blocks` of convolution and pooling, then one hidden layer, for images; the filters double."""

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
    """An embedding of `width`, its mean and maximum over the words, then one hidden layer; for texts."""

    width: int
    hidden: int
    activation: Activation
    output: Output
    dropout: float

    @property
    def reads_tokens(self) -> bool:
        """Return whether it reads word numbers, and not weighed n-grams."""
        return True

    def __post_init__(self) -> None:
        require(1 <= self.width <= 65536, "model.width", ">= 1 and <= 65536", self.width)
        require(0 <= self.hidden <= 65536, "model.hidden", ">= 0 (none) and <= 65536", self.hidden)
        require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)


@dataclass(slots=True)
class Custom(Model):
    """A network of the user's own: `build` is its `package.module:function`, which is handed `hidden`."""

    build: str
    hidden: int
    output: Output

    def __post_init__(self) -> None:
        require_function("model.build", self.build)
        require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
