"""How far samples may be moved: the unit of epsilon for each kind of data, and bounds that hold exactly."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import keras
from pipeline.data.column_layers import join_features
from pipeline.data.features import Columns, Counts, LogMel, Tokens
from pipeline.data.prepared import Prepared, Scaling
from pipeline.errors import BadData
from pipeline.models.attacks.ball import (
    compute_bounds,
    describe_epsilon,
    follow,
    make_ball,
    scale_pieces,
    to_tensors,
)
from tests.support import tiny

IMAGES = tiny.prepared()
TABLE = Columns(
    numeric=("age", "weight"), medians=(1.0, 2.0), categorical=("town",), categories=(("a", "b"),)
)
SOUND = LogMel(rate=8, samples=8, window=2, hop=1, fft=8, mels=2, low_hz=0, high_hz=4, floor_db=-80)


def table(front: Columns | Counts | Tokens | LogMel | None, *std: float) -> Prepared:
    scaling = Scaling(np.zeros(len(std), np.float32), np.array(std, np.float32))
    return replace(IMAGES, front=front, shape=(len(std),), scaling=scaling)


def test_of_images_epsilon_is_a_share_of_the_range_and_pixels_stay_in_it() -> None:
    ball = make_ball(IMAGES, 0.1, "evaluate.attack")
    assert float(ball.radius) == 25.5
    lower, upper = compute_bounds(np.array([[0, 10, 128, 250, 255]], np.uint8), ball)
    np.testing.assert_array_equal(lower, [[0, 0, 102.5, 224.5, 229.5]])
    np.testing.assert_array_equal(upper, [[25.5, 35.5, 153.5, 255, 255]])
    assert describe_epsilon(0.1, ball.unit, None) == "0.1 of the range of the pixels"


def test_of_tables_epsilon_is_in_deviations_of_the_numbers_and_the_rest_stays() -> None:
    ball = make_ball(table(TABLE, 2.0, 30.0, 0.5, 0.5, 0.5), 0.5, "evaluate.attack")
    np.testing.assert_allclose(ball.radius, [1, 15, 0, 0, 0])
    lower, upper = compute_bounds(np.array([[7.0, -4.0, 1, 0, 0]], np.float32), ball)
    np.testing.assert_array_equal(lower, [[6, -19, 1, 0, 0]])
    np.testing.assert_array_equal(upper, [[8, 11, 1, 0, 0]])
    assert describe_epsilon(0.5, ball.unit, TABLE) == "0.5 deviations of each column of numbers"
    cut = replace(TABLE, edges=((0.0, 1.0, 2.0), ()), dates=("day",), date_medians=(0.0,), has_time=(False,))
    of_cut = make_ball(
        table(cut, *[2.0] * 2, 1.0, *[2.0] * 3), 0.5, "evaluate.attack"
    )  # numbers, age, pieces
    np.testing.assert_allclose(of_cut.radius, [1, 1, 0, 0, 0, 0])
    overall = replace(table(TABLE, *[2.0] * 5), scaling=Scaling(np.float32(0), np.float32(2)))  # type: ignore[arg-type]
    np.testing.assert_allclose(make_ball(overall, 0.5, "evaluate.attack").radius, [1, 1, 0, 0, 0])


def test_pieces_go_where_their_number_goes_as_in_the_front_end() -> None:
    front = Columns(
        numeric=("a", "b", "c"),
        medians=(0.0,) * 3,
        categorical=(),
        categories=(),
        edges=((0.0, 0.5, 4.0), (), (-3.0, -1.0, 0.0, 9.0)),
        dates=("day",),
        date_medians=(0.0,),
        has_time=(False,),
    )
    draw, day = np.random.default_rng(2), {"day": np.zeros(50)}
    before, after = draw.normal(0, 3, (2, 50, 3))
    features, wanted = (
        np.asarray(keras.ops.convert_to_numpy(join_features(front, numbers, day)))
        for numbers in (before, after)
    )
    width = features.shape[1]
    data = table(front, *draw.uniform(1, 3, width))
    data = replace(data, scaling=replace(data.scaling, mean=draw.normal(size=width).astype(np.float32)))
    pieces = make_ball(data, 0.1, "evaluate.attack").pieces
    assert pieces is not None
    moved = features.copy()
    moved[:, :3] = wanted[:, :3]
    np.testing.assert_allclose(follow(to_tensors(pieces, np.float32), moved), wanted, atol=1e-6)
    mean, std = data.scaling.mean, data.scaling.std
    scaled = to_tensors(scale_pieces(pieces, data.scaling), np.float32)
    np.testing.assert_allclose(follow(scaled, (moved - mean) / std), (wanted - mean) / std, atol=1e-5)


def test_of_spectrograms_and_arrays_epsilon_is_in_deviations() -> None:
    for front in (SOUND, None):
        ball = make_ball(table(front, 3.0, 6.0), 1 / 3, "evaluate.attack")
        np.testing.assert_allclose(ball.radius, [1, 2])
        assert (ball.low, ball.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("key", ["evaluate.attack", "train.adversarial"])
@pytest.mark.parametrize(
    ("front", "what"),
    [
        (Tokens(("a",), 3), "got texts"),
        (Counts(("a",), (1.0,), 1), "got texts"),
        (replace(TABLE, numeric=(), medians=()), "got a table without columns of numbers"),
    ],
)
def test_what_cannot_be_moved_a_little_is_one_line(
    front: Columns | Counts | Tokens, what: str, key: str
) -> None:
    with pytest.raises(BadData, match=rf"^{key} must be none unless .*, {what}.*; set {key}=none$"):
        make_ball(table(front, 1.0, 1.0, 1.0), 0.1, key)


@pytest.mark.parametrize("epsilon", [0.0, 1e-9, 0.1, 0.3, 2 / 3, 1.0])
def test_rounding_never_leaves_the_ball(epsilon: float) -> None:
    samples = np.random.default_rng(0).uniform(0, 255, (200, 20)).astype(np.float32)
    ball = make_ball(IMAGES, epsilon, "evaluate.attack")
    lower, upper = compute_bounds(samples, ball)
    assert (lower <= samples).all()
    assert (samples <= upper).all()
    exact = samples.astype(np.float64)
    for bound in (lower, upper):
        assert bound.dtype == np.float32
        assert np.abs(bound.astype(np.float64) - exact).max() <= epsilon * 255
        assert 0 <= bound.min() <= bound.max() <= 255
    if epsilon == 0:
        np.testing.assert_array_equal(lower, upper)


def test_a_sample_outside_the_range_of_the_data_is_not_moved_farther_out() -> None:
    lower, upper = compute_bounds(
        np.array([-5.0, 300.0], np.float32), make_ball(IMAGES, 0.1, "evaluate.attack")
    )
    np.testing.assert_array_equal(lower, [-5, 274.5])
    np.testing.assert_array_equal(upper, [20.5, 300])
