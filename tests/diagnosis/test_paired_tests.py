"""Paired tests against values of textbooks and by simulation."""

import math

import numpy as np
import pytest

from pipeline.diagnosis import paired_tests


def test_students_sleep_data() -> None:
    """Student 1908: extra hours of sleep by two drugs, ten patients; t = 4.06, one-sided p = 0.0014."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = paired_tests.run_paired_test([two - one for one, two in zip(first, second, strict=True)], 0.0)
    assert found.mean == pytest.approx(1.58)
    assert found.mean / found.error == pytest.approx(4.0621, abs=1e-4)
    assert 1 - found.confidence == pytest.approx(0.002833 / 2, abs=1e-6)


def test_one_pair_proves_nothing() -> None:
    assert paired_tests.run_paired_test([5.0], 0.0).confidence == 0.0


def test_without_spread_there_is_no_doubt() -> None:
    assert paired_tests.run_paired_test([0.01, 0.01, 0.01], 0.0).confidence == 1.0
    assert paired_tests.run_paired_test([-0.002] * 3, -0.002).confidence == 1.0
    assert paired_tests.run_paired_test([-0.003] * 3, -0.002).confidence == 0.0


def test_costs_are_compared_by_their_ratio() -> None:
    found = paired_tests.compare_costs([10.0, 20.0, 30.0], [5.0, 10.0, 15.0], 0.05)
    assert math.exp(found.mean) == pytest.approx(2)
    assert found.confidence == 1.0
    assert paired_tests.compare_costs([1.0, 1.0, 1.0], [0.97, 0.97, 0.97], 0.05).confidence == 0.0


def test_a_fall_within_the_tolerance_is_as_accurate() -> None:
    before = [0.980, 0.982, 0.984]
    assert paired_tests.compare_accuracies(before, [0.9795, 0.9817, 0.9838], 0.002).confidence > 0.95
    assert paired_tests.compare_accuracies(before, [0.970, 0.973, 0.972], 0.002).confidence < 0.05


def test_welch_for_series_that_are_no_pairs() -> None:
    assert paired_tests.run_unpaired_test([0.98, 0.981], [0.98, 0.981], -0.002).confidence > 0.8
    assert paired_tests.run_unpaired_test([0.98, 0.981], [0.96, 0.961], -0.002).confidence < 0.05
    assert paired_tests.run_unpaired_test([0.98, 0.98], [0.98, 0.98], -0.002).confidence == 1.0


def test_noise_passes_a_dozen_strict_tests_as_rarely_as_promised() -> None:
    """Twelve attempts that do nothing, three pairs each, 400 times over: hardly one walk keeps any."""
    draw, needed, fooled = np.random.default_rng(7), paired_tests.correct_confidence(0.95, 12), 0
    for _ in range(400):
        tests = [
            paired_tests.compare_costs(
                np.exp(0.1 * draw.standard_normal(3)), np.exp(0.1 * draw.standard_normal(3)), 0.05
            )
            for _ in range(12)
        ]
        fooled += any(test.confidence >= needed for test in tests)
    assert fooled <= 400 * 0.05


def test_the_interval_begins_above_the_margin_just_where_the_test_is_so_sure() -> None:
    """Student's sleep data: two-sided 95 % interval 0.7001 to 2.4599."""
    differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = paired_tests.run_paired_test(differences, 0.0)
    assert found.compute_interval(0.975) == pytest.approx((0.7001, 2.4599), abs=1e-4)
    for margin in (0.2, 0.7, 1.0):
        tested = paired_tests.run_paired_test(differences, margin)
        low, _ = tested.compute_interval(tested.confidence)
        assert low == pytest.approx(margin)
    assert paired_tests.run_paired_test([0.5] * 3, 0.0).compute_interval(0.99) == (0.5, 0.5)
    assert paired_tests.run_paired_test([0.5], 0.0).compute_interval(0.99) == (-math.inf, math.inf)
    assert 0 < paired_tests.run_paired_test([0.5], 0.0).compute_factors(0.99)[0] < 1e-200


def test_tests_are_chained_by_their_variances() -> None:
    """Welch and Satterthwaite: two equal errors of 4 degrees have 8."""
    one = paired_tests.PairedTest.make(0.3, 0.1, 0.05, 4)
    both = paired_tests.chain_tests([one, one], 0.6, 0.05)
    assert (both.mean, both.error, both.freedom) == pytest.approx((0.6, 0.1 * math.sqrt(2), 8.0))
    exact = paired_tests.PairedTest.make(0.7, 0.0, 0.05, 2)
    assert paired_tests.chain_tests([one, exact], 1.0, 0.05).freedom == pytest.approx(4)
    assert paired_tests.chain_tests([exact], 0.7, 0.05).confidence == 1.0


def test_all_looks_together_err_no_more_than_one_attempt_may() -> None:
    errors = [1 - paired_tests.correct_for_look(0.95, 16, look) for look in range(1, 5000)]
    assert sum(errors) == pytest.approx(0.05 / 16, rel=1e-3)
    assert sum(errors) < 0.05 / 16


def test_how_many_pairs_would_decide() -> None:
    """Mean 0.2 above the margin, spread 0.4: 24 pairs make it 0.286 sure at 99.9 %, 48 pairs 0.189."""
    test = paired_tests.PairedTest.make(0.25, 0.4 / math.sqrt(12), 0.05, 11)
    needed = [0.999] * 5
    assert paired_tests.estimate_pairs(test, 12, needed) == 48
    assert paired_tests.estimate_pairs(test, 12, [0.999]) is None
