"""Small prepared data and settings for the tests of training; no file, no download."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.data.report import CleaningReport
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch, PowerDraw, Seconds
from pipeline.settings.settings import Settings
from pipeline.training.train import Trained

CPU = ClaimedDevice("cpu", "a CPU, 1 core", 1, "/CPU:0")
CLASSES = ("a", "b", "c")
SHAPE = (4, 5)


def split(rows: int, seed: int, shape: tuple[int, ...] = SHAPE) -> Split:
    """Bytes; the class shows as brighter pixels, so that there is something to learn."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int32) % len(CLASSES)
    features = draw.integers(0, 128, (rows, *shape))
    features.reshape(rows, -1)[np.arange(rows), labels * 3] += 120
    return Split(features.astype(np.uint8), labels)


def prepared(rows: int = 46, shape: tuple[int, ...] = SHAPE, per_feature: bool = False) -> Prepared:
    """`rows` of training, 17 of validation and test."""
    train = split(rows, 1, shape)
    numbers = train.features.astype(np.float64)
    axis = 0 if per_feature else None
    scaling = Scaling(numbers.mean(axis).astype(np.float32), numbers.std(axis).astype(np.float32))
    report = CleaningReport(
        rows_read=rows + 34,
        rows_kept={},
        dropped={},
        constant_features=0,
        smallest=0.0,
        largest=255.0,
        histogram={},
    )
    return Prepared(
        train=train,
        validation=split(17, 2, shape),
        test=split(17, 3, shape),
        classes=CLASSES,
        shape=shape,
        scaling=scaling,
        report=report,
        source_sha256="s",
        key="k",
        directory=Path(),
        reused=False,
    )


BASE = compose(
    ["model.hidden=6", "train.batch_size=4", "train.epochs=2", "device=cpu", "optimizer.learning_rate=0.05"]
).settings


def quick(patch: pytest.MonkeyPatch) -> None:
    """Take epochs apart in a moment, for tests that do not look at how long anything took."""
    from pipeline.profiling import measure_breakdown

    patch.setattr(measure_breakdown, "MIN_ROUNDS", 3)
    patch.setattr(measure_breakdown, "SECONDS", 0.5)
    patch.setattr(measure_breakdown, "CHUNK_SECONDS", 0.01)
    measure_peaks_briefly(patch)


def measure_peaks_briefly(patch: pytest.MonkeyPatch) -> None:
    """Measure what a device can do at best in a moment."""
    from pipeline.profiling import device_peaks

    patch.setattr(device_peaks, "SECONDS", 0.01)
    patch.setattr(device_peaks, "ARRAYS", {"cpu": (2**16, 2**18)})
    patch.setattr(device_peaks, "SIDE", {"cpu": 64})


def told(words: str = "") -> Settings:
    """Settings for a small network, `words` as on a command line."""
    base = ["model.hidden=6", "train.batch_size=4", "train.epochs=2", "device=cpu"]
    return compose([*base, *words.split()]).settings


def with_parts(**parts: object) -> Settings:
    """`BASE` with whole groups exchanged; quicker than composing."""
    return replace(BASE, **parts)


def trained(words: str, *epochs: Epoch, drawn: PowerDraw | None = None) -> Trained:
    """What a training of these settings came to, without one: no parameters, the last epoch chosen."""
    curve = Curve("some CPU, 1 core", True, epochs)
    return Trained(
        curve=curve,
        seconds=Seconds(),
        engine="xla",
        device=curve.device,
        chosen_epoch=epochs[-1],
        parameters=[],
        settings=told(words),
        data=prepared(),
        energy=drawn or PowerDraw(),
    )
