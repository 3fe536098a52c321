"""Equal within measured noise: the one predicate, its worst entry, and the distance between two functions."""

import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.comparison import (
    agree,
    difference,
    distance,
    ratio_text,
    same,
    units,
    worst_entry,
)
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN

NOISE = 1e-16


def measured(*leaves):
    return Measured(leaves, tuple(np.full(np.shape(leaf), NOISE) for leaf in leaves))


def test_entries_agree_up_to_the_tolerance_and_not_beyond():
    apart = NOISE * AGREES_WITHIN * np.array([0.5, 1.0, 1.5, -0.5, -1.5])
    assert agree(apart, np.zeros(5), NOISE).tolist() == [True, True, False, True, False]


def test_nan_equals_nothing_and_an_infinity_itself_alone():
    got, want = (
        np.array([np.nan, np.nan, np.inf, np.inf, 1.0]),
        np.array([np.nan, 1.0, np.inf, -np.inf, np.inf]),
    )
    assert agree(got, want, NOISE).tolist() == [False, False, True, False, False]


def test_whole_numbers_agree_only_where_they_are_equal():
    assert units(np.array([1, 2]), np.array([1, 3]), 0.0).tolist() == [0.0, np.inf]


def test_leaves_of_other_shapes_are_not_the_same():
    assert same(np.ones((2, 1)), np.ones((2, 1)), NOISE)
    assert not same(np.ones((2, 1)), np.ones((1, 2)), NOISE)


def test_the_worst_entry_is_named_by_its_leaf_and_index():
    hand = (np.zeros(2), np.array([[0.0, 3e-12], [0.0, 1e-12]]))
    entry = worst_entry(hand, measured(np.zeros(2), np.zeros((2, 2))))
    assert (entry.leaf, entry.at) == ("[1]", (0, 1))
    assert not entry.agrees
    assert worst_entry(hand, measured(np.zeros(2), np.zeros((2, 2))), "[0]").distance == 0.0
    assert worst_entry((), measured()) is None


def test_there_is_a_difference_only_beyond_noise():
    assert difference((np.array([NOISE]),), measured(np.zeros(1))) is None
    assert difference((np.array([1e-9]),), measured(np.zeros(1))).hand == 1e-9
    assert difference((), measured()) is None


def test_a_difference_carries_the_noise_of_both_sides():
    both = measured(np.zeros(2)).with_noise_of(measured(np.ones(2)))
    assert both.value[0].tolist() == [0.0, 0.0]
    assert both.noise[0].tolist() == [2 * NOISE, 2 * NOISE]


def test_two_functions_are_compared_in_their_own_noise():
    x = np.array([0.3, 2.0])
    assert distance(jnp.tanh, lambda x: 1 - 2 / (jnp.exp(2 * x) + 1), x) <= AGREES_WITHIN
    assert distance(jnp.tanh, lambda x: jnp.tanh(x) * (1 + 1e-9), x) > 1e5


@pytest.mark.parametrize(
    ("other", "text"),
    [(lambda x: (x,), "differ in tree"), (lambda x: x[:1], "differ in shape")],
)
def test_results_of_another_form_cannot_be_compared(other, text):
    with pytest.raises(ValueError, match=text):
        distance(lambda x: x, other, np.ones(3))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (2 / 3, "0.666667"),
        (1.0, "1"),
        (-1.0, "-1"),
        (0.99999997, "0.99999997"),
        (1.0000001, "1.0000001"),
        (-1.0000001, "-1.0000001"),
        (1e-9, "1e-09"),
        (1 + 1e-9j, "1+1e-09j"),
    ],
)
def test_a_ratio_reads_as_one_only_where_it_is(ratio, text):
    assert ratio_text(ratio) == text
