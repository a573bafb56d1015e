"""Labels that are quantities: numbers of any size, whole or with fractions; NaN is one that is missing."""

from dataclasses import replace

import numpy as np

from pipeline.data.readers.loaded import LabelledSamples, LoadedData
from pipeline.errors import BadData

EXACT = 2**53
"""Beyond this, floating-point numbers do not tell neighbouring whole numbers apart."""

OFFER = "data.task=regression learns quantities"
REMEDY = "leave data.task out to learn classes"


def take_quantities(
    train: LabelledSamples,
    test: LabelledSamples | None,
    names: tuple[str, str] = ("labels", "test labels"),
) -> LoadedData:
    """Take the labels [n] or [n, 1] of arrays as quantities. `names`: of the arrays, for messages.

    Raises:
        BadData: labels are no numbers, or several for each sample.
    """
    parts = [
        replace(samples, labels=_read_quantities(samples.labels, name))
        for samples, name in zip((train, test), names, strict=True)
        if samples is not None
    ]
    return LoadedData(train=parts[0], test=parts[1] if len(parts) > 1 else None, classes=())


def _read_quantities(labels: np.ndarray, name: str) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise BadData(
            f"{name} must be [n], one quantity for each sample, with data.task=regression, got "
            f"{labels.shape}; choose one column"
        )
    if labels.dtype.kind not in "iuf":
        raise BadData(f"{name} must be numbers with data.task=regression, got {labels.dtype}; {REMEDY}")
    return labels.astype(np.float64)


def convert_classes(loaded: LoadedData) -> LoadedData:
    """Return data whose labels are the numbers that its classes are called.

    Raises:
        BadData: a class is called otherwise.
    """
    values = np.array([_parse(name) for name in loaded.classes], np.float64)

    def convert(samples: LabelledSamples | None) -> LabelledSamples | None:
        return samples and replace(samples, labels=values[samples.labels])

    train = convert(loaded.train)
    assert train is not None
    return replace(
        loaded, train=train, validation=convert(loaded.validation), test=convert(loaded.test), classes=()
    )


def _parse(name: str) -> float:
    value = parse_quantity(name)
    if value is None:
        raise BadData(f"labels must be numbers with data.task=regression, got {name[:60]!r}; {REMEDY}")
    return value


def parse_quantity(text: str) -> float | None:
    """Return the number that a label is, None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
