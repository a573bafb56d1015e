"""How parameters change in a step, and the learning rate over a run (conf/optimizer, conf/schedule)."""

from dataclasses import dataclass

from pipeline.settings.rules import require


@dataclass(slots=True)
class Optimizer:
    """How parameters change in a step; one subclass for each kind."""

    learning_rate: float

    def __post_init__(self) -> None:
        require(0 < self.learning_rate < 1e6, "optimizer.learning_rate", "> 0 and < 1e6", self.learning_rate)


@dataclass(slots=True)
class Sgd(Optimizer):
    """Stochastic gradient descent, with Keras' momentum and Nesterov forms."""

    momentum: float
    nesterov: bool

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        require(0 <= self.momentum < 1, "optimizer.momentum", ">= 0 and < 1", self.momentum)
        require(
            not self.nesterov or self.momentum > 0,
            "optimizer.nesterov",
            "false unless optimizer.momentum > 0",
            self.nesterov,
        )


@dataclass(slots=True)
class Adam(Optimizer):
    """Adam (arXiv 1412.6980); weight decay is decoupled (arXiv 1711.05101).

    `sparse`: lazy Adam, another algorithm, which moves only those rows of an embedding that a batch has used.
    """

    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    sparse: bool

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        require(0 <= self.beta1 < 1, "optimizer.beta1", ">= 0 and < 1", self.beta1)
        require(0 <= self.beta2 < 1, "optimizer.beta2", ">= 0 and < 1", self.beta2)
        require(0 < self.epsilon < 1, "optimizer.epsilon", "> 0 and < 1", self.epsilon)
        require(0 <= self.weight_decay < 1, "optimizer.weight_decay", ">= 0 and < 1", self.weight_decay)
        require(
            not self.sparse or self.weight_decay == 0,
            "optimizer.weight_decay",
            "0 with optimizer.sparse=true, which leaves the rows alone that a batch has not used",
            self.weight_decay,
        )


@dataclass(slots=True)
class Schedule:
    """How the learning rate changes over the steps of a run; one subclass for each kind."""

    @property
    def fair_midway(self) -> bool:
        """Return whether the state before the last epoch is a fair point of the frontier.

        It is where a shorter run would have been in the same state: the learning rate does not depend on the
        length of the run.
        """
        return False


@dataclass(slots=True)
class Constant(Schedule):
    """The same rate at every step."""

    @property
    def fair_midway(self) -> bool:
        return True


@dataclass(slots=True)
class Cosine(Schedule):
    """Half a cosine from the rate to `final` times the rate (arXiv 1608.03983, without restarts)."""

    final: float

    def __post_init__(self) -> None:
        require(0 <= self.final <= 1, "schedule.final", ">= 0 and <= 1", self.final)


@dataclass(slots=True)
class WarmupLinear(Schedule):
    """Linear rise over the first `warmup` share of the steps, then linear fall to `final` times the rate."""

    warmup: float
    final: float

    def __post_init__(self) -> None:
        require(0 <= self.warmup < 1, "schedule.warmup", ">= 0 and < 1 (a share of the steps)", self.warmup)
        require(0 <= self.final <= 1, "schedule.final", ">= 0 and <= 1", self.final)
