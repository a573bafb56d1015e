"""Accuracy under attack after an epoch, where a search asks for it."""

from collections.abc import Sequence
from typing import Any

from pipeline.backend import Tensor
from pipeline.data.prepared import Prepared, Split
from pipeline.models import keras_models
from pipeline.models.attacks.attack import Attacker, make_attacker
from pipeline.settings.settings import Settings


class AttackedValidation:
    """The attack of `evaluate` on the network that these settings train, whichever loop trains it."""

    def __init__(self, settings: Settings, prepared: Prepared) -> None:
        self._settings, self._prepared = settings, prepared
        self._network: Any = None
        self._attacker: Attacker | None = None

    def measure(self, parameters: Sequence[Tensor], split: Split | None = None) -> float:
        """Return the accuracy under attack, 0..1, on the validation split or another one.

        `parameters`: the weights, as `Loop.get_parameters` returns them.

        Raises:
            Diverged: an output is NaN or infinite.
        """
        weights = [parameter.numpy() for parameter in parameters]
        if self._attacker is None:
            self._network = keras_models.build_network(self._settings, self._prepared, weights)
            self._attacker = make_attacker(self._network, self._prepared, self._settings.evaluate)
        self._network.set_weights(weights)
        return self._attacker.measure(self._prepared.validation if split is None else split)
