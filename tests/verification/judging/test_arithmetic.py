"""A formula is told from its arithmetic by values and noise alone."""

import numpy as np
import pytest

from backproof.numerics.noise import Measured
from backproof.verification.judging.arithmetic import (
    are_two_formulas,
    loses_digits,
    may_be_chance,
    nowhere_finite,
    recovers,
    same_formula,
)

NOISE = 1e-16


def measured(values, noise=NOISE):
    return Measured((np.asarray(values),), (np.full(np.shape(values), noise),))


def hand(*values):
    return (np.asarray(values),)


def test_a_wrong_formula_stays_as_far_away_in_long_double():
    truth = measured([1.0])
    assert are_two_formulas(hand(1.001), truth, hand(1.001), hand(1.0))
    assert not are_two_formulas(hand(1.001), truth, hand(1.0 + 1e-7), hand(1.0))
    assert not are_two_formulas(hand(1.001), truth, hand(np.inf), hand(1.0))


@pytest.mark.parametrize(("gap", "right"), [(1e-12, True), (0.99e-9, False)])
def test_rounding_shrinks_at_least_tenfold_in_long_double(gap, right):
    wide = Measured(hand(1.0 + gap), hand(1e-19)), Measured(hand(1.0), hand(1e-19))
    assert same_formula(hand(1.0 + 1e-9), measured([1.0]), *wide) == right


def test_a_value_that_is_the_wide_oracle_shows_that_autodiff_lost_its_digits():
    assert recovers(hand(2.0), hand(2.0), hand(NOISE)).agrees
    assert recovers(hand(2.0), hand(2.1), hand(NOISE)) is None
    assert recovers((), (), ()) is None


def test_agreement_within_much_louder_noise_than_autodiffs_shows_nothing():
    truth = measured([1.0])
    assert loses_digits(truth, measured([1.0], 1e-6), 1.0, [1.0])
    assert not loses_digits(truth, measured([1.0], 1e-9), 1.0, [1.0])  # more than half of its digits are left
    assert not loses_digits(truth, measured([1.0], 1e-6), 1e4, [1.0])  # next to its cotangent it is small
    assert not loses_digits(truth, measured([1.0], 1e-6), 1.0, [2.0**29])  # a leaf computed in float32


def test_an_entry_may_be_quiet_by_chance_where_others_are_as_loud_as_the_gap():
    truth = Measured((np.zeros(2),), (np.array([1e-16, 1e-12]),))
    assert may_be_chance(hand(1e-12, 0.0), truth, [1.0])
    assert not may_be_chance(hand(1e-6, 0.0), truth, [1.0])
    assert not may_be_chance(hand(np.nan, 0.0), truth, [1.0])


def test_a_number_of_float32_may_be_quiet_by_chance():
    """Two of 1 that differ by half a unit of float32 were given the noise of float64."""
    assert may_be_chance(hand(1.0, 2.0), measured([1.0 - 6e-8, 2.0]), [2.0**29])
    assert not may_be_chance(hand(1.0, 2.0), measured([1.0 - 6e-8, 2.0]), [1.0])
    assert not may_be_chance(hand(1.0, 2.0), measured([1.0 - 6e-5, 2.0]), [2.0**29])


def test_only_where_neither_side_is_finite_nothing_can_be_said():
    assert nowhere_finite(hand(np.nan, 1.0), measured([np.inf, 1.0]))
    assert not nowhere_finite(hand(0.0, 1.0), measured([np.inf, 1.0]))
    assert not nowhere_finite(hand(np.nan, 1.0), measured([0.0, 1.0]))
