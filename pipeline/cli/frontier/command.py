"""The command `frontier`: its words, and the study that they name."""

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.frontier import choice, output
from pipeline.cli.frontier.choice import Request
from pipeline.errors import BadInput, BadSetting
from pipeline.settings import addresses
from pipeline.settings.searching.objectives import COST

if TYPE_CHECKING:
    from pipeline.search.results import Results

RUN_ID = "MLFLOW_RUN_ID"


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
    results = replace(results, at_most=_read_bounds(options.max, results))
    request = Request(options.at_least, options.within, options.knee)
    points = choice.choose_points(request, results)
    if options.json:
        print(json.dumps(output.to_json(results, points), indent=1))
    elif request.is_for_one:
        output.print_point(points[0], results, choice.list_doubts(points[0], request, results))
    else:
        output.print_frontier(results, points)


def _parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = _Parser("python -m pipeline frontier", add_help=False, allow_abbrev=False)
    parser.add_argument("--at-least", type=float, metavar="ACCURACY")
    parser.add_argument("--within", type=float, metavar="DEVICE_SECONDS")
    parser.add_argument("--knee", action="store_true")
    parser.add_argument("--max", action="append", default=[], metavar="OBJECTIVE=VALUE")
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


def _read_bounds(pairs: Sequence[str], results: "Results") -> dict[str, float]:
    """Read what `--max` was given, as costs by the name of an objective.

    Raises:
        BadSetting: no objective of the study has the name, more of it is better, or the value is no number.
    """
    kinds = {kind.name: kind for kind in results.further}
    names = [COST, *(name for name, kind in kinds.items() if not kind.maximise)]
    bounds: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        value = _read_number(text)
        if name not in names or value is None:
            raise BadSetting(
                f"--max must be NAME=VALUE, NAME one of {', '.join(names)} in study {results.study}, "
                f"VALUE a number > 0, got {pair}; write --max {names[-1]}=5"
            )
        bounds[name] = min(value, bounds.get(name, math.inf))
    return bounds


def _read_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None
