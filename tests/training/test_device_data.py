"""Order of samples."""

import numpy as np

from pipeline.training.device_data import shuffle_rows


def test_every_row_is_seen_at_most_once_an_epoch() -> None:
    seen = shuffle_rows(seed=3, number=1, rows=46, batch=4)
    assert (seen.shape, seen.dtype) == ((11, 4), np.int32)
    assert len(np.unique(seen)) == 44
    assert seen.min() >= 0
    assert seen.max() < 46


def test_order_goes_by_seed_and_epoch() -> None:
    base = shuffle_rows(1, 1, 46, 4)
    np.testing.assert_array_equal(base, shuffle_rows(1, 1, 46, 4))
    assert (base != shuffle_rows(1, 2, 46, 4)).any()
    assert (base != shuffle_rows(2, 1, 46, 4)).any()
