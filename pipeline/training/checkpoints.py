"""The state of a run in training, on disk: whole or not at all. With it a stop is a pause."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from zipfile import BadZipFile

import numpy as np

from pipeline.errors import BadInput
from pipeline.measures import Curve, Epoch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What training needs to go on as if it had never stopped.

    `curve`: every epoch so far; `state`: parameters and what the optimizer remembers, as the loop that wrote
    them orders them (`loops.Loop.state`); `kept`: number of the epoch whose weights count so far (see
    `train.patience`) and `parameters`, those weights.
    """

    curve: Curve
    state: tuple[np.ndarray, ...]
    kept: int
    parameters: tuple[np.ndarray, ...]

    @property
    def epoch(self) -> Epoch:
        return self.curve.last


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write aside, then rename into place, so that a kill leaves the old file or the new one.

    Raises:
        BadInput: the folder is not writable or full.
    """
    curve = checkpoint.curve
    about = {
        "device": curve.device,
        "fair_midway": curve.fair_midway,
        "epochs": [asdict(epoch) for epoch in curve.epochs],
        "kept": checkpoint.kept,
    }
    arrays = _named("state", checkpoint.state) | _named("parameters", checkpoint.parameters)
    aside = path.with_name(f".{path.name}-{os.getpid()}-{token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
        aside.replace(path)
    except OSError as error:
        raise BadInput(
            f"cache_dir must be a writable folder with room, got {path.parent} ({error.strerror or error}); "
            "set cache_dir=... or FULCRUM_CACHE"
        ) from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def load(path: Path) -> Checkpoint | None:
    """What `save` wrote there, or None where it is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            curve = Curve(
                about["device"], about["fair_midway"], tuple(Epoch(**epoch) for epoch in about["epochs"])
            )
            return Checkpoint(curve, _listed("state", file), about["kept"], _listed("parameters", file))
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def _named(kind: str, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{kind}{number}": array for number, array in enumerate(arrays)}


def _listed(kind: str, file: "np.lib.npyio.NpzFile") -> tuple[np.ndarray, ...]:
    count = sum(name.rstrip("0123456789") == kind for name in file.files)
    return tuple(file[f"{kind}{number}"] for number in range(count))
