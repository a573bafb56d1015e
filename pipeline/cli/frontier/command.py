"""The command `frontier`: its words, and the study that they name."""

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.frontier import choice, export, output
from pipeline.cli.frontier.refusal import Request
from pipeline.errors import BadInput, BadSetting
from pipeline.output import print_exactly
from pipeline.settings import addresses
from pipeline.settings.search import Search
from pipeline.settings.searching.objectives import COST, ENERGY, KINDS_OF_ENERGY
from pipeline.settings.searching.quantities import read_seconds, read_share, suggest_amount

if TYPE_CHECKING:
    from pipeline.search.results import Results

RUN_ID = "MLFLOW_RUN_ID"
NEWEST = 8
"""Studies that a message names; `studies` lists all."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadSetting(f"frontier: {message}; see python -m pipeline frontier --help")


def run(words: Sequence[str]) -> None:
    """Print the frontier of a study, or the one point that was asked for.

    Raises:
        NothingQualifies: no point is accurate or cheap enough.
        BadInput: there is no such study.
    """
    options, rest = parse(words)
    request = Request(options.at_least, options.within, options.knee)
    choice.check_request(request)
    settings = compose(arguments.normalise_words(rest)).settings
    if os.environ.get(RUN_ID):  # `mlflow run -e frontier`: reading is no run to keep
        from pipeline.tracking import mlflow_store
        from pipeline.tracking.runs import adopted_run

        adopted_run.discard_adopted_run(mlflow_store.open_store())
    results = read_study(options.study, settings.search)
    results = replace(results, at_most=_read_bounds(options, results))
    if options.html or options.open or options.overlay:
        _show_page(options, results, settings.search)
    elif options.csv:
        print_exactly(export.format_csv(results))
    elif options.trial:
        print(export.describe_trial(results, int(options.trial[0])))
    else:
        _print_points(options, results)


def _show_page(options: argparse.Namespace, results: "Results", search: Search) -> None:
    """Write the page of a study; while its search goes on open the one that the search writes."""
    live = find_live_page(results.study, search)
    if live and not (options.html or options.overlay):
        export.show_page(results.study, live, is_opened=True)
        return
    overlay = read_study(options.overlay, search) if options.overlay else None
    export.write_page(results, options.html, options.open, overlay)


def find_live_page(study: str, search: Search) -> Path | None:
    """Return the page of a study that is being searched, where that is done on this machine."""
    from pipeline.search import study_store

    store = study_store.StudyStore.open_for_reading(search.storage or addresses.make_study_address(), study)
    page = store.read_attrs().get(export.PAGE_FILE)
    is_searched = any(not row.state.is_finished() for row in store.trials())
    return Path(page) if page and is_searched and Path(page).is_file() else None


def _print_points(options: argparse.Namespace, results: "Results") -> None:
    request = Request(options.at_least, options.within, options.knee)
    points = choice.choose_points(request, results)
    if options.json:
        print(json.dumps(output.to_json(results, points), indent=1))
    elif options.commands:
        print("\n".join(point.command for point in points))
    elif request.is_for_one:
        output.print_point(points[0], results, choice.list_doubts(points[0], request, results))
    else:
        output.print_frontier(results, points)


def read_study(name: str | None, search: Search) -> "Results":
    """Read a study of the storage that the settings name; the one they name, or the newest, without a name.

    Raises:
        BadInput: there is no such study, or the storage does not answer.
    """
    from pipeline.search import optuna_storage, study_store, trial_rows

    address = search.storage or addresses.make_study_address()
    chosen = _choose_study(name or search.study, optuna_storage.list_studies(address), address)
    return trial_rows.read_results(study_store.StudyStore.open_for_reading(address, chosen), chosen)


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the words: the options, and the words of a command line that stand among them.

    Raises:
        BadSetting: an option lacks its value, or several points are asked for.
    """
    arguments.check_units(words)
    parser = _Parser("python -m pipeline frontier", add_help=False, allow_abbrev=False)
    parser.add_argument("--at-least", metavar="ACCURACY")
    parser.add_argument("--within", metavar="DEVICE_SECONDS")
    parser.add_argument("--knee", action="store_true")
    parser.add_argument("--max", action="append", default=[], metavar="OBJECTIVE=VALUE")
    parser.add_argument("--min", action="append", default=[], metavar="OBJECTIVE=SHARE")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--csv", action="store_true")
    parser.add_argument("--commands", action="store_true")
    parser.add_argument("--html", metavar="FILE")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--overlay", metavar="STUDY")
    parser.add_argument("--study")
    options, rest = parser.parse_known_args(list(words))
    options.trial = [word for word in rest if word.isdecimal()]
    asked = [
        options.at_least is not None,
        options.within is not None,
        options.knee,
        *map(bool, options.trial),
    ]
    if sum(asked) > 1:
        raise BadSetting(
            "frontier takes one of --at-least, --within, --knee and the number of a trial, got several; "
            "leave the others out"
        )
    if options.at_least is not None:
        options.at_least = _read_at_least(options.at_least)
    if options.within is not None:
        options.within = _read_within(options.within)
    return options, [word for word in rest if not word.isdecimal()]


