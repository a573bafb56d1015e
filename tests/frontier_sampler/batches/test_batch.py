"""Several suggestions from one fit: what is expected of one tells the next."""

from unittest.mock import patch

import numpy as np

from pipeline.frontier_sampler.batches import batch
from pipeline.frontier_sampler.batches.candidate_forecasts import CandidateForecasts
from pipeline.frontier_sampler.encoding import make_key
from pipeline.frontier_sampler.forecast import Forecast
from pipeline.frontier_sampler.suggest import Suggester
from tests.frontier_sampler.test_suggest import EPOCHS, SPACE, distance_from_the_best, played


def test_many_suggestions_are_begun_by_that_of_one_and_differ() -> None:
    trials = played(40, seed=0)[:30]
    one = Suggester(SPACE, EPOCHS, seed=0).suggest(trials, 30)
    proposer = Suggester(SPACE, EPOCHS, seed=0)
    assert proposer.suggest_many(trials, 30, 1) == [one]
    many = proposer.suggest_many(trials, 30, 24)
    assert many[0] == one
    with patch.object(batch, "AT_ONCE", 10_000):  # all candidates are looked at again for each
        assert Suggester(SPACE, EPOCHS, seed=0).suggest_many(trials, 30, 24) == many
    assert len({make_key(each.params) for each in many}) == len(many) == 24
    assert {each.epochs in EPOCHS.rungs for each in many} == {True}
    kinds = {(each.params["kind"], round(distance_from_the_best(each.params))) for each in many}
    assert len(kinds) > 1  # not all in one corner: what the first will tell is not asked again


def test_many_end_where_the_space_does() -> None:
    listed = [{"kind": "b", "hidden": hidden} for hidden in (8, 16, 32)]
    many = Suggester(SPACE, EPOCHS, seed=0, listed=listed).suggest_many([], 0, 9)
    assert [each.exhausted for each in many] == [False, False, False, True]


def test_a_batch_goes_on_where_only_what_was_chosen_would_gain() -> None:
    favourites = list[object]()

    def gain(_: Forecast, forecasts: CandidateForecasts, *_args: object, **_options: object) -> object:
        favourites.append(forecasts.candidates[0].params)  # the first one counts
        chosen = [candidate.params == favourites[0] for candidate in forecasts.candidates]
        return np.where(np.array(chosen)[:, None], forecasts.allowed, 0.0)

    fits = patch.object(Suggester, "_find_batch", autospec=True, side_effect=Suggester._find_batch)
    plain = patch.object(Forecast, "rate_stops", lambda _self, _forecasts, gains, _dearest: gains)
    with patch.object(Forecast, "compute_gains", gain), plain, fits as fit:
        many = Suggester(SPACE, EPOCHS, seed=0).suggest_many(played(40, seed=0)[:30], 30, 12)
    assert many[0].params == favourites[0]
    assert len(many) == 12
    assert fit.call_count == 1, "what is left is chosen by what may be learned, without another fit"
