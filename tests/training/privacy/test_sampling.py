"""Rows of private steps: each by itself, with the chance that the account counts."""

import numpy as np

from pipeline.training.privacy import sampling
from pipeline.training.privacy.sampling import EMPTY, choose_seed, draw_rows, find_room


def test_every_row_is_in_a_step_with_the_same_chance_by_itself() -> None:
    rows, batch, room = 40, 4, find_room(40, 4)
    drawn = np.concatenate([draw_rows(5, number, rows, batch, room) for number in range(1, 501)])
    taken = np.zeros((len(drawn), rows + 1), bool)
    np.put_along_axis(taken, drawn, True, axis=1)  # EMPTY, -1, is the last column
    taken = taken[:, :rows]
    counts, steps, chance = taken.sum(1), len(drawn), batch / rows
    assert ((drawn != EMPTY).sum(1) == counts).all(), "a row is twice in a step"
    np.testing.assert_allclose(taken.mean(0), chance, atol=4 * np.sqrt(chance * 0.9 / steps))
    assert abs(counts.var() - rows * chance * (1 - chance)) < 0.35  # of a binomial; 0 of a fixed batch
    together = (taken[:, 0] & taken[:, 1]).mean()
    assert abs(together - chance**2) < 4 * np.sqrt(chance**2 / steps)


def test_epochs_and_seeds_draw_anew_and_the_same_ones_again() -> None:
    one = draw_rows(1, 1, 100, 10, 30)
    np.testing.assert_array_equal(one, draw_rows(1, 1, 100, 10, 30))
    assert (one != draw_rows(1, 2, 100, 10, 30)).any()
    assert (one != draw_rows(2, 1, 100, 10, 30)).any()


def test_room_grows_with_a_draw_and_is_never_more_than_the_rows() -> None:
    assert draw_rows(1, 1, 100, 50, 8).shape[1] > 50
    assert find_room(10, 10) == 10
    assert find_room(60_000, 256) == 336
    assert sampling.EMPTY == -1


def test_a_secret_seed_is_another_each_time() -> None:
    assert choose_seed(3, True) == 3
    assert choose_seed(3, False) != choose_seed(3, False)
