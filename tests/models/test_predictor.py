"""Answers of a model, in portions of a power of two."""

import numpy as np
import pytest

from pipeline.models import keras_models, predictor
from pipeline.models.predictor import make_predictor
from tests.support import tiny


def test_a_predictor_pads_and_does_not_trace_again() -> None:
    data, traced = tiny.prepared(), []
    model = keras_models.build_model(tiny.told(), data)
    predict = make_predictor(model)
    whole = predict(data.test.features)
    call = model.call
    model.call = lambda *given, **named: traced.append(1) or call(*given, **named)
    for rows in (1, 2, 3, 5, 7, 9, 16, 17):
        np.testing.assert_allclose(predict(data.test.features[:rows]), whole[:rows], rtol=1e-5)
    assert predict(data.test.features[:0]).shape == (0, 3)
    traced.clear()
    for rows in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 16, 17):
        predict(data.test.features[:rows])
    assert not traced


def test_more_rows_than_one_call_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny.prepared()
    model = keras_models.build_model(tiny.told(), data)
    whole = make_predictor(model)(data.test.features)
    monkeypatch.setattr(predictor, "MAX_ROWS", 8)
    np.testing.assert_allclose(make_predictor(model)(data.test.features), whole, rtol=1e-5)


def test_rows_of_a_wide_network_go_in_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rows = tiny.prepared(), set[int]()
    model = keras_models.build_model(tiny.told(), data)
    whole = make_predictor(model)(data.test.features)
    monkeypatch.setattr(predictor, "MAX_NUMBERS", 5 * 20)  # of which the input has 20
    call = model.call
    model.call = lambda samples, **named: rows.add(samples.shape[0]) or call(samples, **named)
    np.testing.assert_allclose(make_predictor(model)(data.test.features), whole, rtol=1e-5)
    assert rows == {1, 4}
