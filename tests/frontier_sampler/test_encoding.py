"""Search spaces as numbers: what decodes, what a configuration looks like to a surrogate, conditions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.frontier_sampler.conditions import Shapes, Trait, learn_conditions
from pipeline.frontier_sampler.domains import NEUTRAL, Choices, Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Parameter, make_key

SPACE = EncodedSpace(
    [
        Parameter("adam.rate", Numeric(1e-4, 1e-2, log=True), "optimizer", ("adam",)),
        Parameter("sgd.rate", Numeric(0.01, 1.0, log=True), "optimizer", ("sgd",)),
        Parameter("momentum", Numeric(0.0, 0.9), "optimizer", ("sgd",)),
        Parameter("optimizer", Choices(("sgd", "adam"))),
        Parameter("hidden", Numeric(16, 1024, log=True, integer=True)),
        Parameter("width", Numeric(0.0, 1.0, step=0.25)),
        Parameter("batch", Choices((32, 128, 512))),
        Parameter("kind", Choices(("a", "b", "c"))),
    ]
)
units = st.lists(st.floats(0, 1), min_size=SPACE.dimensions, max_size=SPACE.dimensions)


@given(units)
def test_what_is_encoded_decodes_to_itself(unit: list[float]) -> None:
    params = SPACE.decode(unit)
    assert make_key(SPACE.decode(SPACE.encode(params))) == make_key(params)


@given(units)
def test_values_keep_to_their_range_step_and_type(unit: list[float]) -> None:
    params = SPACE.decode(unit)
    assert isinstance(params["hidden"], int)
    assert 16 <= params["hidden"] <= 1024
    assert params["width"] in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert params["batch"] in (32, 128, 512)


@given(units)
def test_only_what_applies_is_there(unit: list[float]) -> None:
    params = SPACE.decode(unit)
    assert ("momentum" in params) == (params["optimizer"] == "sgd")
    assert ("adam.rate" in params) == (params["optimizer"] == "adam")
    assert {each.name for each in SPACE.active(params)} == set(params)


@given(units)
def test_features_lie_in_the_unit_cube(unit: list[float]) -> None:
    features = SPACE.encode_features([SPACE.decode(unit)])
    assert features.shape == (1, SPACE.width)
    assert (features >= 0).all()
    assert (features <= 1).all()


def test_twin_rates_share_a_feature_each_in_its_own_range() -> None:
    common = {"hidden": 128, "width": 0.5, "batch": 128, "kind": "a"}
    sgd = {"optimizer": "sgd", "sgd.rate": 0.1, "momentum": 0.5, **common}
    adam = {"optimizer": "adam", "adam.rate": 1e-3, **common}
    one, other = SPACE.encode_features([sgd, adam])
    assert SPACE.width == 9  # rate, momentum, optimizer, hidden, width, batch, and one for each kind
    names = [place for place in range(SPACE.width) if one[place] != other[place]]
    assert len(names) == 2  # the optimizer, and momentum, which does not apply
    assert NEUTRAL in (one[names[0]], other[names[0]], one[names[1]], other[names[1]])


def test_numeric_choices_are_ordered_on_a_log_scale() -> None:
    space = EncodedSpace([Parameter("batch", Choices((32, 128, 512)))])
    assert space.encode_features([{"batch": size} for size in (32, 128, 512)])[:, 0] == pytest.approx(
        [0, 0.5, 1]
    )


def test_every_whole_number_gets_its_share_of_the_unit() -> None:
    domain = Numeric(1, 4, integer=True)
    counts = np.bincount([domain.decode(unit) for unit in np.linspace(0, 1, 4001)])
    assert counts[1:] == pytest.approx([1000] * 4, abs=2)


def test_true_is_not_one() -> None:
    assert make_key({"a": True}) != make_key({"a": 1})
    assert make_key({"a": 1}) == make_key({"a": 1.0})
    assert Choices((True, False)).ordinal is None


def test_size_counts_branches() -> None:
    space = EncodedSpace(
        [
            Parameter("kind", Choices(("a", "b"))),
            Parameter("depth", Numeric(1, 3, integer=True), "kind", ("b",)),
            Parameter("batch", Choices((1, 2))),
        ]
    )
    assert space.count() == 2 + 2 * 3
    assert SPACE.count() == math.inf


def test_a_missing_parent_is_told() -> None:
    with pytest.raises(ValueError, match=r"'depth'.*'kind'.*not in the space"):
        EncodedSpace([Parameter("depth", Numeric(1, 3), "kind", ("b",))])


@pytest.mark.parametrize(
    ("domain", "middle"),
    [(Numeric(1e-300, 1e300, log=True), 1.0), (Numeric(-1.5e308, 1.5e308), 0.0)],
)
def test_a_range_may_be_wider_than_any_float(domain: Numeric, middle: float) -> None:
    assert domain.decode(0.5) == pytest.approx(middle)
    assert domain.encode(middle) == pytest.approx(0.5)
    assert [domain.scale(value) for value in (domain.low, middle, domain.high)] == pytest.approx([0, 0.5, 1])


def test_large_whole_numbers_are_told_apart() -> None:
    assert make_key({"x": 10**13}) != make_key({"x": 10**13 + 1})


# ---- conditions read off trials -------------------------------------------------------------------------


def trait(*names: str, **choices: str | None) -> Trait:
    return Trait(frozenset({*names, *choices}), tuple(sorted(choices.items())))


def test_a_condition_is_found_in_trials() -> None:
    found = learn_conditions([trait("m", "h", opt="sgd"), trait("h", opt="adam"), trait("h", opt="lion")])
    assert found == {"m": ("opt", ("sgd",))}


def test_a_name_that_is_always_there_has_no_condition() -> None:
    assert learn_conditions([trait("h", opt="sgd"), trait("h", opt="adam")]) == {}


def test_none_is_a_choice_and_no_missing_parent() -> None:
    traits = [trait("d", a="x", b=None), trait("d", a="x", b="q"), trait(a="x", b="p"), trait(a="y")]
    assert learn_conditions(traits)["d"] == ("b", (None, "q"))


def test_a_name_that_is_missing_for_no_reason_has_no_condition() -> None:
    assert learn_conditions([trait("m", opt="sgd"), trait(opt="sgd")]) == {}


# ---- configurations under more parameters than they need ------------------------------------------------


def key(**params: str) -> Key:
    return tuple(sorted(params.items()))


def test_what_a_trial_did_without_is_left_out() -> None:
    shapes = Shapes()
    shapes.add(key(layers="2", one="8", two="4"), 0, is_whole=True)
    shapes.add(key(layers="1", one="8"), 1, is_whole=True)
    candidate = key(layers="1", one="8", two="16")
    assert shapes.list_keys(candidate) == [candidate, key(layers="1", one="8")]


def test_a_trial_that_failed_may_not_have_asked_for_all() -> None:
    shapes = Shapes()
    shapes.add(key(layers="1"), 0, is_whole=False)
    assert shapes.list_keys(key(layers="1", one="8")) == [key(layers="1", one="8")]


def test_trials_before_a_space_became_wider_had_no_such_parameter() -> None:
    shapes = Shapes()
    shapes.add(key(x="1"), 0, is_whole=True)
    shapes.add(key(x="1", new="2"), 1, is_whole=True)
    assert shapes.list_keys(key(x="1", new="3")) == [key(x="1", new="3")]
