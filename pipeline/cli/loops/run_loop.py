"""`run` with a training loop of the user's own: check, record, train, register its model, show."""

import sys
import threading
from concurrent.futures.thread import _threads_queues  # there is no public way
from typing import TYPE_CHECKING

from pipeline.cli.stages.recording import tell_unread
from pipeline.cli.summary import rows, training
from pipeline.errors import LoopFailed
from pipeline.settings import addresses
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import Settings
from pipeline.trial import user_loop

if TYPE_CHECKING:
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.trial.loop_states import LoopTrained

POOLS = ("ExecutorManagerThread",)
"""What a thread of a pool of processes is called, by its name or class: Python itself, or joblib, ends it."""


def run(command_line: CommandLine) -> None:
    """Train by a loop of the user's own and record it as one run.

    Raises:
        BadInput: the loop cannot be had, or refuses its settings; nothing was recorded.
        LoopFailed: the loop raised, or reported what is no accuracy; the run is recorded as FAILED.
        Diverged: it reported NaN or infinity.
    """
    addresses.check_store()
    from pipeline.hardware import device

    settings = command_line.settings
    if warning := device.explain_unused_gpu(settings.device):
        print(f"warning: {warning}", file=sys.stderr)
    claimed = device.claim_plain_device(settings.device, pin=True)
    claimed.check()
    before = set(threading.enumerate())
    code = user_loop.check_loop(settings)
    from pipeline.tracking.record_run import record_run

    with record_run(command_line, "run", claimed) as record:
        tell_unread("run", command_line.overrides)
        record.set_tags({"code.sha256": code})
        trained = _train(command_line, record)
        _record(command_line, trained, record)
        rows.show_rows(record, training.list_loop(trained, settings.price, record))
    _tell_of_threads(before)


def _tell_of_threads(before: set[threading.Thread]) -> None:
    """Say which threads a loop has left running, since Python does not end before they do."""
    new = [each for each in threading.enumerate() if each not in before and not each.daemon]
    of_pools = set(_threads_queues)  # which Python ends, whatever they are called
    left = [
        each.name
        for each in new
        if each not in of_pools
        and not each.name.startswith(POOLS)
        and not type(each).__name__.endswith(POOLS)
    ]
    if left:
        print(f"the loop has left {', '.join(left[:5])} running: the command ends with it", file=sys.stderr)


def _train(command_line: CommandLine, record: "RunRecorder") -> "LoopTrained":
    from pipeline.tracking import mlflow_runs
    from pipeline.tracking.loop_model import nest_user_runs

    trained = None
    try:
        with nest_user_runs():
            for trained in user_loop.train_loop(command_line.settings):
                record.record_epoch(trained.curve.last)
                record.add_metrics(trained.numbers[-1], trained.curve.last.number)
    except LoopFailed as error:
        if error.output:
            words = command_line.overrides
            mlflow_runs.log_output(record.client, record.run_id, error.output, words)
        raise
    assert trained is not None
    return trained


def _record(command_line: CommandLine, trained: "LoopTrained", record: "RunRecorder") -> None:
    """Record what training came to, its picture, its note, its model and the card."""
    from pipeline.reports import trial_plots
    from pipeline.reports.cards.markdown import CARD_FILE
    from pipeline.tracking.serving import loop_cards

    settings = command_line.settings
    record.record_curve(trained.curve, trained.curve.last, command_line.choices["trial"])
    record.record_clock(trained.curve, trained.energy, settings.price)
    record.record_seconds(trained.seconds)
    record.log_files({"pictures/learning_curve.png": trial_plots.draw_learning_curves(trained.curve)})
    record.write_note(
        rows.write_table(training.list_loop(trained, settings.price, record), ("learning_curve",))
    )
    is_kept = _keep_model(settings, trained, record)
    card = loop_cards.make_run_card(record.client, record.run_id, settings, trained, is_kept)
    record.log_files({CARD_FILE: card.encode()})


def _keep_model(settings: Settings, trained: "LoopTrained", record: "RunRecorder") -> bool:
    """Log and register the model that a loop has reported; return whether it is kept."""
    from pipeline.tracking.loop_model import ModelNotKept, log_loop_model
    from pipeline.tracking.serving import loop_cards

    if trained.model is None:
        return False
    card = loop_cards.make_run_card(record.client, record.run_id, settings, trained, is_kept=True)
    try:
        log_loop_model(trained.model, record.run_id, settings.tracking.register, card=card)
    except ModelNotKept as error:
        print(f"no model is kept: {error}", file=sys.stderr)
        return False
    return True
