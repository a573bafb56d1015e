"""The command `frontier`: the frontier of a study, or one point that is chosen on it."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.sweep_screen import build_frontier_table, format_seconds
from pipeline.errors import BadInput, BadSetting, FulcrumError

if TYPE_CHECKING:
    from pipeline.search.results import FrontierPoint, Results


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
    from pipeline.search import optuna_storage, study_store, trial_rows
    from pipeline.tracking import mlflow_store

    address = settings.search.storage or mlflow_store.make_study_address()
    name = _choose_study(options.study or settings.search.study, optuna_storage.list_studies(address))
    results = trial_rows.read_results(study_store.StudyStore(address, name), name)
    if not results.frontier:
        raise NothingQualifies(f"study {name} has no point yet; let it run: python -m pipeline sweep")
    points = _choose_points(options, results)
    if options.json:
        print(json.dumps(to_json(results, points), indent=1))
    elif len(points) == 1 and len(results.frontier) != 1:
        _print_point(points[0], results)
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


def _choose_points(options: argparse.Namespace, results: "Results") -> list["FrontierPoint"]:
    if options.knee:
        knee = results.knee
        return [knee] if knee else []
    points = results.frontier
    if options.at_least is not None:
        point = results.find_cheapest_with(options.at_least)
        if point is None:
            raise NothingQualifies(
                f"no point reaches {options.at_least:.2%}, the best has {points[-1].point.accuracy:.2%} "
                f"at {format_seconds(points[-1].point.device_seconds)}; ask for less, or search on"
            )
        return [point]
    if options.within is not None:
        point = results.find_best_within(options.within)
        if point is None:
            raise NothingQualifies(
                f"no point costs {options.within:g} device-seconds or less, the cheapest costs "
                f"{format_seconds(points[0].point.device_seconds)}; allow more, or search on"
            )
        return [point]
    return list(points)


def to_json(results: "Results", points: Sequence["FrontierPoint"]) -> dict[str, Any]:
    """Return the study and these points of its frontier as plain values, for other programs."""
    knee, probabilities = results.knee, results.estimate_probabilities()
    return {
        "study": results.study,
        "device": results.device,
        "objective": results.objective,
        "trials": len(results.trials),
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
                "test_accuracy": member.confirmation.test_accuracy if member.confirmation else None,
                "on_frontier": probabilities.get((member.trial.number, member.epoch)),
            }
            for member in points
        ],
    }


def print_frontier(results: "Results") -> None:
    """Print the whole frontier, for a person."""
    console = Console(highlight=False)
    states = [trial.state for trial in results.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "paused", "failed") if state in states
    )
    console.print(f"[bold]{escape(results.study)}[/]: {len(states)} trials ({counts})")
    if points := results.frontier:
        total = sum(trial.paid_seconds for trial in results.trials)
        console.print(f"{format_seconds(total)} of {escape(results.device)}\n", soft_wrap=True)
        if results.objective != "accuracy":
            console.print(f"accuracies are {results.accuracy_name}")
        console.print(build_frontier_table(points, results.knee))
    else:
        console.print("no trial has reached a point")


def _print_point(point: "FrontierPoint", results: "Results") -> None:
    console = Console(highlight=False)
    cost, confirmation = format_seconds(point.point.device_seconds), point.confirmation
    console.print(f"{point.point.accuracy:.2%} validation at {cost} of {results.device}")
    if confirmation:
        console.print(f"{confirmation.test_accuracy:.2%} test, {len(confirmation.seeds)} new seeds")
    console.print(point.command, soft_wrap=True)


def print_link(address: str) -> None:
    """Print the address of the view in MLflow, on a line of its own, so that a terminal makes it a link."""
    if address:
        Console(highlight=False).print(f"\nmake ui, then\n  {address}", soft_wrap=True)
        sys.stdout.flush()
