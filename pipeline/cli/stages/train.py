"""`train`: train and record, without scoring."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.cli.compose import compose
from pipeline.cli.stages.preparation import prepare_training
from pipeline.cli.stages.recording import open_record, record_model, show_epochs, tell_quality


def run(words: Sequence[str]) -> None:
    """Train a network and record its curve and its model."""
    preparation, start = prepare_training(compose(words))
    from pipeline.cli.summary import results
    from pipeline.trial.network import train_to_end

    tell_quality(preparation.prepared)
    command_line = preparation.command_line
    with open_record(preparation, "train") as record:
        with show_epochs(command_line, record) as show:
            trained = train_to_end(preparation.prepared, command_line.settings, show, start)
        record.record_training(trained)
        record.record_warm_start(trained, start)
        record.record_seconds(replace(trained.seconds, prepare=preparation.prepare_seconds))
        record_model(record, trained.build_model(), preparation, trained.privacy)
    results.show_train(trained, record)
