"""Measured values: plain and frozen, without TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.errors import Diverged

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Point:
    """What was reached for which cost: `accuracy` in 0..1, `device_seconds` > 0.

    `further`: the costs by the other objectives of a search, in their order, each the smaller the better;
    NaN where one is not known.
    """

    accuracy: float
    device_seconds: float
    further: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The state after epoch `number` (1-based).

    Of a quantity, R2 stands in the place of accuracy here and in `Point`.

    `device_seconds`: what all epochs so far cost: seconds x devices, training steps only. Losses are means
    over samples, accuracies shares in 0..1. `contended`: whether other processes used the device meanwhile;
    `core_share`: which share of the requested core time was received (None: unknown); `lost_seconds`:
    device-seconds that others took from the epochs so far; they are no part of the cost. `joules`: what the
    device drew in the training steps of all epochs so far (None: unknown); `joules_estimated`: nothing could
    be read, so that is the power of the device at full load x the seconds of its use. `epsilon`: what all
    epochs so far have spent of the privacy of the training rows (None: nobody counts).
    `accuracy_under_attack`: of the validation split, where a search asks for it.
    """

    number: int
    device_seconds: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    contended: bool = False
    core_share: float | None = None
    lost_seconds: float = 0.0
    joules: float | None = None
    joules_estimated: bool = False
    epsilon: float | None = None
    accuracy_under_attack: float | None = None

    @property
    def measured_seconds(self) -> float:
        """Return the device-seconds as the clock measured them, with those that others took."""
        return self.device_seconds + self.lost_seconds


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial had reached after each epoch, and on which device.

    `fair_midway`: whether a state before the last is a fair point (see `settings.optimizer.Schedule`).
    """

    device: str
    fair_midway: bool
    epochs: tuple[Epoch, ...] = ()

    def with_epoch(self, epoch: Epoch) -> "Curve":
        """Return this curve with one more epoch."""
        return Curve(self.device, self.fair_midway, (*self.epochs, epoch))

    @property
    def last(self) -> Epoch:
        """Return the last epoch."""
        return self.epochs[-1]

    def list_joules(self, estimated: bool) -> list[float | None]:
        """List the joules after each epoch; None where there is no measurement, or no estimate."""
        return [epoch.joules if epoch.joules_estimated is estimated else None for epoch in self.epochs]

    @property
    def points(self) -> tuple[Point, ...]:
        """Return the states that may stand on a frontier: all epochs where that is fair, else the last."""
        fair = self.epochs if self.fair_midway else self.epochs[-1:]
        return tuple(Point(epoch.validation_accuracy, epoch.device_seconds) for epoch in fair)


Stop = Callable[[Curve], str | None]
"""The reason to stop training after the last epoch of the curve, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Wall seconds of a trial by purpose; only `train` counts as device-seconds."""

    prepare: float = 0.0
    input: float = 0.0
    compile: float = 0.0
    warm_up: float = 0.0
    train: float = 0.0
    validate: float = 0.0
    evaluate: float = 0.0
    profile: float = 0.0


@dataclass(frozen=True, slots=True)
class PowerDraw:
    """Power that the device drew while it trained; None where it is unknown.

    `busy`: the share 0..1 of the time in which it computed; `estimated`: joules and watts are not measured.
    """

    joules: float | None = None
    watts: float | None = None
    busy: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision and recall of one class in 0..1 (0 where undefined); `support` = its samples."""

    name: str
    precision: float
    recall: float
    support: int


@dataclass(frozen=True, slots=True)
class SplitScore:
    """Accuracy in 0..1 and mean loss on one split of `samples` rows."""

    accuracy: float
    loss: float
    samples: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall milliseconds of one call with one sample or one batch, over `repeats` calls."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the network needs to answer.

    `latency`: of one sample, of what `profile.runtime` answers with; `compiled_latency`: of the compiled
    Keras model; `cold_ms`: of the very first answer, from the making of what answers; both are None in
    records of earlier releases; `latency_by_batch`: of calls with so many samples; `throughput`: samples per
    second by batch size; `flops`: of the forward pass of one sample; `peak_memory_bytes`: to answer the
    largest batch, as `memory_source` counted it (see
    `profiling.profile`); `model_bytes`: of the saved file.
    """

    latency: Latency
    compiled_latency: Latency | None = None
    cold_ms: float | None = None
    latency_by_batch: dict[int, Latency] = field(default_factory=dict)
    throughput: dict[int, float] = field(default_factory=dict)
    parameters: int = 0
    flops: int = 0
    peak_memory_bytes: int = 0
    memory_source: str = ""
    model_bytes: int = 0


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

    Of two classes; of more the mean over the classes of each against the others (macro, one-vs-rest), as in
    scikit-learn. Classes without a row are left out; 0.5 where one class alone has rows. The error is that
    of DeLong et al. (1988, doi 10.2307/2531595), for the mean of the classes.
    """
    import numpy as np

    outputs = np.asarray(outputs, np.float64)
    present = np.unique(labels)
    if len(present) < 2:
        return 0.5, 0.5
    if outputs.shape[1] == 2:
        outputs, present = (outputs[:, 1] - outputs[:, 0])[:, None], np.array([1])
        columns = outputs.T
    else:
        sums = outputs.sum(axis=1, keepdims=True)  # sigmoid outputs need not sum to 1
        columns = (outputs / np.where(sums > 0, sums, 1))[:, present].T
    areas, influence = [], np.zeros(len(labels))
    for column, number in zip(columns, present, strict=True):
        area, of_rows = _rank_class(column, labels == number)
        areas.append(area)
        influence += of_rows / len(present)
    return float(np.mean(areas)), float(np.sqrt(np.square(influence).sum()))


def _rank_class(scores: "np.ndarray", is_class: "np.ndarray") -> "tuple[float, np.ndarray]":
    """Return the area of one class against the others, and what each row [n] adds to its error."""
    import numpy as np

    places = np.empty(len(scores))
    places[is_class] = compute_share_below(scores[is_class], scores[~is_class])
    places[~is_class] = 1 - compute_share_below(scores[~is_class], scores[is_class])
    area = float(places[is_class].mean())
    return area, (places - area) / np.where(is_class, is_class.sum(), (~is_class).sum())


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
            f"a model's outputs must be finite, got NaN or infinity in {broken:,} of {len(outputs):,} rows; "
            "train with a smaller optimizer.learning_rate"
        )
