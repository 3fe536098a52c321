"""What a leaf is: an array of any dtype, a Python number, a PRNG key, or a place where nothing moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.leaves import (
    all_finite,
    as_float64,
    dtype_of,
    has_direction,
    is_complex,
    is_floating,
    is_inexact,
    is_key,
    largest,
    leaves_with_paths,
    shapes_of,
    widen,
)

NOWHERE = np.zeros(2, jax.dtypes.float0)
LEAVES = {
    "float32": (np.float32([1, 2]), {"inexact", "floating"}),
    "bfloat16": (jnp.zeros(2, jnp.bfloat16), {"inexact", "floating"}),
    "longdouble": (np.longdouble([1, 2]), {"inexact", "floating"}),
    "complex64": (np.complex64([1j]), {"inexact", "complex"}),
    "int32": (np.int32([1]), set()),
    "bool": (np.array([True]), set()),
    "a shape": (jax.ShapeDtypeStruct((2,), jnp.float16), {"inexact", "floating"}),
    "a Python number": (0.5, {"inexact", "floating"}),
    "a key": (jax.random.key(0), {"key"}),
    "nowhere": (NOWHERE, set()),
}


@pytest.mark.parametrize("name", LEAVES)
def test_each_kind_of_leaf_is_told_from_the_others(name):
    leaf, kinds = LEAVES[name]
    tests = {"inexact": is_inexact, "floating": is_floating, "complex": is_complex, "key": is_key}
    assert {kind for kind, test in tests.items() if test(leaf)} == kinds
    assert has_direction(leaf) == (name != "nowhere")


def test_floating_leaves_are_widened_exactly_and_the_others_stay():
    key = jax.random.key(3)
    tree = {"x": jnp.array([0.1], jnp.bfloat16), "z": np.complex64([0.1j]), "i": np.int8([3]), "k": key}
    wide = widen(tree)
    assert (wide["x"].dtype, wide["z"].dtype, wide["i"].dtype) == (np.float64, np.complex128, np.int8)
    assert wide["x"][0] == float(tree["x"][0])
    assert wide["k"] is key
    assert as_float64(tree["x"]).dtype == np.float64
    assert as_float64(tree["z"])[0] == complex(tree["z"][0])


def test_only_trees_of_the_same_shapes_and_dtypes_have_the_same_shapes():
    one = (np.zeros((2, 3)), {"a": np.int32(1)})
    assert shapes_of(one) == shapes_of((np.ones((2, 3)), {"a": np.int32(7)}))
    for other in (
        (np.zeros((3, 2)), one[1]),
        (np.zeros((2, 3), np.float32), one[1]),
        (one[0], [np.int32(1)]),
    ):
        assert shapes_of(one) != shapes_of(other)
    assert dtype_of(1) == jnp.result_type(1)


def test_paths_are_written_as_python_reads_them():
    assert [path for path, _ in leaves_with_paths(({"W": 1.0}, 2.0))] == ["[0]['W']", "[1]"]


def test_finite_and_largest_look_at_every_number_that_moves():
    assert all_finite((np.float64([1, 2]), np.int32([1]), jax.random.key(0)))
    assert not all_finite((np.float64([1, 2]), np.float32([np.nan])))
    assert not all_finite(jnp.array([jnp.inf], jnp.bfloat16))
    assert largest((np.float64([1, -7, np.inf]), np.float64([]), NOWHERE)) == 7.0
    assert largest(()) == 0.0
