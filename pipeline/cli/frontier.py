"""The command `frontier`: the frontier of a study, or one point that is chosen on it."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.sweep_screen import build_frontier_table, format_seconds
from pipeline.errors import BadInput, BadSetting, FulcrumError
from pipeline.measures import Point
from pipeline.reports.study_markdown import describe_point
from pipeline.settings import addresses

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.study_trial import FrontierPoint

RUN_ID = "MLFLOW_RUN_ID"
CONFIRM = "repeat the sweep with search.confirm=2"
NOT_CONFIRMED = f"not confirmed: of the one seed that the search chose by, so optimistic; {CONFIRM}"


class NothingQualifies(FulcrumError):
    """No point of the frontier is as accurate or as cheap as was asked for."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadSetting(f"frontier: {message}; see python -m pipeline frontier --help")


def run(words: Sequence[str]) -> None:
    """Print the frontier of a study, or the one point that was asked for.

    Raises:
        NothingQualifies: no point is accurate or cheap enough.
        BadInput: there is no such study.
    """
    options, rest = _parse(words)
    settings = compose(arguments.normalise_words(rest)).settings
    if os.environ.get(RUN_ID):  # `mlflow run -e frontier`: reading is no run to keep
        from pipeline.tracking import adopted_run, mlflow_store

        adopted_run.discard_adopted_run(mlflow_store.open_store())
    from pipeline.search import optuna_storage, study_store, trial_rows

    address = settings.search.storage or addresses.make_study_address()
    name = _choose_study(options.study or settings.search.study, optuna_storage.list_studies(address))
    results = trial_rows.read_results(study_store.StudyStore.open_for_reading(address, name), name)
    _check_frontier(results)
    points = _choose_points(options, results)
    if options.json:
        print(json.dumps(to_json(results, points), indent=1))
    elif any((options.knee, options.at_least is not None, options.within is not None)):
        _print_point(points[0], results, options.at_least)
    else:
        print_frontier(results)


