"""What a person sends for an image or a sound, decoded to what the model was trained on."""

import base64
import binascii
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pipeline.data.features import LogMel
from pipeline.data.readers import images, sounds
from pipeline.data.readers.folders import Unreadable
from pipeline.errors import BadRequest, format_one_line, read_first_line
from pipeline.formatting import shorten
from pipeline.models.serving.description import ModelDescription

BASE64_KEY = "b64"
"""TensorFlow Serving writes a file as {"b64": "..."}."""
FLOAT_PEAK = 2.0
"""Floats up to this are sounds of -1..1; others have the range of int16."""
MAX_REASON = 120
"""Letters of what a library says of a file."""


def refuse(text: str) -> NoReturn:
    """Raise for a request that the model cannot answer.

    Raises:
        BadRequest: with what is asked for, and what was sent.
    """
    raise BadRequest(f"a request must be what the model answers to: {text}")


def read_file(item: Any) -> bytes | None:
    """Return the content of a file that was sent in base64, or as it is; None for anything else."""
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], str | bytes | Mapping):
        item = item[0]
    if isinstance(item, Mapping):
        item = item.get(BASE64_KEY)
        if not isinstance(item, str):
            refuse('a file is {"b64": "..."}, or its base64 alone')
    if isinstance(item, str):
        try:
            return base64.b64decode(item.partition("base64,")[2] or item, validate=False)
        except (binascii.Error, ValueError):
            refuse(f"numbers, or files in base64, got the text {shorten(item, 40)!r}")
    return item if isinstance(item, bytes) else None


def convert_to_array(items: Any) -> np.ndarray | None:
    """Return an array of numbers, also of numbers as text; None where they are something else."""
    try:
        array = np.asarray(items)
        if array.dtype.kind in "OUS":  # text, as in CSV, or null
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None


def fits_shape(got: Sequence[int], shape: tuple[int, ...]) -> bool:
    """Return whether an array is one sample: flat, or of this shape but for sides of 1."""
    flat = len(got) == 1 and got[0] == np.prod(shape)
    return flat or [side for side in got if side != 1] == [side for side in shape if side != 1]


def format_shape(shape: Sequence[int]) -> str:
    """Format a shape as a person writes it: [28, 28]."""
    return f"[{', '.join(map(str, shape))}]"


def read_image(content: bytes | None, number: int, description: ModelDescription) -> np.ndarray:
    """Decode an image file to an array of the shape that the model was trained on.

    Raises:
        BadRequest: it is no image, or of another size; `number`: of its row.
    """
    form, shape = description.images, description.shape
    if content is None:
        refuse(f"numbers in arrays of one shape {format_shape(shape)}, or files, got neither in row {number}")
    if form is None:
        refuse(f"numbers of shape {format_shape(shape)}; it was not trained on files of images")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        path.write_bytes(content)
        try:
            array = images.decode_image(path, form, lambda _: None)
        except Unreadable as error:
            refuse(f"files of images, got one that cannot be read in row {number} ({_read_reason(error)})")
    if not fits_shape(array.shape, shape):
        size = f"{array.shape[0]}x{array.shape[1]}"
        refuse(f"images of {shape[0]}x{shape[1]} (height x width), got {size} in row {number}")
    return array.reshape(shape)


def _read_reason(error: Exception) -> str:
    return shorten(format_one_line(read_first_line(error)), MAX_REASON)


def read_wave(item: Any, number: int) -> np.ndarray:
    """Return a sound that was sent as numbers, float32 [n] in -1..1.

    Raises:
        BadRequest: it is no sound of one channel, or holds what is no number; `number`: of its row.
    """
    array = convert_to_array(item)
    if array is None:
        refuse(f"numbers or files in base64, got {shorten(format_one_line(repr(item)), 60)} in row {number}")
    wave = np.squeeze(array)
    if wave.ndim != 1 or not len(wave):
        refuse(f"sounds of one channel, got an array {format_shape(np.shape(item))} in row {number}")
    if not np.isfinite(wave).all():
        refuse(f"numbers, got NaN, null or infinity in row {number}")
    is_whole = bool((wave == np.rint(wave)).all())
    scale = 1 if not is_whole and np.abs(wave).max() <= FLOAT_PEAK else 1 / sounds.FULL_SCALE
    return np.asarray(wave * scale, np.float32)


def decode_sound(content: bytes, number: int, front: LogMel) -> np.ndarray:
    """Decode a file of sound to float32 [n] in -1..1, at the rate that the model was trained on.

    Raises:
        BadRequest: it cannot be read; `number`: of its row.
    """
    try:
        wave, rate = sounds.decode_sound(io.BytesIO(content))
        return sounds.resample(wave, rate, front.rate)
    except Unreadable as error:
        refuse(f"files of sound, got one that cannot be read in row {number} ({_read_reason(error)})")


def cut_sound(wave: np.ndarray, samples: int) -> list[np.ndarray]:
    """Cut a sound in -1..1 into the excerpts int16 [samples] that a model is asked, as training does."""
    excerpts = list(sounds.cut_excerpts(wave, samples))
    return sounds.drop_silence(excerpts) or excerpts[:1]
