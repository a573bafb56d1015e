"""Named arrays in a file (.npz, HDF5, MATLAB), or in .npy files of one folder; never unpickles."""

import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from pipeline.data.readers import array_files
from pipeline.data.readers.class_labels import number_classes
from pipeline.data.readers.compression import check_zip
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.quantities import take_quantities
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.errors import BadData, DataMissing, read_first_line
from pipeline.files import expand_home
from pipeline.settings.data import Arrays, Channels

FORMAT = 4
CHANNELS = {1, 3, 4}
EXACT = 2**24
"""Beyond this, float32 does not tell neighbouring whole numbers apart."""
MOST_AT_ONCE = 1 << 22
OTHER_FORMS = {
    b"\x80": "a pickle, which may run programs",
    b"\x1f\x8b": "a packed file",
}
"""What else has arrays in it, by the first bytes."""
UNUSUAL = (MemoryError, OverflowError, RuntimeError, NotImplementedError, KeyError, TypeError, SyntaxError)
"""What numpy and zipfile raise on headers that promise too much, passwords and damaged entries."""


def fingerprint(data: Arrays, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) of the file, or of the files of the folder that are named."""
    path = _find_path(data)
    if path.is_file():
        return hash_files([path])
    names = (data.features, data.labels, data.test_features, data.test_labels)
    return hash_files([path / f"{name}.npy" for name in names if name is not None])


def load(data: Arrays, _data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read both splits, or one where no test arrays are named.

    Raises:
        BadData: no arrays, one is missing, pickled or of the wrong shape, or labels are no classes.
    """
    findings = Findings()
    train = _read_samples(data, data.features, data.labels, findings)
    test = None
    if data.test_features is not None and data.test_labels is not None:
        test = _read_samples(data, data.test_features, data.test_labels, findings)
        if test.features.shape[1:] != train.features.shape[1:]:
            raise BadData(
                f"data.test_features must have samples of shape {train.features.shape[1:]}, "
                f"got {test.features.shape[1:]}; use arrays of one data set"
            )
        train, test = _convert_to_one_type(train, test)
    read = take_quantities if data.is_regression else number_classes
    loaded = read(train, test, (data.labels, data.test_labels or ""))
    return replace(loaded, findings=(*findings.to_tuple(), *loaded.findings))


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


def _find_path(data: Arrays) -> Path:
    path = expand_home(data.path)
    if path.is_dir() and not (path / f"{data.features}.npy").is_file():
        listed = ", ".join(list_arrays(path)[:12]) or "no array"
        raise DataMissing(
            f"data.path must be an .npz file, or a folder with {data.features}.npy, got the folder {path} "
            f"with {listed}; set data.features=... to a name in it"
        )
    if not path.exists():
        raise DataMissing(
            f"data.path must be an .npz, HDF5 or MATLAB file, got {path}, which is not there; "
            "set data.path=..."
        )
    return path


def _read_samples(data: Arrays, features_name: str, labels_name: str, findings: Findings) -> LabelledSamples:
    features, labels = read_array(data, features_name), read_array(data, labels_name)
    features, labels = match_rows(data, features, labels, findings)
    if features.ndim == 1:
        features = features[:, None]
    if features.ndim < 2 or labels.ndim < 1 or len(features) != len(labels):
        raise BadData(
            f"{features_name} must be [n, ...] and {labels_name} [n], got {features.shape} and "
            f"{labels.shape}; choose the arrays with data.features=... data.labels=..."
        )
    if features.dtype.kind not in "biuf":
        raise BadData(
            f"{features_name} must be numbers, got dtype {features.dtype}; encode it as numbers first"
        )
    features = order_channels(features, features_name, data.channels)
    if features.dtype != np.uint8:
        text = f"rounded to 7 digits, as {features_name} become float32: scale them, or number what they name"
        findings.add("number", text, *_find_rounded(features))
        features = _convert_to_float32(features)
    return LabelledSamples(features, labels)


