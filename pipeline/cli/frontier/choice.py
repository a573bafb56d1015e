"""The points of a frontier that are asked for, what speaks against them, and what to say where there is none.

Points are chosen by what validation says, over all of their seeds. The test split decides nothing: it is
read once, and a point that it contradicts is not handed out as the answer.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import BadSetting, FulcrumError
from pipeline.formatting import format_count
from pipeline.frontier.choosing import CLOSE
from pipeline.reports.study_markdown import describe_point
from pipeline.settings.searching.objectives import COST, OBJECTIVES

if TYPE_CHECKING:
    from pipeline.measures import Point
    from pipeline.search.results import Results
    from pipeline.search.study_trial import FrontierPoint

CONFIRM = "repeat the sweep with search.confirm=2"


class NothingQualifies(FulcrumError):
    """No point of the frontier is as accurate or as cheap as was asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: one of an accuracy, device-seconds and the knee, or none of them."""

    at_least: float | None = None
    within: float | None = None
    knee: bool = False

    @property
    def is_for_one(self) -> bool:
        """Return whether one point was asked for, not the whole frontier."""
        return self.knee or self.at_least is not None or self.within is not None


def check_request(request: Request) -> None:
    """Check the numbers of a request.

    Raises:
        BadSetting: an accuracy is not within 0..1, or a budget not above 0.
    """
    if request.at_least is not None and not 0 <= request.at_least <= 1:
        raise BadSetting(
            f"at_least must be >= 0 and <= 1 (0.975 is 97.5 %), got {request.at_least:g}; divide by 100"
        )
    if request.within is not None and not request.within > 0:
        raise BadSetting(f"within must be > 0 device-seconds, got {request.within:g}; raise it")


def choose_points(request: Request, results: "Results") -> list["FrontierPoint"]:
    """Choose the point that was asked for, or all that keep to the bounds.

    Raises:
        NothingQualifies: there is none; the text names the nearest.
    """
    if not request.is_for_one:
        _check_frontier(replace(results, at_most={}))
        members = [member for member in results.frontier if results.is_within_bounds(member)]
        return members or _refuse_bounds(results)
    _check_frontier(results)
    member = _choose(request, results)
    if member is None:
        _refuse(request, results)
    if request.at_least is not None:
        _check_with_test(member, request.at_least, results)
    return [member]


def _choose(request: Request, results: "Results") -> "FrontierPoint | None":
    if request.at_least is not None:
        return results.find_cheapest_with(request.at_least)
    if request.within is not None:
        return results.find_best_within(request.within)
    return results.knee


# ---- doubts -------------------------------------------------------------------------------------------


def list_doubts(member: "FrontierPoint", request: Request, results: "Results") -> list[str]:
    """List what the intervals say against that a point keeps to what was asked, a line each.

    The last line names the point that surely does, if there is one. Empty where nothing is in doubt.
    """
    doubts = _list_own_doubts(member, request, results)
    if doubts and (sure := find_sure(request, results)):
        doubts.append(f"sure by validation is {_name(sure)}, {describe_point(sure)}: {sure.command}")
    return doubts


def _list_own_doubts(member: "FrontierPoint", request: Request, results: "Results") -> list[str]:
    asked, low, doubts = request.at_least, member.estimate.low, list[str]()
    to_text = results.measure.format
    if asked is not None and low is not None and low < asked - CLOSE:
        doubts.append(f"not sure to reach {to_text(asked)}: the 95 % interval begins at {to_text(low)}")
    for name, most in _list_bounds(request, results).items():
        end, kind = _read_end(member, name, results), OBJECTIVES[name]
        if end > most and kind.maximise:
            least, begin = kind.format(most), kind.format(min(end, 1.0))
            doubts.append(f"not sure to reach {least} {kind.label}: the 95 % interval begins at {begin}")
        elif end > most:
            what = f"{most:g} {kind.unit} {kind.label}".replace("  ", " ")
            doubts.append(f"not sure to keep to {what}: the 95 % interval ends at {end:.3g}")
    return doubts


def find_sure(request: Request, results: "Results") -> "FrontierPoint | None":
    """Find the confirmed point that the same rule chooses where whole intervals keep to what was asked."""
    sure = [
        member
        for member in results.candidates
        if member.confirmation and not _list_own_doubts(member, request, results)
    ]
    if request.at_least is not None:
        return min(sure, key=lambda member: member.estimate.device_seconds, default=None)
    if request.within is not None:
        return max(sure, key=lambda member: member.estimate.accuracy, default=None)
    return None


def _list_bounds(request: Request, results: "Results") -> dict[str, float]:
    """Return the costs that may not be passed, by the name of the objective."""
    within = {} if request.within is None else {COST: request.within}
    return {**results.at_most, **within}


def _read_end(member: "FrontierPoint", name: str, results: "Results") -> float:
    """Return the upper end of the interval of a cost; the mean where there is none."""
    mean, spread = results.read_cost(member, name)
    ends = spread.bound(mean)
    return ends[1] if ends else mean


def _check_with_test(member: "FrontierPoint", accuracy: float, results: "Results") -> None:
    """Raise where the test split contradicts what validation says of the chosen point.

    Raises:
        NothingQualifies: the test accuracy is less than what was asked for.
    """
    new = member.confirmation
    if new is None or new.test_accuracy is None or new.test_accuracy >= accuracy - CLOSE:
        return
    sure, hint = find_sure(Request(at_least=accuracy), results), ""
    if sure is not None and sure is not member:
        hint = f"; sure by validation is {_name(sure)}, {describe_point(sure)}: {sure.command}"
    raise NothingQualifies(
        f"no confirmed point reaches {results.measure.format(accuracy)} on validation and test alike: the "
        f"cheapest by validation, which alone decides, has {describe_point(member)}{hint}; ask for a "
        f"margin, or search on; the nearest is: {member.command}"
    )


# ---- where nothing qualifies --------------------------------------------------------------------------


def _check_frontier(results: "Results") -> None:
    """Raise where there is nothing to choose from.

    Raises:
        NothingQualifies: no trial has a point, none is better than chance, or none keeps to the bounds.
    """
    if not results.points:
        _refuse_empty(results)
    if results.candidates:
        return
    if replace(results, at_most={}).candidates:
        _refuse_bounds(results)
    assert results.chance_level is not None
    raise NothingQualifies(
        f"study {results.study} has no point above chance, which is "
        f"{results.measure.format(results.chance_level)} ({results.measure.guess}, with luck); train longer, "
        "or search another space"
    )


def _refuse_empty(results: "Results") -> NoReturn:
    """Say that nothing was tried, or why what was tried came to nothing."""
    study, count = results.study, len(results.trials)
    if not count:
        raise NothingQualifies(f"study {study} has no point yet; let it run: python -m pipeline sweep")
    last = results.trials[-1]
    command = f"python -m pipeline frontier --study {shlex.quote(study)} --csv"
    raise NothingQualifies(
        f"study {study} has no point: its {format_count(count, 'trial')} came to none, the last one "
        f"{last.state}: "
        f"{last.reason or 'it gave no reason'}; see all with: {command}"
    )


def _refuse(request: Request, results: "Results") -> NoReturn:
    if request.at_least is not None:
        _refuse_accuracy(results, request.at_least)
    if request.within is not None:
        _refuse_budget(results, request.within)
    _refuse_knee(results)


def _write_bound(name: str, most: float) -> str:
    kind = OBJECTIVES[name]
    return f"--min {name}={kind.to_value(most):g}" if kind.maximise else f"--max {name}={most:g}"


def _refuse_bounds(results: "Results") -> NoReturn:
    unbound = replace(results, at_most={})
    bounds = " and ".join(_write_bound(name, most) for name, most in results.at_most.items())

    def exceed(member: "FrontierPoint") -> float:
        costs = ((results.read_cost(member, name)[0], most) for name, most in results.at_most.items())
        return max(cost / max(most, CLOSE) for cost, most in costs)

    nearest = min(unbound.candidates, key=exceed)
    raise NothingQualifies(
        f"no {_name_candidates(results)} keeps to {bounds}, the nearest has {describe_point(nearest)}; "
        f"allow more, or search on; the nearest is: {nearest.command}"
    )


def _refuse_knee(results: "Results") -> NoReturn:
    count = len(results.candidates)
    points, verb = ("1 point", "does") if count == 1 else (f"{count} points", "do")
    which = " confirmed" if results.is_confirmed else ""
    raise NothingQualifies(
        f"the frontier of {results.study} has no knee: its {points}{which} {verb} not bend"
        f"{' (a knee needs 3)' if count < 3 else ''}; choose by --at-least or --within, or search on"
    )


def _refuse_accuracy(results: "Results", accuracy: float) -> NoReturn:
    best = results.best
    assert best is not None
    hint = _mention_unconfirmed(results, lambda point: point.accuracy >= accuracy)
    raise NothingQualifies(
        f"no {_name_candidates(results)} reaches {results.measure.format(accuracy)}, the nearest has "
        f"{describe_point(best)}{hint}; ask for less, or search on; the nearest is: {best.command}"
    )


def _refuse_budget(results: "Results", device_seconds: float) -> NoReturn:
    cheapest = results.cheapest
    assert cheapest is not None
    hint = _mention_unconfirmed(results, lambda point: point.device_seconds <= device_seconds)
    raise NothingQualifies(
        f"no {_name_candidates(results)} costs {format_count(device_seconds, 'device-second')} or less, "
        "the cheapest has "
        f"{describe_point(cheapest)}{hint}; allow more, or search on; the cheapest is: {cheapest.command}"
    )


def _name_candidates(results: "Results") -> str:
    return "confirmed point" if results.is_confirmed else "point"


def _name(member: "FrontierPoint") -> str:
    return f"trial {member.trial.number} at epoch {member.epoch}"


def _mention_unconfirmed(results: "Results", qualifies: Callable[["Point"], bool]) -> str:
    """Mention the first point that would do if the search's one seed were right; else nothing."""
    if not results.is_confirmed:
        return ""
    for member in results.frontier:
        if member.confirmation is None and qualifies(member.point):
            had = f"{member.measure.format(member.point.accuracy)} in the search, not confirmed: {CONFIRM}"
            return f" ({_name(member)} had {had})"
    return ""
