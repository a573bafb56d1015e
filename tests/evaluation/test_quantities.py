"""Quantities: trained by each loop, as well as scikit-learn's, answered in their unit, scored and drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pipeline.backend import keras
from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Target
from pipeline.data.preprocess import preprocess
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.quantities import QuantityEvaluation
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.reports import quantity_plots, run_pictures
from pipeline.settings.settings import Settings
from pipeline.training.warm_start import take_over_scaling
from pipeline.trial.network import train_to_end

UNIT, BASE = 1000.0, 1e6
"""The label is told in another unit: 1e6 and more."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("diabetes")
    given = load_diabetes()
    np.savez(folder / "d.npz", features=given.data, labels=BASE + UNIT * given.target)
    words = ["data=arrays", f"data.path={folder / 'd.npz'}", "data.task=regression", "device=cpu"]
    return [*words, f"cache_dir={folder / 'cache'}", "preprocess.standardise=feature"]


@pytest.fixture(scope="module")
def data(told: list[str]) -> Prepared:
    return preprocess(compose(told).settings)


def scale(data: Prepared, features: np.ndarray) -> np.ndarray:
    return np.asarray((features - data.scaling.mean) / data.scaling.std)


def test_a_linear_model_is_scikit_learns_and_answers_in_the_labels_unit(
    told: list[str], data: Prepared, tmp_path: Path
) -> None:
    settings = compose(
        [
            *told,
            "model.layers=0",
            "train.epochs=60",
            "train.batch_size=32",
            "optimizer.learning_rate=0.01",
            "schedule=cosine",
        ]
    ).settings
    trained = train_to_end(data, settings)
    model = trained.build_model()
    model.save(tmp_path / "m.keras")
    served = keras.saving.load_model(tmp_path / "m.keras")
    found = evaluate(make_predictor(served), data, settings)
    assert isinstance(found, QuantityEvaluation)
    assert found.validation.r2 == pytest.approx(trained.curve.last.validation_accuracy, abs=1e-4)
    assert found.validation.loss == pytest.approx(trained.curve.last.validation_loss, rel=1e-3)
    oracle = LinearRegression().fit(scale(data, data.train.features), data.train.labels)
    truth, theirs = data.test.labels, oracle.predict(scale(data, data.test.features))
    assert found.test.r2 == pytest.approx(r2_score(truth, theirs), abs=0.01)
    answers = make_predictor(served)(data.test.features)[:, 0]
    assert found.test.r2 == pytest.approx(r2_score(truth, answers), abs=1e-6)
    assert found.test.rmse == pytest.approx(root_mean_squared_error(truth, answers))
    assert found.test.mae == pytest.approx(mean_absolute_error(truth, answers))
    assert found.rmse_of_mean == pytest.approx(np.std(truth - data.train.labels.mean()), rel=0.05)
    errors = np.abs(answers - truth)
    assert [miss.row for miss in found.worst[:3]] == np.argsort(-errors)[:3].tolist()
    assert keras_models.fits_data(served, data)
    pictures = run_pictures.draw_evaluation(found, data)
    assert pictures.keys() == {"pictures/residuals.png"}
    assert pictures["pictures/residuals.png"] == quantity_plots.draw_residuals(found)
    assert run_pictures.draw_samples(data).startswith(b"\x89PNG")


def curve(told: list[str], data: Prepared, *words: str) -> list[float]:
    settings: Settings = compose(
        [*told, "model.hidden=8", "train.epochs=2", "train.batch_size=32", *words]
    ).settings
    epochs = train_to_end(data, settings).curve.epochs
    return [number for epoch in epochs for number in (epoch.train_loss, epoch.validation_accuracy)]


@pytest.mark.parametrize("loss", ["mean_squared_error", "huber"])
def test_every_loop_finds_the_same(told: list[str], data: Prepared, loss: str) -> None:
    first = curve(told, data, f"loss={loss}", "engine=graph")
    for engine in ("xla", "keras"):
        words = (f"loss={loss}", f"engine={engine}")
        np.testing.assert_allclose(curve(told, data, *words), first, rtol=2e-4, atol=2e-5)


def test_rows_that_stream_from_disk_train_alike(told: list[str], data: Prepared) -> None:
    streamed = curve(told, data, "data.in_memory_limit=0")
    np.testing.assert_allclose(streamed, curve(told, data, "engine=keras"), rtol=1e-4)


def test_a_later_run_keeps_the_deviation_of_the_first(told: list[str], data: Prepared) -> None:
    model = keras_models.build_model(compose(told).settings, data)
    assert data.target is not None
    other = replace(data, target=Target(0.0, 2.0))
    assert take_over_scaling(model, other).target == data.target


def test_a_quantity_far_from_zero_keeps_its_digits(told: list[str], data: Prepared) -> None:
    far = replace(data, target=Target(1.7e9, 60.0))
    settings = compose([*told, "model.layers=0"]).settings
    weights = [np.full((10, 1), 0.1, np.float32), np.zeros(1, np.float32)]
    answers = make_predictor(keras_models.build_model(settings, far, weights))(data.test.features)
    scaled = scale(data, data.test.features).sum(axis=1).astype(np.float64) * 0.1
    np.testing.assert_allclose(answers[:, 0], 1.7e9 + 60 * scaled, rtol=0, atol=1e-3)


def test_a_convolution_learns_how_bright_an_image_is(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    bright = draw.uniform(20, 200, 160)
    images = np.clip(bright[:, None, None] + draw.normal(0, 5, (160, 8, 8)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "i.npz", features=images, labels=-bright)
    words = ["data=arrays", f"data.path={tmp_path / 'i.npz'}", "data.task=regression", "device=cpu"]
    words += [f"cache_dir={tmp_path / 'cache'}", "model=cnn", "model.filters=4", "model.blocks=1"]
    settings = compose([*words, "train.epochs=12", "train.batch_size=16", "model.hidden=8"]).settings
    images_of_light = preprocess(settings)
    found = evaluate(
        make_predictor(train_to_end(images_of_light, settings).build_model()), images_of_light, settings
    )
    assert isinstance(found, QuantityEvaluation)
    assert found.test.r2 > 0.9
    assert found.test.rmse < 0.4 * found.rmse_of_mean


def test_the_best_possible_and_quantities_that_are_all_the_same(told: list[str], data: Prepared) -> None:
    def answer(samples: np.ndarray) -> np.ndarray:
        split = next(each for each in (data.train, data.validation, data.test) if each.features is samples)
        return np.asarray(split.labels)[:, None]

    found = evaluate(answer, data, compose(told).settings)  # type: ignore[arg-type]
    assert isinstance(found, QuantityEvaluation)
    assert (found.test.r2, found.test.rmse, found.bias) == (1.0, 0.0, 0.0)