def match_rows(
    data: Arrays, features: np.ndarray, labels: np.ndarray, findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    """Return both with their samples along the first axis; those of MATLAB often lie along the last.

    Features are turned only where the number of labels is that of the last axis and not of the first.
    """
    path = _find_path(data)
    if path.is_dir() or "MATLAB" not in array_files.find_form(path):
        return features, labels
    if labels.ndim == 2 and labels.shape[0] == 1:
        labels = labels[0]
    if labels.ndim > 0 and features.shape[-1:] == labels.shape[:1] != features.shape[:1]:
        findings.add("array", "turned: its samples lie along the last axis", str(features.shape))
        features = np.moveaxis(features, -1, 0)
    return features, labels


def _find_rounded(features: np.ndarray) -> tuple[str, int]:
    """Return the first of the whole numbers that float32 cannot hold, and how many there are."""
    example, count = "", 0
    if features.dtype.itemsize < 4 or features.dtype == np.float32:
        return example, count
    for portion in np.array_split(features, max(1, features.size // MOST_AT_ONCE)):
        with np.errstate(over="ignore", invalid="ignore"):
            far = portion[np.abs(portion) > EXACT]
            lost = far[
                np.isfinite(far) & (far == np.floor(far)) & (far.astype(np.float32).astype(far.dtype) != far)
            ]
        example = example or (str(lost[0]) if len(lost) else "")
        count += len(lost)
    return example, count


def order_channels(features: np.ndarray, name: str, channels: Channels | None) -> np.ndarray:
    """Return images [n, height, width, channels]; arrays of other than four axes as they are.

    Raises:
        BadData: they look as if channels came first, and nobody said so.
    """
    if features.ndim != 4:
        return features
    if channels is Channels.first:
        return np.moveaxis(features, 1, 3)
    few, last = features.shape[1], features.shape[3]
    if channels is None and few in CHANNELS and last not in CHANNELS and features.shape[2] not in CHANNELS:
        raise BadData(
            f"{name} must be [n, height, width, channels], got {features.shape}, where {few} channels seem "
            "to come first; set data.channels=first, or data.channels=last to read it as it is"
        )
    return features


def list_arrays(path: Path) -> list[str]:
    """Return the names of the arrays in a file or a folder; none where it holds none."""
    if path.is_dir():
        return [file.stem for file in sorted(path.glob("*.npy"))]
    if form := array_files.find_form(path):
        return array_files.list_arrays(path, form)
    with path.open("rb") as file, suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    return []


def read_array(data: Arrays, name: str) -> np.ndarray:
    """Read one array of numbers or texts.

    Raises:
        DataMissing, BadData: there is no such file or array, or it is pickled or damaged.
    """
    path = _find_path(data)
    try:
        array = _open_array(path, name)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, *UNUSUAL) as error:
        raise BadData(
            f"{path} must be an .npz, or a folder of .npy, without pickled objects, got: "
            f"{read_first_line(error)[:120]}; write it with numpy.savez"
        ) from None
    # texts of no length are as many as the header says, out of no bytes at all
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufUS" or not array.dtype.itemsize:
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else "no array"
        raise BadData(f"{name} in {path} must be numbers, got {got}; encode it as numbers first")
    return array


def _open_array(path: Path, name: str) -> object:
    if path.is_dir():
        _check_name(path, name, list_arrays(path))
        return np.load(path / f"{name}.npy", allow_pickle=False)
    if form := array_files.find_form(path):
        _check_name(path, name, array_files.list_arrays(path, form))
        return array_files.read_array(path, form, name)
    _refuse_other_forms(path)
    check_zip(path)
    with zipfile.ZipFile(path) as archive:
        _check_name(path, name, [entry.removesuffix(".npy") for entry in archive.namelist()])
    with np.load(path, allow_pickle=False) as named:
        array: object = named[name]
        return array


def _refuse_other_forms(path: Path) -> None:
    """Raise BadData for a file of no form that is read, and name what it is."""
    with path.open("rb") as file:
        head = file.read(256)
    if head.startswith(b"\x93NUMPY"):
        raise BadData(
            f"{path} must hold features and labels, got an .npy file of one array; put both beside each "
            f"other as {path.stem}.npy and labels.npy, and set data.path={path.parent} "
            f"data.features={path.stem}"
        )
    form = next((form for magic, form in OTHER_FORMS.items() if head.startswith(magic)), "")
    if form:
        raise BadData(
            f"{path} must be an .npz, HDF5, MATLAB, or a folder of .npy, got {form}; load it where it comes "
            "from and write the arrays with numpy.savez"
        )
    if head and not head.startswith(b"PK") and head.isascii() and b"\0" not in head:
        raise BadData(
            f"{path} must be an .npz, HDF5, MATLAB, or a folder of .npy, got a text; read a table with "
            "data=csv, or write the arrays with numpy.savez"
        )


def _check_name(path: Path, name: str, names: Sequence[str]) -> None:
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it holds {', '.join(names) or 'none'};"
        raise BadData(
            f"{path} must hold the array {name}, got none of that name; {hint} "
            "choose arrays with data.features=... data.labels=..."
        )
