"""The state after an epoch of a loop of the user's own, and the checkpoint that it goes on from."""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import __version__
from pipeline.errors import LoopFailed
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch, PowerDraw, Seconds
from pipeline.settings.kinds import option_name
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop
from pipeline.training.state_file import read_state, save_state
from pipeline.trial import user_code
from pipeline.trial.reports import TEST

FORMAT = 1
KEY_LETTERS = 16
GROUPS = ("state", "model")
REMEDIES = {
    "state": "report plain values, arrays or a state dict",
    "model": "define its classes and functions at the top of a module, or report none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTrained:
    """The state after an epoch of a loop.

    `curve`: every epoch so far, from the first; `numbers`: what else was reported, by epoch; `model`: None
    where none was reported; `seconds`, `energy`: of this process alone; `earlier_device_seconds`: what the
    curve had cost before; `ended`: the loop came to an end by itself; `is_restored`: nothing was trained now.
    """

    curve: Curve
    numbers: tuple[Mapping[str, float], ...]
    model: Any = None
    seconds: Seconds = field(default_factory=Seconds)
    energy: PowerDraw = field(default_factory=PowerDraw)
    earlier_device_seconds: float = 0.0
    ended: bool = False
    is_restored: bool = False
    stop_reason: str = ""

    @property
    def paid_seconds(self) -> float:
        """Return the device-seconds that this training itself has cost."""
        return self.curve.last.device_seconds - self.earlier_device_seconds

    @property
    def test_accuracy(self) -> float | None:
        """Return the accuracy on the test split that the last epoch reported, if any."""
        return self.numbers[-1].get(TEST)


@dataclass(frozen=True, slots=True)
class SavedLoop:
    """A state on disk: what was reached, and what the loop goes on from (None: it cannot).

    `awaits_model`: the loop was told of further epochs, and may report a model in the last one alone.
    """

    trained: LoopTrained
    state: Any
    awaits_model: bool = False

    def restore(self) -> LoopTrained:
        """Return the end of a training as it was; it costs nothing now."""
        trained = self.trained
        return replace(trained, earlier_device_seconds=trained.curve.last.device_seconds, is_restored=True)


def get_keyed_path(path: Path, settings: Settings, device: ClaimedDevice) -> Path:
    """Return the file, beside `path`, of a state from which exactly this training may go on."""
    trial = settings.trial
    assert isinstance(trial, UserLoop)
    epochs = None if trial.fair_midway else settings.train.epochs
    values = sorted(trial.values.items())
    about = (FORMAT, __version__, option_name(type(trial)), trial.word, user_code.hash_code(trial))
    key = repr((*about, device.name, values, settings.train.seed, epochs))
    return path.with_stem(f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:KEY_LETTERS]}")


def save(path: Path | None, saved: SavedLoop) -> None:
    """Write a state so that a kill leaves the old file or the new one.

    Raises:
        LoopFailed: the state is of a kind that cannot be stored.
        BadInput: the folder is not writable or full.
    """
    if path is None:
        return
    trained = saved.trained
    about = {
        "device": trained.curve.device,
        "fair_midway": trained.curve.fair_midway,
        "epochs": [asdict(epoch) for epoch in trained.curve.epochs],
        "numbers": [dict(numbers) for numbers in trained.numbers],
        "ended": trained.ended,
        "awaits_model": saved.awaits_model,
    }
    arrays = {"state": _pickle(saved.state, "state"), "model": _pickle(trained.model, "model")}
    save_state(path, about, arrays)


def _pickle(value: Any, name: str) -> Sequence[np.ndarray]:
    if value is None:
        return ()
    try:
        return [np.frombuffer(pickle.dumps(value), np.uint8)]
    except Exception as error:  # of any class
        raise LoopFailed(
            f"the {name} that a loop reports must be one that pickle stores, got {type(value).__name__} "
            f"({user_code.format_error(error)}); {REMEDIES[name]}"
        ) from None


def load(path: Path) -> SavedLoop | None:
    """Return what `save` wrote there; None where it is absent, damaged, or cannot be made again here."""
    try:
        about, (state, model) = read_state(path, GROUPS)
        epochs = tuple(Epoch(**epoch) for epoch in about["epochs"])
        trained = LoopTrained(
            curve=Curve(about["device"], about["fair_midway"], epochs),
            numbers=tuple(about["numbers"]),
            model=pickle.loads(model[0].tobytes()) if model else None,
            ended=about["ended"],
        )
        value = pickle.loads(state[0].tobytes()) if state else None
        return SavedLoop(trained, value, about.get("awaits_model", False))  # an older file does not say
    except Exception:  # what the classes of a framework or of the user raise
        return None
