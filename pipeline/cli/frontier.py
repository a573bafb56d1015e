"""`frontier`: what a study has come to, and the choice on it."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.sweep_screen import frontier_table, seconds
from pipeline.errors import BadInput, BadSetting, FulcrumError

if TYPE_CHECKING:
    from pipeline.search.results import Member, Results


class NothingQualifies(FulcrumError):
    """No point of the frontier is what was asked for."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadSetting(f"frontier: {message}; see python -m pipeline frontier --help")


def run(words: Sequence[str]) -> None:
    """Print the frontier of a study, or the one point that was asked for.

    Raises:
        NothingQualifies: no point is accurate or cheap enough.
        BadInput: there is no such study.
    """
    told, rest = _parsed(words)
    settings = compose(arguments.overrides(rest)).settings
    from pipeline.search import optuna_storage, study_store, trial_rows
    from pipeline.tracking import mlflow_store

    address = settings.search.storage or mlflow_store.studies()
    name = _chosen(told.study or settings.search.study, optuna_storage.names(address))
    found = trial_rows.results(study_store.Ledger(address, name), name)
    if not found.members():
        raise NothingQualifies(f"study {name} has no point yet; let it run: python -m pipeline sweep")
    members = _choice(told, found)
    if told.json:
        print(json.dumps(as_json(found, members), indent=1))
    elif len(members) == 1 and len(found.members()) != 1:
        _show_one(members[0], found)
    else:
        show(found)


def _parsed(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = _Parser("python -m pipeline frontier", add_help=False, allow_abbrev=False)
    parser.add_argument("--at-least", type=float, metavar="ACCURACY")
    parser.add_argument("--within", type=float, metavar="DEVICE_SECONDS")
    parser.add_argument("--knee", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--study")
    told, rest = parser.parse_known_args(list(words))
    if sum([told.at_least is not None, told.within is not None, told.knee]) > 1:
        raise BadSetting(
            "frontier takes one of --at-least, --within and --knee, got several; leave the others out"
        )
    if told.at_least is not None and not 0 <= told.at_least <= 1:
        raise BadSetting(
            f"--at-least must be >= 0 and <= 1 (0.975 is 97.5 %), got {told.at_least:g}; divide by 100"
        )
    if told.within is not None and not told.within > 0:
        raise BadSetting(f"--within must be > 0 device-seconds, got {told.within:g}; raise it")
    return told, rest


def _chosen(name: str | None, known: Sequence[str]) -> str:
    if name is None and known:
        return known[-1]
    if name not in known:
        there = ", ".join(known[-8:]) or "none"
        got = f"got {name}" if name else "got nothing"
        raise BadInput(
            f"--study must be one of the studies that are there ({there}), {got}; "
            "begin one with: python -m pipeline sweep"
        )
    assert name is not None
    return name


def _choice(told: argparse.Namespace, found: "Results") -> list["Member"]:
    if told.knee:
        knee = found.knee()
        return [knee] if knee else []
    members = found.members()
    if told.at_least is not None:
        member = found.at_least(told.at_least)
        if member is None:
            raise NothingQualifies(
                f"no point reaches {told.at_least:.2%}, the best has {members[-1].point.accuracy:.2%} "
                f"at {seconds(members[-1].point.device_seconds)}; ask for less, or search on"
            )
        return [member]
    if told.within is not None:
        member = found.within(told.within)
        if member is None:
            raise NothingQualifies(
                f"no point costs {told.within:g} device-seconds or less, the cheapest costs "
                f"{seconds(members[0].point.device_seconds)}; allow more, or search on"
            )
        return [member]
    return list(members)


def as_json(found: "Results", members: Sequence["Member"]) -> dict[str, Any]:
    """Plain values for other programs."""
    knee, chances = found.knee(), found.chances()
    return {
        "study": found.study,
        "device": found.device,
        "objective": found.objective,
        "trials": len(found.tried),
        "frontier": [
            {
                "accuracy": member.point.accuracy,
                "device_seconds": member.point.device_seconds,
                "trial": member.tried.number,
                "epoch": member.epoch,
                "run_id": member.tried.run_id,
                "knee": member is knee,
                "params": dict(member.tried.params),
                "command": member.command,
                "test_accuracy": member.confirmation.test_accuracy if member.confirmation else None,
                "on_frontier": chances.get((member.tried.number, member.epoch)),
            }
            for member in members
        ],
    }


def show(found: "Results") -> None:
    """The whole frontier, for a person."""
    console = Console(highlight=False)
    states = [each.state for each in found.tried]
    told = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "paused", "failed") if state in states
    )
    console.print(f"[bold]{escape(found.study)}[/]: {len(states)} trials ({told})")
    if members := found.members():
        spent = sum(each.paid_seconds for each in found.tried)
        console.print(f"{seconds(spent)} of {escape(found.device)}\n", soft_wrap=True)
        if found.objective != "accuracy":
            console.print(f"accuracies are {found.accuracy_name}")
        console.print(frontier_table(members, found.knee()))
    else:
        console.print("no trial came to a point")


def _show_one(member: "Member", found: "Results") -> None:
    console = Console(highlight=False)
    point, confirmed = member.point, member.confirmation
    console.print(f"{point.accuracy:.2%} validation at {seconds(point.device_seconds)} of {found.device}")
    if confirmed:
        console.print(f"{confirmed.test_accuracy:.2%} test, {len(confirmed.seeds)} new seeds")
    console.print(member.command, soft_wrap=True)


def link(address: str) -> None:
    """The planted view, alone on its line so that a terminal makes it a link."""
    if address:
        Console(highlight=False).print(f"\nmake ui, then\n  {address}", soft_wrap=True)
        sys.stdout.flush()
