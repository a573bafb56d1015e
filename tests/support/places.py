"""Small folders and files of the kinds that sources read."""

import csv
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.settings.data import Arrays, AudioFolder, Colours, ImageFolder, OnError, TextFolder
from pipeline.settings.tables import Csv, SplitBy

WHOLE = {"fraction": 1.0, "in_memory_limit": 10**9}


def image_folder(root: Path, rows: int = 12, size: tuple[int, int] = (8, 6), suffix: str = ".png") -> Path:
    """Two classes: a bright left half, a bright right half."""
    draw = np.random.default_rng(0)
    for label, name in enumerate(("left", "right")):
        (root / name).mkdir(parents=True)
        for row in range(rows):
            pixels = draw.integers(0, 60, size)
            half = size[1] // 2
            pixels[:, half * label : half * (label + 1)] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{row:03}{suffix}")
    return root


def images(root: Path, **changes: object) -> ImageFolder:
    told = {
        "path": str(root),
        "size": None,
        "colours": Colours.grey,
        "background": "white",
        "on_error": OnError.stop,
    }
    return ImageFolder(**{**told, **WHOLE, **changes})  # type: ignore[arg-type]


def write_wav(
    path: Path, samples: np.ndarray, rate: int = 8000, bytes_each: int = 2, channels: int = 1
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bytes_each)
        file.setframerate(rate)
        file.writeframes(samples.astype(f"<i{bytes_each}").tobytes())


def tone(hertz: float, seconds: float = 0.3, rate: int = 8000, loudness: float = 0.5) -> np.ndarray:
    return loudness * 32767 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def audio_folder(root: Path, rows: int = 12, rate: int = 8000) -> Path:
    """Two classes: low and high tones."""
    for name, hertz in (("low", 300), ("high", 2000)):
        for row in range(rows):
            write_wav(root / name / f"{row:03}.wav", tone(hertz + 10 * row, rate=rate), rate)
    return root


def sounds(root: Path, **changes: object) -> AudioFolder:
    told = {"path": str(root), "seconds": 0.25, "rate": None, "on_error": OnError.stop}
    return AudioFolder(**{**told, **WHOLE, **changes})  # type: ignore[arg-type]


WORDS = {"good": "fine lovely great pleasant", "bad": "awful dull poor boring"}


def text_folder(root: Path, rows: int = 20, encoding: str = "utf-8") -> Path:
    """Two classes that use different words, each text another one."""
    for name, words in WORDS.items():
        (root / name).mkdir(parents=True)
        known = words.split()
        for row in range(rows):
            text = f"A {known[row % 4]} film, {known[(row + 1) % 4]} — scene {row}, café."
            (root / name / f"{row:03}.txt").write_bytes(text.encode(encoding))
    return root


def texts(root: Path, **changes: object) -> TextFolder:
    told = {"path": str(root), "encoding": "auto", "on_error": OnError.stop}
    return TextFolder(**{**told, **WHOLE, **changes})  # type: ignore[arg-type]


def table(path: Path, rows: int = 60) -> Path:
    """The class goes by `size` and `colour`; some cells are empty."""
    draw = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "size", "colour", "kind of thing"])
        for row in range(rows):
            large = row % 2
            size = "" if row % 13 == 5 else f"{draw.normal(10 * large, 1):.4f}"
            colour = "?" if row % 11 == 3 else ("red" if large else "blue")
            out.writerow([row, size, colour, "large" if large else "small"])
    return path


def cells(path: Path, **changes: object) -> Csv:
    told: dict[str, object] = {
        "path": str(path),
        "label": "kind of thing",
        "test_path": None,
        "text": None,
        "columns": ["size", "colour"],
        "categorical": None,
        "separator": None,
        "encoding": "auto",
        "split": SplitBy.random,
        "on_error": OnError.stop,
        **dict.fromkeys(
            ("validation", "drop", "header", "quote", "missing", "decimal", "thousands", "dates")
        ),
        **dict.fromkeys(("group", "time")),
    }
    return Csv(**{**told, **WHOLE, **changes})  # type: ignore[arg-type]


def npz(folder: Path, **named: np.ndarray) -> Arrays:
    np.savez(folder / "data.npz", **named)
    return arrays(folder / "data.npz")


def arrays(path: Path, **changes: object) -> Arrays:
    told: dict[str, object] = {"path": str(path), "features": "features", "labels": "labels"}
    told |= {"test_features": None, "test_labels": None, "channels": None}
    return Arrays(**{**told, **WHOLE, **changes})  # type: ignore[arg-type]


def assert_one_line(caught: pytest.ExceptionInfo[Exception], *parts: str) -> None:
    """The text of the error is one line that holds all of these."""
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text
