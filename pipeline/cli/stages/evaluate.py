"""`evaluate`: what a trained model gets right and wrong, recorded as a run of its own or into the model's."""

import sys
from collections.abc import Sequence

from pipeline.cli.stages.preparation import prepare
from pipeline.cli.stages.recording import open_record
from pipeline.cli.stages.trained_model import (
    check_bits,
    check_classes,
    compose_with_model,
    get_target_run,
    is_of_same_data,
    load_fitting_model,
)
from pipeline.settings.command_line import Overrides, group_of, key_of

CHANGED = (
    "changed since the model was trained, so this test split may have rows that it was trained on; "
    "put the data back, or name other rows with data=..."
)


def run(words: Sequence[str]) -> None:
    """Score a trained model on the test split and record the scores."""
    command_line, reference = compose_with_model(words)
    preparation = prepare(command_line)
    from pipeline.cli.summary import results
    from pipeline.evaluation.evaluate import check_evaluation, evaluate
    from pipeline.evaluation.model_view import see_as_model
    from pipeline.models.predictor import make_predictor
    from pipeline.tracking import model_references
    from pipeline.tracking.serving import model_cards

    check_evaluation(preparation.prepared, command_line.settings)
    if not is_of_same_data(command_line, reference, preparation.prepared) and not _names_data(words):
        print(f"data: {CHANGED}", file=sys.stderr)
    fetched, description = model_references.fetch_model(reference)
    check_classes(description, preparation.prepared)
    check_bits(description, command_line.settings.data, preparation.prepared)
    model = load_fitting_model(fetched, preparation.prepared)
    data = see_as_model(model, description.front if description else None, preparation.prepared)
    into = get_target_run(command_line, reference)
    # A card of other data than those of the training would name the wrong ones.
    has_card = into is not None and model_cards.is_of_same_data(into, preparation.prepared)
    with open_record(preparation, "evaluate", into) as record:
        predict = make_predictor(model)
        evaluation = evaluate(predict, data, command_line.settings, model)
        record.record_evaluation(evaluation, preparation.prepared)
        privacy, epsilon = model_references.read_privacy(reference)
        if privacy:
            record.record_privacy(privacy, epsilon)
        if has_card:
            record.record_card(Overrides(reference.overrides), preparation.prepared, evaluation)
    results.show_evaluate(evaluation, preparation.prepared, record, privacy)


def _names_data(words: Sequence[str]) -> bool:
    """Return whether the user has named data, which are other ones on purpose."""
    return any(group_of(key_of(word.lstrip("-"))) == "data" for word in words)
