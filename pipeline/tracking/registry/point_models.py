"""The model of one point as a version of its study's model: what a worker does for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.errors import FulcrumError
from pipeline.search.confirmation import PointTraining, TrainedPoint, train_loop_point
from pipeline.settings.measuring import Membership
from pipeline.tracking import mlflow_store, model_artifact
from pipeline.tracking.registry.names import MEMBER, REACHED
from pipeline.tracking.registry.study_versions import describe_trained_again
from pipeline.tracking.serving.point_facts import PointFacts
from pipeline.trial.reports import ROUNDING

if TYPE_CHECKING:  # a study of a user's own loop needs no TensorFlow
    import keras

    from pipeline.data.prepared import Prepared
    from pipeline.evaluation.evaluate import AnyEvaluation
    from pipeline.settings.settings import Settings


def log_point(
    point: PointTraining,
    trained: TrainedPoint,
    study: str,
    run_id: str,
    name: str,
    about: PointFacts,
) -> str | None:
    """Log the model of a point into a run and return the version of the study's model: for a worker.

    `trained`: of `train_point`; `name`: of the point, which model and version are tagged with;
    `about`: what its card says of it.
    """
    client = mlflow_store.open_store()
    from pipeline.models import keras_models
    from pipeline.tracking.serving import model_cards
    from pipeline.training.privacy.account import sum_up
    from pipeline.trial.network import load_prepared

    prepared = load_prepared(point.settings)
    model = keras_models.build_model(point.settings, prepared, trained.weights)
    settings = point.settings
    spent = sum_up(settings, len(prepared.train), trained.last.number)
    tags = {MEMBER: name}
    evaluation = _evaluate_point(model, prepared, settings) if about.is_confirmed else None
    card = model_cards.make_point_card(client, run_id, about, prepared, evaluation, spent)
    return model_artifact.log_model(
        model, prepared, settings.data, study, run_id, tags, privacy=spent, card=card
    )


def _evaluate_point(
    model: "keras.Model", prepared: "Prepared", settings: "Settings"
) -> "AnyEvaluation | None":
    """Score a point's own weights for its card; None where they cannot be, which loses no model."""
    from pipeline.evaluation.evaluate import score_model
    from pipeline.models.predictor import make_predictor

    plain = replace(settings.evaluate, membership=Membership.none)  # which may train shadow models
    try:
        return score_model(make_predictor(model), prepared, replace(settings, evaluate=plain), model)
    except FulcrumError:
        return None


def log_loop_point(point: PointTraining, study: str, run_id: str, name: str, about: PointFacts) -> str | None:
    """Train a point by a user's own loop and log the model that it reports; None where it reports none.

    It is for a worker, which has what the model needs; the arguments: see `log_point`.
    """
    from pipeline.tracking.loop_model import log_loop_model
    from pipeline.tracking.serving import loop_cards

    client = mlflow_store.open_store()
    trained = train_loop_point(point)
    if trained is None:
        return None
    tags, reached = {MEMBER: name}, trained.curve.last.validation_accuracy
    if about.accuracy is not None and abs(reached - about.accuracy) > ROUNDING:
        tags[REACHED] = f"{reached:.6g}"
        about = replace(about, note=about.note + describe_trained_again(tags))
    card = loop_cards.make_point_card(client, run_id, about, point.settings, trained)
    return log_loop_model(trained.model, run_id, study, tags, card)