def _read_at_least(text: str) -> float:
    share = read_share(text)
    if share is None:
        as_percent = f"; write --at-least {text}%" if read_share(f"{text}%") else "; such as 97.5% or 0.975"
        meant = suggest_amount("--at-least ", text, read_share) or as_percent
        raise BadSetting(f"--at-least must be a share of 0% to 100%, or of 0 to 1, got {text}{meant}")
    return share


def _read_within(text: str) -> float:
    seconds = read_seconds(text)
    if seconds is None:
        meant = (
            suggest_amount("--within ", text, read_seconds) or "; such as 5ms, 0.5 (device-seconds) or 2min"
        )
        raise BadSetting(f"--within must be a time > 0, got {text}{meant}")
    return seconds


def _choose_study(name: str | None, studies: Sequence[str], address: str) -> str:
    if name is None and studies:
        return studies[-1]
    if name not in studies:
        newest = ", ".join([*(["..."] if len(studies) > NEWEST else []), *studies[-NEWEST:]]) or "none"
        got = f"got {name}" if name else "got nothing"
        raise BadInput(
            f"--study must be one of the studies that exist ({newest}), {got}; look in another storage "
            f"(search.storage, now {address}), or begin one with: python -m pipeline sweep"
        )
    assert name is not None
    return name


def _read_bounds(options: argparse.Namespace, results: "Results") -> dict[str, float]:
    """Read what `--max` and `--min` were given, as costs by the name of an objective.

    Raises:
        BadSetting: see `_read_most` and `_read_least`.
    """
    return {**_read_most(options.max, results), **_read_least(options.min, results)}


def _read_least(pairs: Sequence[str], results: "Results") -> dict[str, float]:
    """Read what `--min` was given: of an objective of which more is better, what is missing to 1.

    Raises:
        BadSetting: no such objective of the study has the name, or the value is no share.
    """
    kinds = {kind.name: kind for kind in results.further if kind.maximise}
    bounds: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        share = read_share(text)
        if name not in kinds or share is None:
            rule = (
                f"NAME=SHARE, NAME one of {', '.join(kinds)}, SHARE within 0..1 or a percentage"
                if kinds
                else "left out, as more is better of accuracy alone"
            )
            remedy = f"write --min {next(iter(kinds))}=80%" if kinds else "use --at-least 95%"
            raise BadSetting(f"--min must be {rule} in study {results.study}, got {pair}; {remedy}")
        bounds[name] = min(kinds[name].to_cost(share), bounds.get(name, math.inf))
    return bounds


def _read_most(pairs: Sequence[str], results: "Results") -> dict[str, float]:
    """Read what `--max` was given, as costs by the name of an objective.

    Raises:
        BadSetting: no objective of the study has the name, more of it is better, or the value is no number.
    """
    kinds = {kind.name: kind for kind in results.further}
    names = [COST, *(name for name, kind in kinds.items() if not kind.maximise)]
    bounds: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name == ENERGY:  # the study has one of its kinds
            name = next((kind for kind in kinds if kind in KINDS_OF_ENERGY), name)
        value = _read_number(text, kinds[name].unit if name in kinds else "s")
        if name not in names or value is None:
            raise BadSetting(
                f"--max must be NAME=VALUE, NAME one of {', '.join(names)} in study {results.study}, "
                f"VALUE a number > 0, got {pair}; write --max {names[-1]}=5"
            )
        bounds[name] = min(value, bounds.get(name, math.inf))
    return bounds


def _read_number(text: str, unit: str) -> float | None:
    """Read a number in `unit`, which may stand after it; a time may have any other unit."""
    seconds = read_seconds(text) if unit in ("s", "ms") else None
    if seconds is not None and text[-1].isalpha():
        return seconds * (1000 if unit == "ms" else 1)
    try:
        value = float(text.lower().removesuffix(unit.lower()))
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
