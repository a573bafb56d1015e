"""How well outputs answer to labels: accuracy, R2 and the measures of classes. Pure."""

from typing import TYPE_CHECKING

from pipeline.errors import Diverged
from pipeline.formatting import format_count

if TYPE_CHECKING:
    import numpy as np

LEAST_OUTPUT = 1e-45
"""Of float32: what is less is 0, whose logarithm is none. Sure answers have others that are hardly more."""


def compute_accuracy(outputs: "np.ndarray", labels: "np.ndarray") -> float:
    """Compute the share 0..1 of rows of `outputs` [n, classes] whose largest output is the right one.

    Raises:
        Diverged: an output is NaN or infinite, so that the largest says nothing.
    """
    require_finite(outputs)
    return float((outputs.argmax(axis=1) == labels).mean())


def compute_r2(answers: "np.ndarray", quantities: "np.ndarray") -> float:
    """Compute the share of the variance of `quantities` [n] that `answers` [n] or [n, 1] explain, at most 1.

    1 - sum of squared errors / sum of squared deviations from the mean; of quantities that are all the same
    it is 1 where all answers are right, else 0, as in scikit-learn.

    Raises:
        Diverged: an answer is NaN or infinite.
    """
    import numpy as np

    require_finite(answers.reshape(len(quantities), -1))
    errors = np.asarray(answers, np.float64).reshape(-1) - quantities
    return divide_squares(float(np.square(errors).sum()), sum_squares(quantities))


def sum_squares(quantities: "np.ndarray") -> float:
    """Compute the sum of the squared deviations from the mean."""
    return float(((quantities - quantities.mean()) ** 2).sum())


def divide_squares(errors: float, deviations: float) -> float:
    """Compute R2 from the sums of the squared errors and of the squared deviations."""
    if deviations <= 0:
        return 1.0 if errors <= 0 else 0.0
    return 1 - errors / deviations


def measure_classes(right: "np.ndarray", named: "np.ndarray", support: "np.ndarray", measure: str) -> float:
    """Compute a measure of classes from counts [classes]: rightly named, named at all, rows of it.

    `measure`: `balanced_accuracy`, the mean recall of the classes that have rows (Brodersen et al. 2010, doi
    10.1109/ICPR.2010.764); `f1`, the mean of their F1; any other name: the accuracy.
    """
    has_rows = support > 0
    match measure:
        case "balanced_accuracy":
            return float((right[has_rows] / support[has_rows]).mean())
        case "f1":
            return float((2 * right[has_rows] / (named + support)[has_rows]).mean())
        case _:
            return float(right.sum() / support.sum())


def score_answers(outputs: "np.ndarray", labels: "np.ndarray", measure: str = "accuracy") -> float:
    """Compute the measure of the task: R2 where the labels are floats [n], else that of classes.

    `measure`: a name of `measure_classes`, or `auc` (see `compute_auc`).

    Raises:
        Diverged: an output is NaN or infinite.
    """
    import numpy as np

    if labels.dtype.kind == "f":
        return compute_r2(outputs, labels)
    require_finite(outputs)
    if measure == "auc":
        return compute_auc(outputs, labels)[0]
    named, classes = outputs.argmax(axis=1), outputs.shape[1]
    right = labels[named == labels]
    counts = [np.bincount(numbers, minlength=classes) for numbers in (right, named, labels)]
    return measure_classes(counts[0], counts[1], counts[2], measure)


def compute_auc(outputs: "np.ndarray", labels: "np.ndarray") -> tuple[float, float]:
    """Compute the area under the ROC curve of `outputs` [n, classes] in 0..1, and its standard error.

    It is the mean of `compute_areas`; 0.5 where one class alone has rows. The error is that of DeLong et al.
    (1988, doi 10.2307/2531595), for the mean of the classes.
    """
    import numpy as np

    areas, error = compute_areas(outputs, labels)
    return (float(np.mean(list(areas.values()))), error) if areas else (0.5, 0.5)


def compute_areas(outputs: "np.ndarray", labels: "np.ndarray") -> tuple[dict[int, float], float]:
    """Compute the area under the ROC curve of each class, and the standard error of their mean.

    Of two classes that of class 1; of more those of each class against the others (one-vs-rest), as in
    scikit-learn. Classes without a row are left out, all where one class alone has rows.
    """
    import numpy as np

    outputs = np.asarray(outputs, np.float64)
    present = np.unique(labels)
    if len(present) < 2:
        return {}, 0.5
    if outputs.shape[1] == 2:
        outputs, present = (outputs[:, 1] - outputs[:, 0])[:, None], np.array([1])
        columns = outputs.T
    else:
        sums = outputs.sum(axis=1, keepdims=True)  # sigmoid outputs need not sum to 1
        columns = (outputs / np.where(sums > 0, sums, 1))[:, present].T
    areas, influence = dict[int, float](), np.zeros(len(labels))
    for column, number in zip(columns, present, strict=True):
        areas[int(number)], of_rows = _rank_class(column, labels == number)
        influence += of_rows / len(present)
    return areas, float(np.sqrt(np.square(influence).sum()))


def _rank_class(scores: "np.ndarray", is_class: "np.ndarray") -> "tuple[float, np.ndarray]":
    """Return the area of one class against the others, and what each row [n] adds to its error."""
    import numpy as np

    places = np.empty(len(scores))
    places[is_class] = compute_share_below(scores[is_class], scores[~is_class])
    places[~is_class] = 1 - compute_share_below(scores[~is_class], scores[is_class])
    area, rows = float(places[is_class].mean()), np.where(is_class, is_class.sum(), (~is_class).sum())
    return area, (places - area) / np.sqrt(rows * np.maximum(rows - 1, 1))


def compute_share_below(scores: "np.ndarray", others: "np.ndarray") -> "np.ndarray":
    """Return the share of `others` [m] that lie below each score [n], equal ones counting half.

    Its mean is the area under the ROC curve of scores against others.
    """
    import numpy as np

    order = np.sort(others)
    below, upto = (np.searchsorted(order, scores, side) for side in ("left", "right"))
    return (below + upto) / (2 * len(others))


def require_finite(outputs: "np.ndarray") -> None:
    """Raise where a model answers with no numbers: its weights are too large, however its loss looked.

    Raises:
        Diverged: an output is NaN or infinite.
    """
    import numpy as np

    broken = int((~np.isfinite(outputs)).any(axis=1).sum())
    if broken:
        raise Diverged(
            f"a model's outputs must be finite, got NaN or infinity in {broken:,} of "
            f"{format_count(len(outputs), 'row')}; "
            "train with a smaller optimizer.learning_rate"
        )
