"""The functions: each does what the command of its name does, and returns what that prints."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline import output, signals
from pipeline.cli.library import words as wording
from pipeline.cli.library.frozen import FrozenDict
from pipeline.cli.library.one_line import raising_one_line
from pipeline.cli.library.study import Study
from pipeline.cli.library.values import TrainedRun
from pipeline.cli.library.words import Space, Words
from pipeline.errors import BadInput, BadSetting

_one_at_a_time = threading.RLock()
"""A call holds cores of this process, and Hydra is one for all of its threads."""


@contextmanager
def _calling() -> Iterator[list[Any]]:
    """Let one command run at a time, hand over its results, and give the cores back that it held."""
    from pipeline.hardware.cpu_cores import release_cores
    from pipeline.hardware.device import lend_process

    with (
        _one_at_a_time,
        signals.hear_interrupt(),
        signals.hold_back(),  # the program gets back all that was lent, wherever Ctrl-C falls
        output.collect_results() as results,
        raising_one_line(),
        lend_process(),
    ):
        # Optuna imports it for bars that nobody asked for.
        warnings.filterwarnings("ignore", "IProgress not found")
        try:
            with signals.let_through():
                yield results
        finally:
            release_cores()


def run(words: Words) -> TrainedRun:
    """Train, evaluate and profile one trial and record it, as the command `run` does.

    Args:
        words: A command line: `"data=mnist model.hidden=64"`, or the words one by one.

    Raises:
        FulcrumError: a word, the data or the device is at fault, or the trial failed; the text is one line.
    """
    from pipeline.cli import commands

    with _calling() as results:
        commands.run("run", wording.read_words(words, "run"))
        return open_run(_take_one(results, "run"))


def open_run(run_id: str) -> TrainedRun:
    """Read a run of a trial from MLflow.

    Raises:
        FulcrumError: the store does not answer, or has no such run with an accuracy.
    """
    from pipeline.settings.command_line import format_command
    from pipeline.settings.searching.measures import MEASURES
    from pipeline.tracking import mlflow_store, read_study
    from pipeline.tracking.runs import command_record

    if not isinstance(run_id, str):
        raise BadInput(f"a run must be named by its id, got {run_id!r}; give the text of its id")
    with raising_one_line():
        client = mlflow_store.open_store()
        recorded = read_study.find_run(client, run_id)
        metrics = recorded.data.metrics
        measures = [measure for measure in MEASURES.values() if measure.metric in metrics]
        curve = read_study.read_curve(client, recorded, (), measures[0]) if measures else ()
        if not curve:
            raise BadInput(f"a run must have trained to be read, got {run_id}; give the id of a run or trial")
        tests = (metrics.get(f"{prefix}test_{measures[0].metric}") for prefix in ("evaluate/", ""))
        return TrainedRun(
            run_id=run_id,
            command=format_command("run", command_record.read_overrides(client, recorded)),
            accuracy=metrics[measures[0].metric],
            test_accuracy=next((value for value in tests if value is not None), None),
            device_seconds=curve[-1].device_seconds,
            device=recorded.data.tags.get("device", ""),
            curve=curve,
            metrics=FrozenDict(metrics),
        )


def sweep(
    train: Words | Callable[..., Any],
    space: Space | None = None,
    *,
    budget: str | None = None,
    words: Words = (),
) -> Study:
    """Search for the frontier of accuracy against device-seconds, as the command `sweep` does.

    The same call again goes on with the same study, from where it was interrupted.

    Args:
        train: What all trials share: a command line such as `"data=mnist train.epochs=5"`, or a function that
            trains and yields an accuracy after each epoch (`trial=function`).
        space: What is searched, and nothing else, by the key of a setting: a list of choices; `(low, high)`
            or `(low, high, "log")`, whole numbers where both are; a `range`. None: what the command line and
            its `search=` say.
        budget: What the search may spend, as `search.budget=` says it: `"2 min"` of device time,
            `"40 trials"` or `"0.5 usd"` (with a `price=`). With neither, and no `search.trials=`, 40 trials.
        words: Further words of the command line, such as `"search.workers=2"`.

    Raises:
        FulcrumError: a word, the space, the data or the store is at fault, or no trial came to a point; the
            text is one line.
    """
    from pipeline.cli import commands

    with _calling() as results:
        commands.run("sweep", _write_sweep(train, space, budget, words))
        return Study(_take_one(results, "sweep"))


def _take_one(results: Sequence[Any], call: str) -> Any:
    """Return the one thing that a command has come to.

    Raises:
        BadSetting: it has come to another number of them.
    """
    if len(results) != 1:
        raise BadSetting(
            f"{call} must come to one result, got {len(results)}; leave out what asks for others, as trained="
        )
    return results[0]


def _write_sweep(
    train: Words | Callable[..., Any], space: Space | None, budget: str | None, words: Words
) -> Sequence[str]:
    """Return the words of a sweep; what is typed last counts."""
    shared = (
        ["trial=function", f"trial.call={wording.name_function(train)}"]
        if callable(train)
        else wording.read_words(train)
    )
    typed = [*shared, *wording.read_words(words)]
    only = [] if space is None else ["search.space=[]", "search.enqueue=[]"]
    return [*only, *typed, *wording.format_budget(budget), *wording.format_space(space or {})]


def open_study(name: str | None = None, words: Words = ()) -> Study:
    """Read a study that a sweep has made, here or elsewhere.

    Args:
        name: Of the study; None: the newest.
        words: Words of a command line, such as `"search.storage=postgresql://..."`.

    Raises:
        FulcrumError: there is no such study, or the storage does not answer.
    """
    from pipeline.cli.compose import compose
    from pipeline.cli.frontier import command

    if name == "":
        raise BadInput("a study must be named, got an empty text; leave it out for the newest")
    if not isinstance(name, str | None):
        raise BadInput(f"a study must be named by a text, got {name!r}; leave it out for the newest")
    with raising_one_line():
        return Study(command.read_study(name, compose(wording.read_words(words)).settings.search))
