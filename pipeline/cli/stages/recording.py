"""What the commands of a trial record and show alike."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.cli.stages.preparation import Preparation
from pipeline.measures import Epoch
from pipeline.settings.command_line import CommandLine, Overrides, group_of
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    import keras

    from pipeline.data.prepared import Prepared
    from pipeline.data.quality.report import QualityReport
    from pipeline.evaluation.evaluate import AnyEvaluation
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.training.privacy.account import PrivacySpent

READERS = {"search": "sweep", "cluster": "sweep", "pruning": "sweep", "diagnose": "diagnose"}
"""Groups that no stage reads, each with the command that does."""


def tell_unread(stage: str, overrides: Overrides) -> None:
    """Say before a training which words the stage does not read: one training is no search."""
    for key in overrides.keys:
        reader = READERS.get(group_of(key))
        if reader and key != "search.objectives":  # an accuracy under attack is measured after each epoch
            print(f"warning: {key} is for {reader}; {stage} does not read it", file=sys.stderr)


def tell_unneeded(stage: str, keys: Iterable[str], settings: Settings, prepared: "Prepared") -> None:
    """Say before a training which words change nothing of it: a clip norm alone makes no training private."""
    from pipeline.data.features import Columns, Counts, LogMel, Tokens

    front = prepared.front
    has_texts = isinstance(front, Counts | Tokens) or (isinstance(front, Columns) and bool(front.texts))
    readers = {
        "privacy": ("privacy=dp_sgd", settings.privacy.is_private),
        "spectrogram": ("sounds", isinstance(front, LogMel)),
        "vocabulary": ("texts", has_texts),
        "preprocess.pieces": ("tables", isinstance(front, Columns)),
    }
    for key in keys:
        reader, is_there = readers.get(key) or readers.get(group_of(key), ("", True))
        if not is_there and key != group_of(key):
            print(f"warning: {key} is for {reader}; {stage} does not read it here", file=sys.stderr)


def tell_quality(prepared: "Prepared") -> "QualityReport":
    """Say before a training what a person should look at in its data, and return all that was found."""
    from pipeline.data.quality.check import look_through
    from pipeline.data.quality.report import describe_quality

    report = look_through(prepared)
    for line in describe_quality(report):
        print(f"data: {line}", file=sys.stderr)
    return report


@contextmanager
def open_record(preparation: Preparation, stage: str, into: str | None = None) -> "Iterator[RunRecorder]":
    """Open the run of a command with its data; `into`: an earlier run to record into, None for a new one."""
    from pipeline.tracking.record_run import record_run

    with record_run(preparation.command_line, stage, preparation.device, into) as record:
        command_line = preparation.command_line
        tell_unread(stage, command_line.overrides)  # now that no word is refused any more
        tell_unneeded(stage, command_line.overrides.keys, command_line.settings, preparation.prepared)
        if into is None:  # an earlier run says on which data it was trained
            record.record_data(preparation.prepared)
        yield record


@contextmanager
def show_epochs(command_line: CommandLine, record: "RunRecorder") -> Iterator[Callable[[Epoch], None]]:
    """Give the function that records an epoch and shows it."""
    from pipeline.cli.run_screen import RunScreen

    def show(epoch: Epoch) -> None:
        record.record_epoch(epoch)
        screen.show_epoch(epoch)

    with RunScreen(command_line.settings.train.epochs, command_line.settings.measure) as screen:
        yield show


def record_model(
    record: "RunRecorder",
    model: "keras.Model",
    preparation: Preparation,
    privacy: "PrivacySpent | None",
    evaluation: "AnyEvaluation | None" = None,
) -> None:
    """Record the trained model and its card, and register it where `tracking.register` names it.

    The card tells what is recorded by then.
    """
    prepared, settings = preparation.prepared, preparation.command_line.settings
    card = record.record_card(preparation.command_line.overrides, prepared, evaluation)
    record.record_model(model, prepared, settings.data, settings.tracking.register, privacy, card)
