"""`profile`: what the answers of a trained model cost, and how far its training step is from the roofline."""

from collections.abc import Sequence

from pipeline.cli.explain.foreign_values import INT8
from pipeline.cli.stages.preparation import prepare
from pipeline.cli.stages.recording import open_record
from pipeline.cli.stages.trained_model import (
    compose_with_model,
    get_target_run,
    is_of_same_data,
    load_fitting_model,
)
from pipeline.errors import FulcrumError
from pipeline.settings.measuring import Runtime


def run(words: Sequence[str]) -> None:
    """Measure what the answers of a trained model cost, and record it."""
    # Nothing is trained here, so a precision is that of the answers.
    int8 = f"profile.runtime={Runtime.litert_int8}"
    command_line, reference = compose_with_model([int8 if word == INT8 else word for word in words])
    preparation = prepare(command_line)
    from pipeline.cli.summary import results
    from pipeline.models import litert
    from pipeline.models.predictor import make_predictor
    from pipeline.profiling.measure_roofline import MeasuredStep, measure_step
    from pipeline.profiling.profile import profile

    settings = command_line.settings
    litert.check_runtime(settings.profile.runtime, preparation.prepared)
    is_of_same_data(command_line, reference, preparation.prepared)
    model = load_fitting_model(reference, preparation.prepared)
    served = litert.make_served_file(model, settings.profile.runtime, preparation.prepared.validation)
    with open_record(preparation, "profile", get_target_run(command_line, reference)) as record:
        cost = profile(model, make_predictor(model), preparation.prepared, settings, served)
        record.record_cost(cost)
        record.record_served(served)
        step: MeasuredStep | FulcrumError
        try:
            step = measure_step(settings, preparation.prepared)
            record.record_step(step)
        except FulcrumError as error:  # the model answers to these data, but could not be trained on them
            step = error
    results.show_profile(cost, record, served, step)
