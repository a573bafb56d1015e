"""How good answers are, by a number that a search maximises: an entry of `MEASURES` each.

A measure is at most 1, and what is missing to 1 is the error. The frontier is searched and drawn on a log
scale of error, so whatever reads, writes or compares such a number asks its measure alone.
"""

import math
import statistics
from dataclasses import dataclass

from pipeline.errors import BadInput
from pipeline.formatting import ROUNDING, format_score, tell_apart

ONE_SIDED = statistics.NormalDist().inv_cdf(0.95)
"""Standard errors by which chance reaches above its level in one of twenty splits."""
CLOSE = 1e-9
"""Of spreads: where all are right or all wrong, a number just above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One way to say how good answers are.

    `label`: in words; `metric`: its name in MLflow, where `train/validation_` or `evaluate/test_` may stand
    before it; `guess`: what a model does that has learnt nothing.
    """

    name: str
    label: str
    metric: str
    guess: str

    @property
    def title(self) -> str:
        """Return the label, to begin a heading with."""
        return self.label[:1].upper() + self.label[1:]

    # ---- as a person reads it -----------------------------------------------------------------------------

    def format(self, value: float) -> str:
        """Format a value: `95.00%`."""
        return format_score(value)

    def format_apart(self, value: float, rival: float | None) -> str:
        """Format a value with as many digits as tell it from another one: `94.998%` beside 95 %."""
        text = self.format(value)
        if rival is None or abs(value - rival) < CLOSE or text != self.format(rival):
            return text
        return self._tell_apart(value, rival)

    def _tell_apart(self, value: float, rival: float) -> str:
        return f"{tell_apart(100 * value, 100 * rival)}%"

    def format_width(self, half_width: float) -> str:
        """Format half the width of an interval, to stand behind a value: `1.30`; 0 only where it is 0."""
        return f"{100 * half_width:.2f}" if half_width >= 0.00005 else f"{100 * half_width:.1g}"

    def format_change(self, change: float) -> str:
        """Format a difference of two values: `+1.30 points`."""
        return f"{round(100 * change, 2) + 0.0:+.2f} points"

    def format_tick(self, value: float) -> str:
        """Format a round value at an axis: `95%`."""
        return f"{100 * value:.6g}%"

    # ---- how it spreads -----------------------------------------------------------------------------------

    def compute_seed_scale(self, value: float) -> float:
        """Compute the square of the scale on which values of several seeds spread alike: p (1 - p)."""
        return max(value * (1 - value), CLOSE)

    def compute_variance(self, value: float, rows: int) -> float:
        """Compute the variance of a value that comes of having measured it on `rows` rows.

        That of a binomial share. A value of 1 is as good as one mistake in all rows, else the rows would
        leave no doubt.
        """
        return max(self.compute_seed_scale(value), 1 / rows) / rows

    def compute_luck(self, error: float, rows: int) -> float:
        """Compute the standard error of an error on `rows` rows, 0 where there is none."""
        return math.sqrt(error * (1 - error) / rows)

    def compute_chance_level(self, guessed: float, rows: int) -> float:
        """Compute the largest value that does not differ from guessing: a one-sided test at 5 %.

        `guessed`: the value that guessing has. Normal approximation of the binomial.
        """
        return guessed + ONE_SIDED * math.sqrt(guessed * (1 - guessed) / rows)

    @property
    def lowest(self) -> float:
        """Return the smallest value that there is."""
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Determination(Measure):
    """R2, the share of the variance of a quantity that is explained; below 0 the mean would be better."""

    def format(self, value: float) -> str:
        return ">0.9999" if 0.99995 <= value < 1 - ROUNDING else f"{round(value, 4) + 0.0:.4f}"

    def _tell_apart(self, value: float, rival: float) -> str:
        return tell_apart(value, rival)

    def format_width(self, half_width: float) -> str:
        return f"{half_width:.4f}" if half_width >= 0.00005 else f"{half_width:.1g}"

    def format_change(self, change: float) -> str:
        return f"{round(change, 4) + 0.0:+.4f}"

    def format_tick(self, value: float) -> str:
        return f"{value:.6g}"

    def compute_seed_scale(self, value: float) -> float:
        """Compute the square of the error: seeds change the rest that is not explained by a factor."""
        return max((1 - value) ** 2, CLOSE)

    def compute_variance(self, value: float, rows: int) -> float:
        """Compute 4 R2 (1 - R2)^2 / rows (Olkin and Finn 1995, doi 10.1037/0033-2909.118.1.155)."""
        return float(4 * max(value, 0.0) * (1 - value) ** 2 / rows)

    def compute_luck(self, error: float, rows: int) -> float:
        return math.sqrt(self.compute_variance(1 - error, rows))

    def compute_chance_level(self, guessed: float, rows: int) -> float:
        """Compute the square of the largest correlation that chance has: z / sqrt(rows) (Fisher 1915)."""
        return guessed + ONE_SIDED**2 / rows

    @property
    def lowest(self) -> float:
        return -math.inf


BALANCED_ACCURACY, F1 = "balanced_accuracy", "f1"
BY_CLASS = (BALANCED_ACCURACY, F1)
"""Means over the classes, each of which counts alike, however rare."""
AUC = "auc"
BY_ORDER = (AUC,)
"""Of the outputs of all rows together, not of how often a class is named."""
UNDER_ATTACK = "accuracy_under_attack"
LARGEST_CLASS = "always naming the largest class"

MEASURES = {
    measure.name: measure
    for measure in (
        Measure(name="accuracy", label="accuracy", metric="accuracy", guess=LARGEST_CLASS),
        Measure(
            name="accuracy_under_shift",
            label="accuracy under shift",
            metric="accuracy",
            guess=LARGEST_CLASS,
        ),
        Measure(
            name=UNDER_ATTACK,
            label="accuracy under attack",
            metric=UNDER_ATTACK,
            guess=LARGEST_CLASS,
        ),
        Measure(
            name=BALANCED_ACCURACY,
            label="balanced accuracy",
            metric=BALANCED_ACCURACY,
            guess="always naming one class",
        ),
        Measure(name=F1, label="F1", metric=F1, guess=LARGEST_CLASS),
        Measure(name=AUC, label="AUC", metric=AUC, guess="answering by chance"),
        Determination(name="r2", label="R2", metric="r2", guess="always answering the mean"),
    )
}
ACCURACY_MEASURE, R2_MEASURE = MEASURES["accuracy"], MEASURES["r2"]


def find_measure(name: str) -> Measure:
    """Return the measure of that name, as a study recorded it.

    Raises:
        BadInput: a later release had one that this one does not know.
    """
    if name not in MEASURES:
        raise BadInput(
            f"search.objective must be {', '.join(MEASURES)}, got {name}; read the study with the release "
            "that made it"
        )
    return MEASURES[name]
