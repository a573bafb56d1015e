"""The points of a frontier that are asked for, and what speaks against them.

Points are chosen by what validation says, over all of their seeds. The test split decides nothing: it is
read once, and a point that it contradicts is not handed out as the answer.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.cli.frontier.refusal import (
    NothingQualifies,
    Request,
    check_frontier,
    refuse,
    refuse_bounds,
)
from pipeline.errors import BadSetting
from pipeline.formatting import format_count, tell_apart
from pipeline.frontier.choosing import CLOSE, keeps_to
from pipeline.reports.study_markdown import describe_point, name_point
from pipeline.settings.searching.objectives import COST, OBJECTIVES

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.study_trial import FrontierPoint


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
        check_frontier(replace(results, at_most={}))
        members = [member for member in results.frontier if results.is_within_bounds(member)]
        return members or refuse_bounds(results)
    check_frontier(results)
    member = _choose(request, results)
    if member is None:
        refuse(request, results)
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
        doubts.append(f"sure by validation is {name_point(sure)}, {describe_point(sure)}: {sure.command}")
    return doubts


def _list_own_doubts(member: "FrontierPoint", request: Request, results: "Results") -> list[str]:
    asked, low, doubts = request.at_least, member.estimate.low, list[str]()
    if member.failed_seeds:
        doubts.append(f"{member.count_failed()} new seeds failed: the means are of the others")
    if asked is not None and low is not None and low < asked - CLOSE:
        asked_for, begin = map(results.measure.format_apart, (asked, low), (low, asked))
        doubts.append(f"not sure to reach {asked_for}: the 95 % interval begins at {begin}")
    for name, most in _list_bounds(request, results).items():
        end, kind = _read_end(member, name, results), OBJECTIVES[name]
        if keeps_to(end, most):
            continue
        if kind.maximise:
            least, begin = kind.format(most), kind.format(min(end, 1.0))
            doubts.append(f"not sure to reach {least} {kind.label}: the 95 % interval begins at {begin}")
        else:
            counted = f"{most:,.10g} {kind.unit} {kind.label}".replace("  ", " ")
            what = format_count(most, "device-second") if name == COST else counted
            doubts.append(f"not sure to keep to {what}: the 95 % interval ends at {tell_apart(end, most)}")
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
        hint = f"; sure by validation is {name_point(sure)}, {describe_point(sure)}: {sure.command}"
    told = results.measure.format_apart(accuracy, new.test_accuracy)
    raise NothingQualifies(
        f"the cheapest point that reaches {told} by validation, which alone decides, does not on the test "
        f"split: it has {describe_point(member, accuracy)}{hint}; ask for a margin, or search on; "
        f"it is: {member.command}"
    )
