"""What a sweep will take, by what an earlier study of the same settings took, or this one so far."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import FulcrumError
from pipeline.formatting import format_count, format_duration
from pipeline.settings import addresses

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from pipeline.cli.sweep.plan import SweepPlan
    from pipeline.search.study_store import StudyStore

RECENT = 20
"""Studies that are looked at, the newest first."""
ENOUGH = 2
"""Trials from which a pace can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a study went: wall seconds, as if one trial had followed the other, and device-seconds.

    `begun`: all its trials, those too that have not ended; `after_wall`, `after_device`: of what came after
    its search.
    """

    study: str
    begun: int
    trials: int
    wall: float
    device: float
    after_wall: float
    after_device: float


def find_expectation(
    address: str, plan: "SweepPlan", device: str | None = None, study: str | None = None
) -> list[str]:
    """Find what the sweep of a plan will take, as a line; none where nobody can say, or nothing is left.

    `address`: of the storage; `device`: None where it is not known yet: any; `study`: the name of its study.
    """
    from pipeline.search import optuna_storage
    from pipeline.search.study_store import StudyStore

    path = addresses.read_sqlite_path(address)
    if path is not None and not path.exists():
        return []
    names = optuna_storage.list_studies(address)
    resumed = read_pace(StudyStore.open_for_reading(address, study)) if study in names else None
    if resumed is not None and resumed.trials >= ENOUGH:
        return [line] if (line := describe_expectation(resumed, plan, resumed)) else []
    for name in names[: -RECENT - 1 : -1]:
        if name != study and (pace := _read_pace_alike(address, name, plan, device)):
            return [line] if (line := describe_expectation(pace, plan, resumed)) else []
    return []


def _read_pace_alike(address: str, name: str, plan: "SweepPlan", device: str | None) -> Pace | None:
    """Read the pace of a study whose trials share the settings, on the device; None of any other."""
    from pipeline.search.storage.our_studies import ABOUT
    from pipeline.search.study_store import StudyStore

    try:
        store = StudyStore.open_for_reading(address, name)
        about = store.read_attrs().get(ABOUT) or {}
    except FulcrumError:  # of a later release, or gone meanwhile
        return None
    alike = about.get("settings") == sorted(plan.fixed) and device in (None, about.get("device"))
    pace = read_pace(store) if alike else None
    return pace if pace is not None and pace.trials >= ENOUGH else None


def read_pace(store: "StudyStore") -> Pace:
    """Read how fast a study went."""
    trials, after = _list_timed(store.trials()), _list_timed(store.task_queue().trials())
    return Pace(
        study=store.name,
        begun=store.count_begun(),
        trials=len(trials),
        wall=sum(seconds for seconds, _ in trials),
        device=sum(paid for _, paid in trials),
        after_wall=sum(seconds for seconds, _ in after),
        after_device=sum(paid for _, paid in after),
    )


def _list_timed(rows: Iterable["FrozenTrial"]) -> list[tuple[float, float]]:
    """List the wall seconds and the device-seconds of the rows that have ended with an outcome."""
    from pipeline.search.storage.our_studies import OUTCOME

    timed = []
    for row in rows:
        outcome: dict[str, Any] | None = row.user_attrs.get(OUTCOME)
        if outcome and row.datetime_start and row.datetime_complete:
            seconds = (row.datetime_complete - row.datetime_start).total_seconds()
            timed.append((seconds, float(outcome.get("paid_seconds", 0.0))))
    return timed


def describe_expectation(pace: Pace, plan: "SweepPlan", resumed: Pace | None) -> str:
    """Describe what the rest of a sweep will take at a pace; empty where nothing is left to do.

    `resumed`: the pace of the study itself so far, None where it has not begun.
    """
    settings = plan.command_line.settings
    search, parallel = settings.search, max(1, settings.parallel_trials)
    counts = [float(search.most_trials - (resumed.begun if resumed else 0))] if search.is_capped else []
    wall, device = pace.wall / pace.trials, pace.device / pace.trials
    if search.budget_device_seconds is not None and device > 0:
        counts.append((search.budget_device_seconds - (resumed.device if resumed else 0.0)) / device)
    if search.timeout is not None and wall > 0:
        counts.append(search.timeout * parallel / wall)
    trials = min(counts, default=0.0)
    if trials <= 0:
        return ""
    after = pace.after_wall / parallel if search.confirm else 0.0
    seconds = trials * device + (pace.after_device if search.confirm else 0.0)
    duration = format_duration(trials * wall / parallel + after)
    later = f", {format_duration(after)} of them after the search" if after else ""
    is_own = resumed is not None and resumed.study == pace.study
    source = (
        f"{'its' if is_own else f'study {pace.study} with its'} {format_count(pace.trials, 'trial')} so far"
    )
    money = settings.price.format(seconds)
    return (
        f"expect: about {duration}{later}, and {format_duration(seconds)} of the device{money}, by {source}"
    )
