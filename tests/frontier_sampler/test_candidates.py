"""Candidates: free ones only, of a list only where there is one, the same in every process."""

import numpy as np

from pipeline.frontier_sampler.candidates import PARENTS, CandidateSource, list_other_places
from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter, make_key

SPACE = EncodedSpace(
    [Parameter("kind", Choices(("a", "b"))), Parameter("hidden", Numeric(8, 11, integer=True))]
)


def test_only_free_candidates_are_made_and_each_once() -> None:
    tried = {make_key({"kind": "a", "hidden": hidden}) for hidden in range(8, 12)}
    made = CandidateSource(SPACE, 0).make_candidates([], 3, lambda key: key not in tried)
    assert {each.params["kind"] for each in made} == {"b"}
    assert len(made) == len({each.key for each in made}) == 4
    assert all(each.key == make_key(each.params) for each in made)
    assert all((each.features == SPACE.encode_features([each.params])[0]).all() for each in made)


def test_a_list_is_all_there_is() -> None:
    listed = [{"kind": "b", "hidden": hidden} for hidden in (8, 10)]
    source = CandidateSource(SPACE, 0, listed)
    assert [each.params for each in source.make_candidates([], 0, lambda _: True)] == listed
    assert source.make_neighbours(listed, 0, lambda _: True) == []
    assert source.draw_quasi_random(5, lambda key: key != make_key(listed[0])) == listed[1]
    assert source.draw_any(5, lambda _: False) is None


def test_neighbours_lie_near() -> None:
    space = EncodedSpace([Parameter(name, Numeric(0, 1)) for name in "abcdefgh"])
    best = dict.fromkeys("abcdefgh", 0.5)
    made = CandidateSource(space, 0).make_neighbours([best], 0, lambda _: True, size=0.01)
    assert np.median([abs(each.features - 0.5).max() for each in made]) < 0.05


def test_the_same_number_gives_the_same_candidates() -> None:
    first, second = (CandidateSource(SPACE, 7).draw_quasi_random(9, lambda _: True) for _ in range(2))
    assert first == second


def test_a_good_one_is_changed_in_each_parameter_alone() -> None:
    space = EncodedSpace(
        [
            Parameter("kind", Choices(("a", "b", "c"))),
            Parameter("hidden", Numeric(8, 512, log=True, integer=True)),
            Parameter("batch", Choices((16, 64, 256))),
            Parameter("rate", Numeric(1e-3, 1.0, log=True), "kind", ("a",)),
        ]
    )
    good = {"kind": "b", "hidden": 64, "batch": 64}
    made = [each.params for each in CandidateSource(space, 0).make_candidates([good], 0, lambda _: True)]
    alone = [params for params in made if sum(params.get(name) != value for name, value in good.items()) == 1]
    kinds = [params for params in alone if params["kind"] != "b"]
    assert {params["kind"] for params in kinds} == {"a", "c"}
    assert all(("rate" in params) == (params["kind"] == "a") for params in kinds)
    assert {params["batch"] for params in alone if params["batch"] != 64} == {16, 256}
    hidden = [params["hidden"] for params in alone if params["hidden"] != 64]
    assert min(hidden) < 64 < max(hidden)


def test_of_numbers_only_the_next_ones_are_neighbours() -> None:
    assert list_other_places(Choices((8, 256, 64, 16)), 64) == [3.5 / 4, 1.5 / 4]
    assert list_other_places(Choices((8, 256)), 8) == [0.75]
    assert list_other_places(Choices(("a", "b", "c")), "b") == [0.5 / 3, 2.5 / 3]
    assert list_other_places(Choices((8, 256)), 9) == [0.25, 0.75]  # a range that changed


def test_many_good_ones_take_turns() -> None:
    space = EncodedSpace([Parameter("x", Numeric(0, 1)), Parameter("y", Choices(("a", "b")))])
    good = [{"x": row / 100, "y": "a"} for row in range(3 * PARENTS)]
    source = CandidateSource(space, 0)
    changed = [
        {
            each.params["x"]
            for each in source.make_candidates(good, number, lambda _: True)
            if each.params["y"] == "b"
        }
        & {params["x"] for params in good}
        for number in (1, 2)
    ]
    assert len(changed[0]) <= PARENTS + 2
    assert changed[0] != changed[1]
