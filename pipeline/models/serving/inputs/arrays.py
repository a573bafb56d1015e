"""New arrays: an .npy file, or the features of an .npz or a folder, with labels where they are there."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.data.readers.class_labels import name_labels
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.samples import split_into_portions
from pipeline.data.sources import arrays
from pipeline.errors import BadData
from pipeline.files import expand_home
from pipeline.models.serving.decoding import fits_shape
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewBatch, NewData, refuse_model
from pipeline.models.serving.requests import ModelRequest
from pipeline.settings.data import Arrays, Data

MOST_ARRAYS = 16
"""Among more, none is looked for by its shape."""


def open_new_data(
    data: Arrays, description: ModelDescription, _scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open arrays; an .npy file of any size is read portion by portion.

    Raises:
        DataMissing, BadData: there are no such arrays, or of another shape than the model takes.
        BadModel: the model answers to no arrays.
    """
    path = expand_home(data.path)
    if path.suffix.lower() == ".npy" and path.is_file():
        return open_array(data, _map_array(path), None, description, findings)
    names = arrays.list_arrays(path) if path.exists() else []
    if data.features not in names:
        data = _find_features(data, names, description, findings)
    features = arrays.read_array(data, data.features)
    labels = arrays.read_array(data, data.labels) if data.labels in names else None
    others = [name for name in names if name not in (data.features, data.labels)]
    findings.add("array", "not used", ", ".join(others[:8]), len(others))
    if labels is not None:
        features, labels = arrays.match_rows(data, features, labels, findings)
    features = arrays.order_channels(features, data.features, data.channels)
    return open_array(data, features, labels, description, findings)


def _find_features(
    data: Arrays, names: Sequence[str], description: ModelDescription, findings: Findings
) -> Arrays:
    """Return `data` with the name of the only array that the model can answer to; as it is for others."""
    others = [name for name in names if name != data.labels]
    fitting = []
    for name in others if len(others) <= MOST_ARRAYS else ():
        named = replace(data, features=name)
        with suppress(BadData):
            samples = arrays.read_array(named, name)
            is_numbers = samples.dtype.kind in "biuf" and samples.ndim > 1
            if is_numbers and fits_shape(samples.shape[1:], description.shape):
                fitting.append(named)
    if len(fitting) != 1:
        return data
    findings.add("array", f"read in the place of {data.features}", fitting[0].features)
    return fitting[0]


def _map_array(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise BadData(f"{path} must be an array of numbers, got: {error}; write it with numpy.save") from None
    return array


def open_array(
    data: Data,
    features: np.ndarray,
    labels: np.ndarray | None,
    description: ModelDescription,
    findings: Findings,
) -> NewData:
    """Open an array of samples [n, ...], flat or shaped; rows are numbered from 0.

    Raises:
        BadModel: the model answers to something else.
        BadData: samples have another shape than the model takes, or are no numbers.
    """
    if description.front is not None:
        refuse_model(data, "something else")
    shape = description.shape
    if fits_shape(features.shape, shape) and not fits_shape(features.shape[1:], shape):
        features = features[None]  # one sample
    if features.dtype.kind not in "biuf" or not fits_shape(features.shape[1:], shape):
        raise BadData(
            f"samples must be numbers of shape {shape}, got {features.dtype} of {features.shape[1:]}; "
            "choose the array with data.features=..."
        )
    if labels is not None and len(labels) != len(features):
        raise BadData(
            f"labels must be as many as samples, got {len(labels)} for {len(features)}; "
            "choose the array with data.labels=..."
        )
    named = None if labels is None else _write_labels(labels, description)
    batches = _read_batches(features, named, shape, findings)
    return NewData(name="row", total=len(features), batches=batches, has_labels=labels is not None)


def _write_labels(labels: np.ndarray, description: ModelDescription) -> list[str]:
    """Return labels as text: names of classes, or numbers."""
    return name_labels(labels) if description.classes else [str(number) for number in labels.ravel().tolist()]


def _read_batches(
    features: np.ndarray, labels: list[str] | None, shape: tuple[int, ...], findings: Findings
) -> Iterator[NewBatch]:
    for rows in split_into_portions(len(features), int(np.prod(shape))):
        with np.errstate(over="ignore"):
            samples = features[rows].reshape(-1, *shape).astype(np.float32)
        usable = np.flatnonzero(np.isfinite(samples.reshape(len(samples), -1)).all(axis=1))
        bad = np.setdiff1d(np.arange(len(samples)), usable)
        if len(bad):
            findings.add("row", "left out: NaN or infinity in it", f"row {rows.start + bad[0]}", len(bad))
        numbers = (rows.start + usable).tolist()
        yield NewBatch(numbers, ModelRequest(samples[usable]), labels and [labels[row] for row in numbers])
