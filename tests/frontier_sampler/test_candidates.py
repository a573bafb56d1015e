"""Candidates: free ones only, of a list only where there is one, the same in every process."""

import numpy as np

from pipeline.frontier_sampler.candidates import CandidateSource
from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter, make_key

SPACE = EncodedSpace(
    [Parameter("kind", Choices(("a", "b"))), Parameter("hidden", Numeric(8, 11, integer=True))]
)


def test_only_free_candidates_are_made_and_each_once() -> None:
    tried = {make_key({"kind": "a", "hidden": hidden}) for hidden in range(8, 12)}
    made = CandidateSource(SPACE, 0).make_candidates([], 3, lambda key: key not in tried)
    assert {params["kind"] for params, _ in made} == {"b"}
    assert len(made) == len({make_key(params) for params, _ in made}) == 4
    assert all((features == SPACE.encode_features([params])[0]).all() for params, features in made)


def test_a_list_is_all_there_is() -> None:
    listed = [{"kind": "b", "hidden": hidden} for hidden in (8, 10)]
    source = CandidateSource(SPACE, 0, listed)
    assert [params for params, _ in source.make_candidates([], 0, lambda _: True)] == listed
    assert source.make_neighbours(listed, 0, lambda _: True) == []
    assert source.draw_quasi_random(5, lambda key: key != make_key(listed[0])) == listed[1]
    assert source.draw_any(5, lambda _: False) is None


def test_neighbours_lie_near() -> None:
    space = EncodedSpace([Parameter(name, Numeric(0, 1)) for name in "abcdefgh"])
    best = dict.fromkeys("abcdefgh", 0.5)
    made = CandidateSource(space, 0).make_neighbours([best], 0, lambda _: True, size=0.01)
    assert np.median([abs(features - 0.5).max() for _, features in made]) < 0.05


def test_the_same_number_gives_the_same_candidates() -> None:
    first, second = (CandidateSource(SPACE, 7).draw_quasi_random(9, lambda _: True) for _ in range(2))
    assert first == second
