"""Why an answer was wrong: parts that add up for images, words that matter, and how they are shown."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import keras
from pipeline.data.features import CHARACTER, WHITESPACE, Columns, Counts
from pipeline.data.prepared import Split
from pipeline.data.samples import make_texts
from pipeline.errors import BadData
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.output_scores import Mistake
from pipeline.evaluation.saliency import check_saliency, explain_mistakes, integrate_gradients
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.reports import palette, run_pictures
from tests.support import tiny
from tests.support.pictures import ink

DATA = tiny.prepared(90)


def test_parts_of_an_image_add_up_to_the_lead() -> None:
    draw = np.random.default_rng(1)
    inputs = keras.Input((4, 5, 2))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(3, 2, activation="tanh")(inputs))
    network = keras.Model(inputs, keras.layers.Dense(3)(flat))
    samples, start = draw.normal(0, 1, (6, 4, 5, 2)).astype(np.float32), np.float32(0.2)
    answers, labels = np.int32([0, 1, 2, 0, 1, 2]), np.int32([1, 2, 0, 2, 0, 1])
    parts = integrate_gradients(network, samples, start, answers, labels)
    assert parts.shape == samples.shape
    ends = network.predict(samples, verbose=0) - network.predict(np.full_like(samples, start), verbose=0)
    leads = ends[np.arange(6), answers] - ends[np.arange(6), labels]
    np.testing.assert_allclose(parts.sum(axis=(1, 2, 3)), leads, rtol=0.01, atol=0.01)


def test_mistakes_on_images_are_drawn_with_what_speaks_for_them() -> None:
    settings = tiny.told("evaluate.worst=5 evaluate.saliency=3")
    model = keras_models.build_model(settings, DATA)
    found = evaluate(make_predictor(model), DATA, settings, model)
    assert isinstance(found, Evaluation)
    assert [each.mistake for each in found.saliency] == list(found.worst[:3])
    assert all(each.weights.shape == (4, 5) for each in found.saliency)
    drawn = run_pictures.draw_evaluation(found, DATA)["pictures/saliency.png"]
    assert ink(drawn, palette.ORANGE) > 100
    assert any(each.weights.min() < 0 < each.weights.max() for each in found.saliency)


@pytest.mark.parametrize("sure", [1.0, 40.0])
@pytest.mark.parametrize(("split", "text"), [(WHITESPACE, "the film <b> is bad bad"), (CHARACTER, "bxd")])
def test_the_word_that_an_answer_comes_from_stands_out(split: str, text: str, sure: float) -> None:
    """The output of class "b" grows with the letter b at the beginning of a word, whatever else is there."""

    def predict(texts: np.ndarray) -> np.ndarray:
        counts = [
            sum(word.startswith("b") for word in (list(t) if split == CHARACTER else t.split()))
            for t in texts
        ]
        shares = np.exp(sure * np.stack([np.zeros(len(texts)), np.array(counts, float)], 1))
        return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)

    test = Split(np.zeros((1, 2), np.uint8), np.zeros(1, np.int32), make_texts([text]))
    front = Counts(("b",), (1.0, 1.0), 1, split)
    data = replace(DATA, test=test, front=front, classes=("a", "b"), shape=(2,))
    (found,) = explain_mistakes(None, predict, data, (Mistake(0, "a", "b", 0.9),))
    words = list(text) if split == CHARACTER else text.split()
    assert found.words == tuple(words)
    wanted = [sure * word.startswith("b") for word in words]
    np.testing.assert_allclose(found.weights, wanted, rtol=1e-4, atol=1e-6)
    page = run_pictures.text_samples.write_saliency(
        replace(evaluation_of_nothing(), saliency=(found,))
    ).decode()
    assert f'background: {palette.ORANGE}cc" title="+1.00">b' in page
    assert "<b>" not in page


def evaluation_of_nothing() -> Evaluation:
    settings = tiny.told("evaluate.worst=0")
    found = evaluate(make_predictor(keras_models.build_model(settings, DATA)), DATA, settings)
    assert isinstance(found, Evaluation)
    return found


def test_what_is_neither_image_nor_text_is_refused() -> None:
    front = Columns(numeric=("a",), medians=(0.0,), categorical=(), categories=())
    check_saliency(replace(DATA, front=front, shape=(1,)), 0)
    with pytest.raises(
        BadData, match=r"^evaluate\.saliency must be 0 unless .*got 3 with samples of shape \[1\]"
    ):
        check_saliency(replace(DATA, front=front, shape=(1,)), 3)
