"""What every loop has in common: batches, warm-up, scores."""

import numpy as np
import pytest

from pipeline.errors import BadSetting
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.models.scores import score_answers
from pipeline.settings.search import Objective
from pipeline.settings.training import Engine
from pipeline.training import device_data
from pipeline.training.loop import start_loop
from tests.support import tiny

DATA = tiny.prepared()


def test_a_batch_that_is_larger_than_the_split() -> None:
    settings = tiny.told("train.batch_size=47")
    with pytest.raises(
        BadSetting, match=r"^train.batch_size must be <= 46 .*, got 47; set train.batch_size=46"
    ):
        start_loop(settings, DATA, keras_models.draw_initial_weights(settings, DATA), tiny.CPU, Engine.graph)


def test_privacy_that_is_asked_for_and_not_there() -> None:
    settings = tiny.told("privacy.epsilon=3")
    weights = keras_models.draw_initial_weights(settings, DATA)
    with pytest.raises(BadSetting, match=r"^privacy\.epsilon must be null with privacy=none, got 3: "):
        start_loop(settings, DATA, weights, tiny.CPU, Engine.graph)


def test_one_batch_may_be_the_whole_split() -> None:
    settings = tiny.told("train.batch_size=46")
    loop = start_loop(
        settings, DATA, keras_models.draw_initial_weights(settings, DATA), tiny.CPU, Engine.graph
    )
    loop.prepare(1)
    assert np.isfinite(loop.run())


@pytest.mark.parametrize("kind", [Engine.graph, Engine.xla, Engine.keras])
def test_warming_up_changes_nothing(kind: Engine) -> None:
    settings = tiny.told("optimizer=adam model.dropout=0.3")
    found = []
    for warm in (False, True):
        loop = start_loop(settings, DATA, keras_models.draw_initial_weights(settings, DATA), tiny.CPU, kind)
        loop.prepare(1)
        if warm:
            loop.compile()
            loop.warm_up()
        loop.run()
        found.append([each.numpy() for each in loop.get_parameters()])
    for cold, warmed in zip(*found, strict=True):
        np.testing.assert_array_equal(cold, warmed)


@pytest.mark.parametrize("kind", [Engine.graph, Engine.keras])
@pytest.mark.parametrize("per_feature", [False, True])
def test_score_is_that_of_the_whole_model(
    kind: Engine, per_feature: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, settings = tiny.prepared(per_feature=per_feature), tiny.told()
    weights = keras_models.draw_initial_weights(settings, data)
    answers = make_predictor(keras_models.build_model(settings, data, weights))(data.validation.features)
    labels = data.validation.labels
    expected = -np.log(answers[np.arange(len(labels)), labels]).mean(), (answers.argmax(1) == labels).mean()
    monkeypatch.setattr(device_data, "MAX_SCORED_NUMBERS", 5 * 20)  # five rows at a time
    loop = start_loop(settings, data, weights, tiny.CPU, kind)
    np.testing.assert_allclose(loop.score(), expected, rtol=1e-5)
    for name in ("balanced_accuracy", "f1", "auc"):
        settings.search.objective = Objective(name)
        loop = start_loop(settings, data, weights, tiny.CPU, kind)
        assert loop.score()[1] == pytest.approx(score_answers(answers, np.asarray(labels), name))
