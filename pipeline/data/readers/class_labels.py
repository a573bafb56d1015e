"""Labels of arrays as class numbers: whole numbers of any sign, texts, truth values or one-hot rows."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.data.readers.loaded import MAX_CLASSES, LabelledSamples, LoadedData
from pipeline.data.readers.quantities import EXACT, OFFER
from pipeline.data.report import Findings
from pipeline.errors import BadData
from pipeline.formatting import format_count

FEW_CLASSES = 20
"""More classes than this must have two rows on average, or the labels are quantities or numbers of rows."""
REMEDY = "number or name the classes"


def number_classes(
    train: LabelledSamples,
    test: LabelledSamples | None,
    names: tuple[str, str] = ("labels", "test labels"),
) -> LoadedData:
    """Renumber the classes by the labels that occur: -1, 2, 26 become 0, 1, 2 with the names "-1", "2", "26".

    Labels [n], [n, 1] or one-hot [n, classes]. A missing label (NaN, an empty text) becomes -1, for cleaning
    to drop and count. `names`: of the arrays, for messages.

    Raises:
        BadData: labels are no classes, such as quantities, or of several kinds.
    """
    findings = Findings()
    parts = [
        _read_labels(samples.labels, name, findings)
        for samples, name in zip((train, test), names, strict=True)
        if samples is not None
    ]
    if len({part.dtype.kind == "U" for part in parts}) > 1:
        raise BadData(f"{names[0]} and {names[1]} must be of one kind, got numbers and texts; {REMEDY}")
    _refuse_merging(parts, names)
    values = np.unique(np.concatenate(parts))
    values = values[values != ""] if values.dtype.kind == "U" else values[~np.isnan(values.astype(float))]
    rows = sum(map(len, parts))
    if len(values) > MAX_CLASSES or len(values) > max(FEW_CLASSES, rows / 2):
        raise BadData(
            f"{names[0]} must have at most {MAX_CLASSES} classes, and fewer than rows, got {len(values):,} "
            f"different values in {format_count(rows, 'row')}; {REMEDY}"
            + f", or {OFFER}"
            * (values.dtype.kind != "U")
        )
    numbered = [
        LabelledSamples(samples.features, _renumber(part, values))
        for samples, part in zip((each for each in (train, test) if each is not None), parts, strict=True)
    ]
    classes = tuple(_name_class(value) for value in values.tolist())
    note_classes(classes, findings)
    return LoadedData(
        train=numbered[0],
        test=numbered[1] if len(numbered) > 1 else None,
        classes=classes,
        findings=findings.to_tuple(),
    )


def note_classes(classes: Sequence[str], findings: Findings) -> None:
    """Add a finding for classes that a reader takes for one: alike but for capitals, spaces or such."""
    shapes = list(map(fold_word, classes))
    counts = Counter(shapes)
    mixed = [name for name, shape in zip(classes, shapes, strict=True) if counts[shape] > 1]
    findings.add("name", "of classes alike but for capitals or spaces", ", ".join(mixed[:8]), len(mixed))


def fold_word(word: str) -> str:
    """Return a word without what a reader overlooks: capitals, spaces and the width of letters."""
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())


def _refuse_merging(parts: Sequence[np.ndarray], names: tuple[str, str]) -> None:
    """Raise BadData where whole numbers of two types meet as floating-point ones that cannot hold them."""
    common = np.result_type(*parts)
    if common.kind == "f" and any(
        labels.dtype.kind in "iu" and (np.abs(labels) > EXACT).any() for labels in parts
    ):
        kinds = " and ".join(dict.fromkeys(str(labels.dtype) for labels in parts))
        raise BadData(
            f"{names[0]} and {names[1]} must be of one type where they are beyond 2^53, got {kinds}, which "
            "become one number where they are two; save both as int64 or as texts"
        )


def name_labels(labels: np.ndarray) -> list[str]:
    """Return the name of each label as `number_classes` names classes; "" for a missing one.

    Raises:
        BadData: labels are no classes.
    """
    read = _read_labels(labels, "labels", Findings())
    return ["" if value != value else _name_class(value) for value in read.tolist()]


def _name_class(value: object) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)


def _renumber(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the place of each label among the values, -1 where it is not among them."""
    if not len(values):
        return np.full(len(labels), -1)
    places = np.searchsorted(values, labels).clip(0, len(values) - 1)
    return np.where(values[places] == labels, places, -1)


def _read_labels(labels: np.ndarray, name: str, findings: Findings) -> np.ndarray:
    """Return labels [n] as texts, or as numbers that are whole or NaN."""
    if labels.dtype.kind not in "biufUS":
        raise BadData(f"{name} must be numbers or texts, got dtype {labels.dtype}; {REMEDY}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        labels = _read_one_hot(labels, name, findings)
    if labels.ndim != 1:
        raise BadData(f"{name} must be [n] or one-hot [n, classes], got {labels.shape}; {REMEDY}")
    if labels.dtype.kind == "b":
        return np.where(labels, "True", "False")
    if labels.dtype.kind in "US":
        return _read_texts(labels, name)
    if labels.dtype.kind == "f":
        _check_whole(labels, name)
        return labels.astype(np.float64)
    return labels


def _read_one_hot(labels: np.ndarray, name: str, findings: Findings) -> np.ndarray:
    """Return the column of the 1 in each row, where each row has one and zeros else."""
    numbers = labels if labels.dtype.kind in "biuf" else np.zeros(labels.shape)
    is_one_hot = (numbers == 1).sum(axis=1) == 1
    is_one_hot &= (numbers == 0).sum(axis=1) == numbers.shape[1] - 1
    if not is_one_hot.all():
        row = int(np.argmin(is_one_hot))
        got = f"another row {row}: {labels[row].tolist()}"[:100]
        raise BadData(
            f"{name} must be [n], or one-hot [n, classes] with one 1 in each row, got {labels.shape} with "
            f"{got}; give each sample one class"
        )
    findings.add("label", "one-hot: the column of the 1 is the class", count=len(labels))
    columns: np.ndarray = numbers.argmax(axis=1)
    return columns


def _read_texts(labels: np.ndarray, name: str) -> np.ndarray:
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError:
            raise BadData(f"{name} must be texts in UTF-8, got other bytes; save them as str") from None
    return np.array([unicodedata.normalize("NFC", str(text)).strip() for text in labels], np.str_)


def _check_whole(labels: np.ndarray, name: str) -> None:
    """Raise BadData where a number is no class; NaN is a label that is missing."""
    given = labels[~np.isnan(labels)]
    fractions = given[~(given == np.floor(given)) | np.isinf(given)]
    if len(fractions):
        raise BadData(
            f"{name} must be classes, got {len(fractions)} of {len(labels)} that are no whole numbers (the "
            f"first is {fractions[0]:g}); {OFFER}, or bin them"
        )
