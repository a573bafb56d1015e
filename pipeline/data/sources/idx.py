"""IDX files, the format of MNIST: magic 0 0 TYPE DIMENSIONS, sizes as big-endian int32, then the numbers."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.readers.class_labels import number_classes
from pipeline.data.readers.compression import find_packing, open_bounded
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.errors import BadData, DataMissing
from pipeline.files import expand_home
from pipeline.settings.data import Idx

MAX_DIMENSIONS = 8
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def fingerprint(data: Idx, _data_dir: Path) -> str:
    """Return one SHA-256 (hex) over the four files."""
    return hash_files(_find_files(data))


def load(data: Idx, _data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read two splits as `read_data_set` does."""
    return read_data_set(*_find_files(data))


def _find_files(data: Idx) -> list[Path]:
    names = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    return [find_file(expand_home(data.path), name) for name in names]


def find_file(folder: Path, name: str) -> Path:
    """Return the path of a file of this name, plain or .gz.

    Raises:
        DataMissing: there is none.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataMissing(
        f"data.path must be a folder that holds {name} or {name}.gz, got {folder}; "
        "set data.path=... or the file names (data.train_images=..., see --help)"
    )


def read_data_set(train_images: Path, train_labels: Path, test_images: Path, test_labels: Path) -> LoadedData:
    """Read two splits from their four files: bytes or float32 [n, ...], and labels [n].

    Raises:
        BadData: a file is damaged, or images and labels do not belong together.
    """
    train = _read_split(train_images, train_labels)
    test = _read_split(test_images, test_labels)
    if train.features.shape[1:] != test.features.shape[1:]:
        raise BadData(
            f"{test_images} must hold images of {train.features.shape[1:]} as {train_images.name} does, "
            f"got {test.features.shape[1:]}; use files of one data set"
        )
    return number_classes(train, test)


def _read_split(images: Path, labels: Path) -> LabelledSamples:
    features, numbers = read_array(images), read_array(labels)
    if features.ndim < 2 or numbers.ndim != 1:
        raise BadData(
            f"{images} and {labels.name} must hold images and labels, got arrays of "
            f"{features.ndim} and {numbers.ndim} dimensions; check the file names"
        )
    if len(features) != len(numbers):
        raise BadData(
            f"{images} and {labels.name} must hold as many images as labels, got {len(features)} and "
            f"{len(numbers)}; use files of one data set"
        )
    if features.dtype != np.uint8:
        features = features.astype(np.float32)
    return LabelledSamples(features, numbers.astype(np.int64 if numbers.dtype.kind in "iu" else np.float64))


def read_array(path: Path) -> np.ndarray:
    """Read the array in one IDX file, plain or .gz, in the shape that its header names; native byte order.

    Raises:
        BadData: not readable, wrong magic, or another length than its header says.
    """
    content = _read_content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or content[3] > MAX_DIMENSIONS:
        raise BadData(
            f"{path} must be an IDX file (magic 00 00 TYPE DIMS), got {content[:4].hex(' ') or 'nothing'}; "
            "fetch it again"
        )
    dimensions, start = content[3], 4 + 4 * content[3]
    if len(content) < start:
        raise BadData(
            f"{path} must hold {start} bytes of header, got {len(content)}: truncated; fetch it again"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    dtype = np.dtype(TYPES[content[2]])
    expected, got = math.prod(shape) * dtype.itemsize, len(content) - start
    if expected != got:
        raise BadData(
            f"{path} must hold {expected} bytes for shape {shape}, got {got}: "
            f"{'truncated' if got < expected else 'something is appended'}; fetch it again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _read_content(path: Path) -> bytes:
    try:
        if find_packing(path) != "gzip":
            return path.read_bytes()
        with open_bounded(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(
            f"{path} must be readable, got {type(error).__name__}: damaged; fetch it again"
        ) from None
