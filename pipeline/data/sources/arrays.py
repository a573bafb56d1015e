"""An .npz file with named arrays; never unpickles."""

import zipfile
import zlib
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files, number_classes
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.errors import BadData, DataMissing
from pipeline.files import expand_home
from pipeline.settings.data import Arrays


def fingerprint(data: Arrays, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) of the file."""
    return hash_files([_find_file(data)])


def load(data: Arrays, _data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read both splits, or one where no test arrays are named.

    Raises:
        BadData: not an .npz, an array is missing, pickled or of the wrong shape.
    """
    train = _read_samples(data, data.features, data.labels)
    test = None
    if data.test_features is not None and data.test_labels is not None:
        test = _read_samples(data, data.test_features, data.test_labels)
        if test.features.shape[1:] != train.features.shape[1:]:
            raise BadData(
                f"data.test_features must have samples of shape {train.features.shape[1:]}, "
                f"got {test.features.shape[1:]}; use arrays of one data set"
            )
        train, test = _convert_to_one_type(train, test)
    return number_classes(train, test)


def _convert_to_one_type(
    train: LabelledSamples, test: LabelledSamples
) -> tuple[LabelledSamples, LabelledSamples]:
    """Convert both splits to float32 unless their types are equal: bytes stay bytes only if both are."""
    first, second = np.asarray(train.features), np.asarray(test.features)
    if first.dtype == second.dtype:
        return train, test
    return LabelledSamples(_convert_to_float32(first), train.labels), LabelledSamples(
        _convert_to_float32(second), test.labels
    )


def _convert_to_float32(features: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is cleaned away
        return features.astype(np.float32)


def _find_file(data: Arrays) -> Path:
    path = expand_home(data.path)
    if not path.is_file():
        raise DataMissing(
            f"data.path must be an .npz file, got {path}, which is not there; set data.path=..."
        )
    return path


def _read_samples(data: Arrays, features_name: str, labels_name: str) -> LabelledSamples:
    features, labels = _read_array(data, features_name), _read_array(data, labels_name)
    if features.ndim < 2 or labels.ndim != 1 or len(features) != len(labels):
        raise BadData(
            f"{features_name} must be [n, ...] and {labels_name} [n], got {features.shape} and "
            f"{labels.shape}; choose the arrays with data.features=... data.labels=..."
        )
    if features.dtype != np.uint8:
        features = _convert_to_float32(features)
    return LabelledSamples(features, labels)


def _read_array(data: Arrays, name: str) -> np.ndarray:
    path = _find_file(data)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.removesuffix(".npy") for entry in archive.namelist()]
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it holds {', '.join(names)}"
            raise BadData(f"{path} must hold the array {name}, got none of that name; {hint}")
        with np.load(path, allow_pickle=False) as named:
            array: object = named[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise BadData(
            f"{path} must be an .npz without pickled objects, got: {line[:120]}; write it with numpy.savez"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else "no array"
        raise BadData(f"{name} in {path} must be numbers, got {got}; encode it as numbers first")
    return array
