"""What a network looks like: one module a kind of model, named after its conf option (see README.md)."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from pipeline.data.prepared import Prepared
from pipeline.settings.kinds import class_in, module_of
from pipeline.settings.model import Model
from pipeline.settings.settings import Settings


class Architecture(ABC):
    """All that must be known of a kind of model; one subclass in a module of its own."""

    width_key: ClassVar[str] = "hidden"
    """The setting below `model.` that the arithmetic of a network grows with."""
    smallest_halved: ClassVar[int] = 32
    """The smallest width that a remedy halves."""
    is_perceptron: ClassVar[bool] = False
    """Whether dense layers are all there is: their gradients are written by hand."""
    convolves: ClassVar[bool] = False
    """Whether there are convolutions, slow by XLA on a CPU; of a user's own network nobody knows."""

    @staticmethod
    @abstractmethod
    def build_logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
        """Return the layers between scaled features [n, *shape] and logits [n, classes], as Keras tensors.

        Raises:
            BadData: the samples have a shape that the model cannot take.
        """

    @staticmethod
    @abstractmethod
    def shrink_to_one_unit(model: Any) -> Model:
        """Return the settings of the same network with layers of one unit: its overhead without its work."""

    @staticmethod
    def list_hidden_sizes(_model: Any) -> tuple[int, ...]:
        """Return the width of each hidden layer of a perceptron; () for other networks."""
        return ()

    @staticmethod
    def draw_weights(_settings: Settings, _sizes: tuple[int, ...], _dtype: str) -> list[np.ndarray] | None:
        """Return the weights that training begins with, [W1, b1, ...]; None: those of Keras' initialisers.

        `sizes`: inputs, width of each hidden layer, classes.
        """
        return None

    @staticmethod
    def hash_code(_model: Any) -> str:
        """Return the SHA-256 (hex) of code that the settings only name; "" where there is none."""
        return ""

    @staticmethod
    def compute_relative_work(width: float, _layers: float, _inputs: int, _classes: int) -> float:
        """Return what the arithmetic for a sample is proportional to, among networks of this kind."""
        return width


def architecture_of(model: Model) -> type[Architecture]:
    """Return what is known of a kind of model: the class in the module of its option."""
    kind: type[Architecture] = class_in(module_of(__name__, model), Architecture)
    return kind