def _parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = _Parser("python -m pipeline frontier", add_help=False, allow_abbrev=False)
    parser.add_argument("--at-least", type=float, metavar="ACCURACY")
    parser.add_argument("--within", type=float, metavar="DEVICE_SECONDS")
    parser.add_argument("--knee", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--study")
    options, rest = parser.parse_known_args(list(words))
    if sum([options.at_least is not None, options.within is not None, options.knee]) > 1:
        raise BadSetting(
            "frontier takes one of --at-least, --within and --knee, got several; leave the others out"
        )
    if options.at_least is not None and not 0 <= options.at_least <= 1:
        raise BadSetting(
            f"--at-least must be >= 0 and <= 1 (0.975 is 97.5 %), got {options.at_least:g}; divide by 100"
        )
    if options.within is not None and not options.within > 0:
        raise BadSetting(f"--within must be > 0 device-seconds, got {options.within:g}; raise it")
    return options, rest


def _choose_study(name: str | None, studies: Sequence[str]) -> str:
    if name is None and studies:
        return studies[-1]
    if name not in studies:
        newest = ", ".join(studies[-8:]) or "none"
        got = f"got {name}" if name else "got nothing"
        raise BadInput(
            f"--study must be one of the studies that exist ({newest}), {got}; "
            "begin one with: python -m pipeline sweep"
        )
    assert name is not None
    return name


def _check_frontier(results: "Results") -> None:
    """Raise where there is nothing to choose from.

    Raises:
        NothingQualifies: no trial has a point, or none is better than chance.
    """
    if not results.points:
        raise NothingQualifies(
            f"study {results.study} has no point yet; let it run: python -m pipeline sweep"
        )
    if not results.candidates:
        assert results.split is not None
        raise NothingQualifies(
            f"study {results.study} has no point above chance, which is {results.split.chance_level:.2%} "
            "(always naming the largest class, with luck); train longer, or search another space"
        )


def _choose_points(options: argparse.Namespace, results: "Results") -> list["FrontierPoint"]:
    if options.knee:
        return [results.knee or _refuse_knee(results)]
    if options.at_least is not None:
        return [results.find_cheapest_with(options.at_least) or _refuse_accuracy(results, options.at_least)]
    if options.within is not None:
        return [results.find_best_within(options.within) or _refuse_budget(results, options.within)]
    return list(results.frontier)


def _refuse_knee(results: "Results") -> NoReturn:
    count = len(results.candidates)
    points = "1 point" if count == 1 else f"{count} points"
    which = " confirmed" if results.is_confirmed else ""
    raise NothingQualifies(
        f"the frontier of {results.study} has no knee: its {points}{which} do not bend"
        f"{' (a knee needs 3)' if count < 3 else ''}; choose by --at-least or --within, or search on"
    )


def _refuse_accuracy(results: "Results", accuracy: float) -> NoReturn:
    best = results.best
    assert best is not None
    hint = _mention_unconfirmed(results, lambda point: point.accuracy >= accuracy)
    raise NothingQualifies(
        f"no {_name_candidates(results)} reaches {accuracy:.2%}, the nearest has {describe_point(best)}"
        f"{hint}; ask for less, or search on; the nearest is: {best.command}"
    )


def _refuse_budget(results: "Results", device_seconds: float) -> NoReturn:
    cheapest = results.cheapest
    assert cheapest is not None
    hint = _mention_unconfirmed(results, lambda point: point.device_seconds <= device_seconds)
    raise NothingQualifies(
        f"no {_name_candidates(results)} costs {device_seconds:g} device-seconds or less, the cheapest has "
        f"{describe_point(cheapest)}{hint}; allow more, or search on; the cheapest is: {cheapest.command}"
    )


def _name_candidates(results: "Results") -> str:
    return "confirmed point" if results.is_confirmed else "point"


def _mention_unconfirmed(results: "Results", qualifies: Callable[[Point], bool]) -> str:
    """Mention the first point that would do if the search's one seed were right; else nothing."""
    if not results.is_confirmed:
        return ""
    for member in results.frontier:
        if member.confirmation is None and qualifies(member.point):
            name = f"trial {member.trial.number} at epoch {member.epoch}"
            return f" ({name} had {member.point.accuracy:.2%} in the search, not confirmed: {CONFIRM})"
    return ""


def to_json(results: "Results", points: Sequence["FrontierPoint"]) -> dict[str, Any]:
    """Return the study and these points of its frontier as plain values, for other programs."""
    knee, probabilities = results.knee, results.estimate_probabilities()
    return {
        "study": results.study,
        "device": results.device,
        "objective": results.objective,
        "trials": len(results.trials),
        "paid_device_seconds": results.paid_seconds,
        "failed_device_seconds": results.failed_seconds,
        "interrupted_device_seconds": results.interrupted_seconds,
        "validation": results.split.to_dict() if results.split else None,
        "frontier": [
            {
                "accuracy": member.point.accuracy,
                "device_seconds": member.point.device_seconds,
                "trial": member.trial.number,
                "epoch": member.epoch,
                "run_id": member.trial.run_id,
                "knee": member is knee,
                "params": dict(member.trial.params),
                "command": member.command,
                "on_frontier": probabilities.get(member.key),
                **_list_accuracies(member),
            }
            for member in points
        ],
    }


def _list_accuracies(member: "FrontierPoint") -> dict[str, Any]:
    """Return what each group of seeds reached, and the mean over all, by which points are chosen."""
    estimate, new = member.estimate, member.confirmation
    return {
        "search_accuracy": member.point.accuracy,
        "new_seeds_accuracy": new.accuracy if new else None,
        "test_accuracy": new.test_accuracy if new else None,
        "mean_accuracy": estimate.accuracy,
        "mean_accuracy_interval": [estimate.low, estimate.high] if new else None,
        "mean_device_seconds": estimate.device_seconds,
        "seeds": estimate.seeds,
        "confirmed": new is not None,
    }


def print_frontier(results: "Results") -> None:
    """Print the whole frontier, for a person."""
    console = Console(highlight=False)
    states = [trial.state for trial in results.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "paused", "failed") if state in states
    )
    console.print(f"[bold]{escape(results.study)}[/]: {len(states)} trials ({counts})")
    losses = results.describe_losses()
    if points := results.frontier:
        lost = f", of which {losses}" if losses else ""
        total = format_seconds(results.paid_seconds)
        console.print(f"{total} of {escape(results.device)}{lost}\n", soft_wrap=True)
        if results.objective != "accuracy":
            console.print(f"accuracies are {results.accuracy_name}")
        console.print(build_frontier_table(points, results.knee))
        if not results.is_confirmed:
            console.print(f"[dim]{NOT_CONFIRMED}[/]", soft_wrap=True)
    else:
        console.print(f"no trial has reached a point{' above chance' if results.points else ''}")
        if losses:
            console.print(losses)


def _print_point(member: "FrontierPoint", results: "Results", at_least: float | None) -> None:
    """Print one point: what it was chosen by, then search, new seeds and test, then its command."""
    console = Console(highlight=False)
    estimate, new = member.estimate, member.confirmation
    seeds = f" validation, mean of {estimate.seeds} seeds," if new else " validation"
    cost = format_seconds(estimate.device_seconds)
    console.print(f"{estimate.format()}{seeds} at {cost} of {results.device}", soft_wrap=True)
    if new:
        count = "1 new seed" if len(new.seeds) == 1 else f"{len(new.seeds)} new seeds"
        console.print(
            f"{member.point.accuracy:.2%} search, {new.accuracy:.2%} {count}, {new.test_accuracy:.2%} test",
            soft_wrap=True,
        )
        if doubts := _list_doubts(member, at_least):
            console.print(f"[yellow]not sure to reach {at_least:.2%}: {doubts}[/]", soft_wrap=True)
    else:
        console.print(f"[yellow]{NOT_CONFIRMED}[/]", soft_wrap=True)
    console.print(member.command, soft_wrap=True)


def _list_doubts(member: "FrontierPoint", at_least: float | None) -> str:
    """Return what speaks against that a point has at least that accuracy; empty where nothing does."""
    estimate, new = member.estimate, member.confirmation
    if at_least is None or new is None or estimate.low is None:
        return ""
    doubts = []
    if estimate.low < at_least:
        doubts.append(f"the 95 % interval begins at {estimate.low:.2%}")
    if new.test_accuracy < at_least:
        doubts.append(f"the test split says {new.test_accuracy:.2%}")
    return ", ".join(doubts)


def print_link(address: str) -> None:
    """Print the address of the view in MLflow, on a line of its own, so that a terminal makes it a link."""
    if address:
        Console(highlight=False).print(f"\nmake ui, then\n  {address}", soft_wrap=True)
        sys.stdout.flush()
