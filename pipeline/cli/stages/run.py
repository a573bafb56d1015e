"""`run`: one trial, or with `--multirun` one for each combination of the values that are typed."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.cli import SEVERAL
from pipeline.cli.compose import compose
from pipeline.cli.loops import run_loop
from pipeline.cli.loops import words as loop_words
from pipeline.cli.stages.preparation import prepare_training
from pipeline.cli.stages.recording import open_record, record_model, show_epochs, tell_quality
from pipeline.hardware.process_marks import marking_started
from pipeline.settings.command_line import CommandLine
from pipeline.settings.training import UserLoop


def run(words: Sequence[str]) -> None:
    """Run one trial, or with `--multirun` one for each combination of the values that are typed."""
    if not SEVERAL & set(words):
        _run_trial(compose(words))
        return
    from pipeline.cli import arguments
    from pipeline.cli.sweep import space as sweep_space

    pairs = arguments.normalise_words(word for word in words if word not in SEVERAL)
    fixed, several = sweep_space.split_words(loop_words.rename(pairs))
    grid = sweep_space.build_space([], {}, fixed, several)
    # All are composed before the first is trained: a mistake in one is told at once.
    for command_line in [
        compose([*fixed, *grid.to_overrides(params)]) for params in grid.iterate_combinations()
    ]:
        _run_trial(command_line)


def _run_trial(command_line: CommandLine) -> None:
    """Run one trial of a network, or of a training loop of the user's own."""
    with marking_started():
        if isinstance(command_line.settings.trial, UserLoop):
            run_loop.run(command_line)
        else:
            _run_network(command_line)


def _run_network(command_line: CommandLine) -> None:
    """Run one trial of a network: prepare, train, evaluate, profile, and record each."""
    preparation, start = prepare_training(command_line)
    from pipeline.cli.summary import results
    from pipeline.trial.network import run_trial

    tell_quality(preparation.prepared)
    command_line = preparation.command_line
    with open_record(preparation, "run") as record:
        with show_epochs(command_line, record) as show:
            result = run_trial(preparation.prepared, command_line.settings, show, start)
        record.record_training(result.trained)
        record.record_warm_start(result.trained, start)
        record.record_evaluation(result.evaluation, preparation.prepared)
        record.record_cost(result.cost)
        record.record_seconds(replace(result.seconds, prepare=preparation.prepare_seconds))
        record_model(record, result.model, preparation, result.trained.privacy, result.evaluation)
        record.record_served(result.served)
        record.write_note(results.write_note(result, record))
    results.show_run(command_line, preparation.prepared, result, record)
