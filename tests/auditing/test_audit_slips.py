"""Each slip changes a leaf in the way that its name says, in NumPy and in JAX alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.auditing.slips import (
    COTANGENT,
    DROPPED,
    EXCHANGED,
    KINDS,
    LEAF,
    RARE,
    SCALED,
    Slip,
    changed,
    largest,
    last,
    slips_of,
)

SQUARE = np.array([[1.0, -2.0], [4.0, 8.0]])
WANTED = {
    "zero": [[0, 0], [0, 0]],
    "negated": [[-1, 2], [-4, -8]],
    "half": [[0.5, -1], [2, 4]],
    "twice": [[2, -4], [8, 16]],
    "times 1.01": [[1.01 * 1, 1.01 * -2], [1.01 * 4, 1.01 * 8]],
    "transposed": [[1, 4], [-2, 8]],
    "row zeroed": [[1, -2], [0, 0]],
    "entry off by 1 %": [[1, -2], [4, 1.01 * 8]],
    "rows reversed": [[4, 8], [1, -2]],
}
FLOAT = np.dtype(np.float32)


@pytest.mark.smoke
@pytest.mark.parametrize("kind", LEAF)
def test_a_slip_is_what_its_name_says_in_numpy_and_in_jax(kind):
    assert WANTED.keys() == LEAF.keys()
    slip = Slip(kind, "W")
    found = changed(slip, {"W": SQUARE, "b": SQUARE[0]})
    np.testing.assert_array_equal(found["W"], WANTED[kind])
    np.testing.assert_array_equal(found["b"], SQUARE[0])
    single = SQUARE.astype(np.float32)
    traced = jax.jit(lambda leaf: changed(slip, {"W": leaf})["W"])(single)
    assert traced.dtype == np.float32
    np.testing.assert_array_equal(traced, changed(slip, {"W": single})["W"])


@pytest.mark.smoke
@pytest.mark.parametrize("kind", LEAF)
def test_with_the_last_row_and_entry_a_slip_is_its_own_transpose(kind):
    """So a slip in the tangents of an argument is the same slip in its gradient."""

    def slipped(leaf):
        return changed(Slip(kind, "W"), {"W": leaf}, last)["W"]

    ct = jnp.asarray([[3.0, 5.0], [7.0, 11.0]])
    (transposed,) = jax.linear_transpose(slipped, ct)(ct)
    np.testing.assert_array_equal(transposed, slipped(ct))


def test_two_leaves_are_exchanged_one_is_dropped_and_one_is_scaled():
    leaves = {"a": 1.0, "b": 2.0}
    assert changed(Slip(EXCHANGED, "a", "b"), leaves) == {"a": 2.0, "b": 1.0}
    assert changed(Slip(DROPPED, "a"), leaves) == {"a": None, "b": 2.0}
    assert changed(Slip(SCALED, "b", factor=3.0), leaves) == {"a": 1.0, "b": 6.0}
    assert changed(Slip(RARE, factor=2.0), leaves) == {"a": 2.0, "b": 4.0}
    assert changed(Slip("twice", "c"), leaves) == leaves


def test_the_largest_row_and_entry_are_singled_out():
    np.testing.assert_array_equal(largest(SQUARE, True), [[False, False], [True, True]])
    np.testing.assert_array_equal(largest(-SQUARE, False), [[False, False], [False, True]])


def test_a_slip_that_a_shape_does_not_allow_is_not_planted():
    """A scalar has neither rows nor other entries, a vector no transpose, an empty leaf no slip at all."""
    shapes = {"s": [((), FLOAT)], "v": [((3,), FLOAT)], "W": [((2, 2), FLOAT)], "e": [((0,), FLOAT)]}
    found = slips_of(shapes, drops=False, cotangent=False)
    plain = {"zero", "negated", "half", "twice", "times 1.01"}
    by_leaf = {leaf: {slip.kind for slip in found if slip.leaf == leaf} for leaf in shapes}
    rows = {"row zeroed", "entry off by 1 %", "rows reversed"}
    assert by_leaf == {"s": plain, "v": plain | rows, "W": plain | rows | {"transposed"}, "e": set()}
    assert [slip.kind for slip in found if not slip.leaf] == [RARE]


def test_neighbours_of_one_shape_are_exchanged_and_what_is_known_of_a_rule_adds_slips():
    shapes = {name: [((3,), FLOAT)] for name in "abc"}
    found = slips_of(shapes, drops=True, cotangent=True)
    assert [(s.leaf, s.other) for s in found if s.kind == EXCHANGED] == [("a", "b"), ("b", "c")]
    assert [s.leaf for s in found if s.kind == DROPPED] == ["a", "b", "c"]
    assert [s.kind for s in found if not s.leaf] == [COTANGENT, RARE]
    assert {s.kind for s in found} <= set(KINDS)
