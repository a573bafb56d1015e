"""A study of two trials, for what shows studies to a person."""

from collections.abc import Mapping

from pipeline.measures import Point
from pipeline.search.results import Results
from pipeline.search.study_trial import StudyTrial

PARAMS = {"model.hidden": 32, "optimizer": "sgd", "optimizer.learning_rate": 0.3527, "train.epochs": 4}


def tried(
    number: int, *curve: tuple[float, float], params: Mapping[str, object] = PARAMS, **more: object
) -> StudyTrial:
    points = tuple(Point(*pair) for pair in curve)
    return StudyTrial(
        number=number,
        run_id="r",
        command="c",
        params=params,
        curve=points,
        fair_midway=True,
        state="complete",
        reason="",
        paid_seconds=points[-1].device_seconds,
        device="CPU",
        **more,
    )  # type: ignore[arg-type]


STUDY = Results(
    study="digits-1",
    data="digits",
    trials=(tried(0, (0.5, 0.01), (0.7, 0.02)), tried(11, (0.9, 0.04), (0.97, 3.0))),
)
