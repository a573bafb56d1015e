"""The state of a run in training, on disk: whole or not at all. With it a stop is a pause."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.measures import Curve, Epoch
from pipeline.training.state_file import DAMAGED, read_state, save_state

GROUPS = ("state", "parameters", "best")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What training needs to go on as if it had never stopped.

    `curve`: every epoch so far; `state`: parameters and what the optimizer remembers, in the order of the
    loop that wrote them (`loop.Loop.get_state`); `chosen_number`: number of the epoch whose weights count so
    far (see `kept_epoch`) and `parameters`, those weights; `best_number`: of the one whose weights may count
    yet, and `best_parameters`, those where they do not count now.
    """

    curve: Curve
    state: tuple[np.ndarray, ...]
    chosen_number: int
    parameters: tuple[np.ndarray, ...]
    best_number: int
    best_parameters: tuple[np.ndarray, ...] = ()

    @property
    def chosen_epoch(self) -> Epoch:
        """Return the epoch whose weights count so far."""
        return self.curve.epochs[self.chosen_number - 1]

    @property
    def best_epoch(self) -> Epoch:
        """Return the epoch whose weights may count yet."""
        return self.curve.epochs[self.best_number - 1]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint so that a kill leaves the old file or the new one.

    Raises:
        BadInput: the folder is not writable or full.
    """
    curve = checkpoint.curve
    about = {
        "device": curve.device,
        "fair_midway": curve.fair_midway,
        "epochs": [asdict(epoch) for epoch in curve.epochs],
        "kept": checkpoint.chosen_number,
        "best": checkpoint.best_number,
    }
    rows = (checkpoint.state, checkpoint.parameters, checkpoint.best_parameters)
    arrays = dict(zip(GROUPS, rows, strict=True))
    save_state(path, about, arrays)


def load(path: Path) -> Checkpoint | None:
    """Return what `save` wrote there, or None where it is absent or damaged."""
    try:
        about, (state, parameters, best_parameters) = read_state(path, GROUPS)
        epochs = tuple(Epoch(**epoch) for epoch in about["epochs"])
        curve = Curve(about["device"], about["fair_midway"], epochs)
        return Checkpoint(
            curve=curve,
            state=state,
            chosen_number=about["kept"],
            parameters=parameters,
            best_number=about.get("best", about["kept"]),  # those of before know one alone
            best_parameters=best_parameters,
        )
    except DAMAGED:
        return None
