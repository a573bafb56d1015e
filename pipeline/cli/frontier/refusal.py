"""What was asked of a frontier, and what to say where no point of it qualifies."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import FulcrumError
from pipeline.formatting import format_count
from pipeline.frontier.choosing import CLOSE
from pipeline.reports.study_markdown import describe_point, name_point
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


def check_frontier(results: "Results") -> None:
    """Raise where there is nothing to choose from.

    Raises:
        NothingQualifies: no trial has a point, none is better than chance, or none keeps to the bounds.
    """
    if not results.points:
        _refuse_empty(results)
    if results.candidates:
        return
    if replace(results, at_most={}).candidates:
        refuse_bounds(results)
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


def refuse(request: Request, results: "Results") -> NoReturn:
    """Say that no point is what was asked for, and which is the nearest."""
    if (accuracy := request.at_least) is not None:
        hint = _mention_unconfirmed(results, lambda point: point.accuracy >= accuracy)
        assert results.best is not None  # the frontier has candidates
        asked = f"reaches {results.measure.format_apart(accuracy, results.best.estimate.accuracy)}"
        _name_instead(results, asked, "nearest", results.best, f"{hint}; ask for less", request)
    if (budget := request.within) is not None:
        hint = _mention_unconfirmed(results, lambda point: point.device_seconds <= budget)
        asked = f"costs {format_count(budget, 'device-second')} or less"
        _name_instead(results, asked, "cheapest", results.cheapest, f"{hint}; allow more", request)
    _refuse_knee(results)


def _name_instead(
    results: "Results",
    asked: str,
    which: str,
    point: "FrontierPoint | None",
    remedy: str,
    request: Request,
) -> NoReturn:
    """Say that no point does what was asked, and name the one that comes nearest to it."""
    assert point is not None
    described = describe_point(point, request.at_least, request.within)
    candidates = "confirmed point" if results.is_confirmed else "point"
    raise NothingQualifies(
        f"no {candidates} {asked}, the {which} has {described}{remedy}, or search on; "
        f"the {which} is: {point.command}"
    )


def _write_bound(name: str, most: float) -> str:
    kind = OBJECTIVES[name]
    return f"--min {name}={kind.to_value(most):.10g}" if kind.maximise else f"--max {name}={most:.10g}"


def refuse_bounds(results: "Results") -> NoReturn:
    """Say that no point keeps to the bounds, and which is the nearest."""
    unbound = replace(results, at_most={})
    bounds = " and ".join(_write_bound(name, most) for name, most in results.at_most.items())

    def exceed(member: "FrontierPoint") -> float:
        costs = ((results.read_cost(member, name)[0], most) for name, most in results.at_most.items())
        return max(cost / max(most, CLOSE) for cost, most in costs)

    nearest = min(unbound.candidates, key=exceed)
    are_shares = {OBJECTIVES[name].maximise for name in results.at_most}
    remedy = " or ".join(
        text for kind, text in ((False, "allow more"), (True, "ask for less")) if kind in are_shares
    )
    request = Request(within=results.at_most.get(COST))
    _name_instead(results, f"keeps to {bounds}", "nearest", nearest, f"; {remedy}", request)


def _refuse_knee(results: "Results") -> NoReturn:
    count = len(results.candidates)
    points = format_count(count, "confirmed point" if results.is_confirmed else "point")
    verb = "does" if count == 1 else "do"
    raise NothingQualifies(
        f"the frontier of {results.study} has no knee: its {points} {verb} not bend"
        f"{' (a knee needs 3)' if count < 3 else ''}; choose by --at-least or --within, or search on"
    )


def _mention_unconfirmed(results: "Results", qualifies: Callable[["Point"], bool]) -> str:
    """Mention the first point that would do if the search's one seed were right; else nothing."""
    if not results.is_confirmed:
        return ""
    for member in results.frontier:
        if member.confirmation is None and qualifies(member.point):
            had = f"{member.measure.format(member.point.accuracy)} in the search, not confirmed: {CONFIRM}"
            return f" ({name_point(member)} had {had})"
    return ""
