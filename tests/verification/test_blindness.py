"""Planted slips show whether a wrong result would have been seen with the data at hand."""

import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.numerics.noise import Measured
from backproof.verification import Verdict
from backproof.verification.blindness import SLIPS, Unseen, unseen

ROUNDING = 1e-15
SQUARE = np.array([[1.0, 2.0], [3.0, 4.0]])


def measured(*leaves, noise=ROUNDING):
    return Measured(leaves, tuple(np.full(np.shape(leaf), noise) for leaf in leaves))


def test_a_leaf_well_above_its_noise_is_seen():
    assert unseen([measured(SQUARE, np.ones(3))]) == ()


def test_a_leaf_that_is_zero_within_noise_everywhere_is_identically_zero():
    noise_alone = np.array([1e-16, -1e-16])
    found = unseen([measured(np.zeros(2), np.ones(2)), measured(noise_alone, np.ones(2))])
    assert found == (Unseen("[0]", None),)
    assert found[0].is_zero


def test_a_leaf_whose_noise_is_above_one_percent_is_blind_to_one_percent():
    assert unseen([measured(np.ones(3), noise=0.01)]) == (Unseen("[0]", "1 % too large"),)


def test_one_clear_point_is_enough_to_see():
    assert unseen([measured(np.ones(3), noise=0.01), measured(np.ones(3))]) == ()


def test_a_slip_that_changes_nothing_does_not_count():
    """The transpose of a vector, and of a symmetric matrix, is what it was."""
    assert unseen([measured(np.array([1.0, 2.0]), SQUARE + SQUARE.T)]) == ()


def test_a_gradient_that_is_symmetric_within_noise_hides_nothing():
    """Its transpose is as right as it is, so that it is no slip."""
    nearly = np.array([[1e3, 1.0], [2.0, 1e3]])
    assert unseen([measured(nearly, noise=0.2)]) == ()


def test_in_a_coarse_leaf_a_smaller_slip_is_not_asked_for():
    """Of numbers with three digits, one percent is within noise."""
    leaf = [measured(np.array([[1.0, 2.0], [3.0, 4.0]]), noise=0.008)]
    assert unseen(leaf) == (Unseen("[0]", "1 % too large"),)
    assert unseen(leaf, [2.0**-8]) == ()


@pytest.mark.parametrize("name", sorted(SLIPS))
def test_every_slip_spoils_an_ordinary_leaf_and_leaves_the_data_alone(name):
    before = SQUARE.copy()
    assert np.any(SLIPS[name](before) != SQUARE)
    assert np.array_equal(before, SQUARE)


def test_leaves_without_entries_and_runs_without_points_say_nothing():
    assert unseen([]) == ()
    assert unseen([measured(np.zeros((0, 3)))]) == ()


@pytest.mark.as_user
def test_a_report_says_which_leaf_is_identically_zero():
    """A shift is taken away again with the mean, so its gradient Σ(ct − mean(ct)) is zero."""

    def centred(x, shift):
        moved = x + shift
        return moved - moved.mean()

    vjp = lambda a, ct: (ct - ct.mean(), jnp.zeros_like(a[1]))
    nonempty = [bp.array("n", where=lambda x: x.size > 0), bp.array("")]
    report = bp.verify(of=centred, vjp=vjp, args=nonempty, examples=40, dtypes=())
    assert report.verdict is Verdict.AGREES
    assert report.notes == ("result[1] is zero within noise at every point",)
    assert "note: result[1] is zero within noise at every point" in str(report)


@pytest.mark.as_user
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_a_leaf_that_could_not_have_been_seen_is_inconclusive(factor):
    """Terms of 1e15 cancel in the gradient: what is left is known to one digit, and 1 % would not show."""
    weights = jnp.array(8 * [1e15, -1e15])
    cancelling = lambda x: (x**2 / 2).sum() + (x[:, None] * weights).sum()
    between = [bp.array("4", low=100, high=120)]
    grad = lambda x: factor * x
    report = bp.verify(of=cancelling, grad=grad, args=between, examples=40, dtypes=(), second_order=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "result[0], if 1 % too large, would have looked right at every point" in report.explanation
