"""When a search ends before its total since its frontier has stood still, and what comes after it. Pure.

The frontier stands still where the last trials, as many as `search.patience` says, or those of as many
device-seconds, have added less than `MIN_GAIN` of the hypervolume that it has now, on log scales
(`compute_log_hypervolume`), both in one window, that around all points so far. Half a per cent is
what an error that is smaller by a twentieth, over a quarter of the range of costs, adds on a usual study.
"""

from collections.abc import Sequence

from pipeline.formatting import format_device_seconds, tell_apart
from pipeline.frontier.dominance import select_frontier
from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
from pipeline.measures import Point
from pipeline.search.results import Results
from pipeline.search.study_trial import StudyTrial

CONFIRMING = "confirming the frontier with new seeds"
MODELS, PICTURES = "keeping the models of the frontier", "drawing pictures and the page"
"""What comes after a search, in turn."""

MIN_GAIN = 0.005
"""Share of the frontier's hypervolume; who gains less stands still."""


def compute_recent_gain(results: Results, first: int) -> float | None:
    """Compute the share 0..1 of the hypervolume that the trials from the place `first` on have added.

    None where there was no frontier before them, or is none now.
    """
    before = _select_points(results, results.trials[:first])
    now = [member.point for member in results.frontier]
    if not before or not now:
        return None
    window = Bounds.enclose(results.points)
    volume = compute_log_hypervolume(now, window)
    return 1 - compute_log_hypervolume(select_frontier(before), window) / volume if volume > 0 else None


def _select_points(results: Results, trials: Sequence[StudyTrial]) -> list[Point]:
    return [point for trial in trials for point in trial.points if not results.is_at_chance(point.accuracy)]


def describe_standstill(results: Results, trials: int | None, seconds: float | None) -> str | None:
    """Describe for how long the frontier has stood still; None where it has not, or not for so long yet.

    `trials`, `seconds`: for how many trials, or device-seconds of trials, it must have; one of them.
    """
    first = _find_first(results, trials, seconds)
    gain = None if first is None else compute_recent_gain(results, first)
    if first is None or gain is None or gain >= MIN_GAIN:
        return None
    count = len(results.trials) - first
    paid = sum(trial.paid_seconds for trial in results.trials[first:])
    added = f"{100 * max(gain, 0.0):.2f}"
    if added == f"{100 * MIN_GAIN:.2f}":
        added = tell_apart(100 * gain, 100 * MIN_GAIN)
    last, have = ("the last trial", "has") if count == 1 else (f"the last {count} trials", "have")
    return (
        f"{last} ({format_device_seconds(paid)}) {have} added {added} % to the "
        f"hypervolume of the frontier, less than {100 * MIN_GAIN:g} % (search.patience)"
    )


def _find_first(results: Results, trials: int | None, seconds: float | None) -> int | None:
    """Find the place of the first trial that lies in the window; None where they do not fill it."""
    if trials is not None:
        return len(results.trials) - trials if len(results.trials) > trials else None
    paid = 0.0
    for place in range(len(results.trials) - 1, 0, -1):
        paid += results.trials[place].paid_seconds
        if seconds is not None and paid >= seconds:
            return place
    return None
