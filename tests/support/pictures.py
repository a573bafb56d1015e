"""What pictures are drawn of, and what is read back from them."""

import io
import struct
from pathlib import Path

import numpy as np
from matplotlib import image

from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.data.report import CleaningReport
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.settings.settings import Settings

NAMES = ("airplane", "$bird$", "cat_and_dog", "d", "a name that goes on and on")


def table(classes: int = 3, shape: tuple[int, ...] = (4, 4), rows: int = 60) -> Prepared:
    """Bytes; the same rows in every split."""
    draw = np.random.default_rng(0)
    labels = np.arange(rows, dtype=np.int32) % classes
    split = Split(draw.integers(0, 256, (rows, *shape)).astype(np.uint8), labels)
    report = CleaningReport(
        rows_read=3 * rows,
        rows_kept={},
        dropped={},
        constant_features=0,
        smallest=0.0,
        largest=255.0,
        histogram={},
    )
    scaling = Scaling(np.zeros((), np.float32), np.ones((), np.float32))
    names = tuple(NAMES[at] if at < len(NAMES) else f"class {at}" for at in range(classes))
    return Prepared(
        train=split,
        validation=split,
        test=split,
        classes=names,
        shape=shape,
        scaling=scaling,
        report=report,
        source_sha256="s",
        key="k",
        directory=Path(),
        reused=False,
    )


def scored(prepared: Prepared, settings: Settings, seed: int = 0) -> Evaluation:
    """Answers at random, the right one somewhat likelier."""
    draw, labels = np.random.default_rng(seed), prepared.test.labels
    answers = draw.dirichlet(np.ones(len(prepared.classes)), len(labels)).astype(np.float32)
    answers[np.arange(len(labels)), labels] += 0.4
    return evaluate(lambda _: answers / answers.sum(axis=1, keepdims=True), prepared, settings)


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def ink(png: bytes, colour: str) -> int:
    """Pixels of about that colour."""
    pixels = image.imread(io.BytesIO(png))[..., :3]
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return int((np.abs(pixels - wanted).max(axis=-1) < 0.02).sum())
