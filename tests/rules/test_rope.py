"""Rotary positions against matrices of rotation made number by number in mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import by_autodiff, by_hand

from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.rules import rope
from slips_in_files import assert_named

CHOICES = [("halves", 10000, 0), ("pairs", 10000, 0), ("halves", 10, 7), ("pairs", 500000, 7)]


def rotations(s, d, layout, base, offset):
    """Return the matrix of each position, of shape (s, d, d)."""
    turns = np.zeros((s, d, d))
    for m in range(s):
        for i in range(d // 2):
            a, b = (i, i + d // 2) if layout == "halves" else (2 * i, 2 * i + 1)
            angle = (m + offset) * mpmath.mpf(base) ** (-mpmath.mpf(2 * i) / d)
            turns[m, a, a] = turns[m, b, b] = mpmath.cos(angle)
            turns[m, b, a] = mpmath.sin(angle)
            turns[m, a, b] = -turns[m, b, a]
    return turns


def by_matrices(x, *choice):
    turns = jnp.asarray(rotations(*x.shape[-2:], *choice), x.dtype)
    return jnp.einsum("sij,...sj->...si", turns, x)


@given(
    st.sampled_from([(4, 6), (2, 3, 2), (2, 1, 4, 4), (1, 2), (0, 3, 4), (2, 0, 4), (3, 0)]),
    st.sampled_from(CHOICES),
    st.integers(0, 2**32 - 1),
)
def test_each_position_has_its_rotation(shape, choice, seed):
    rng = np.random.default_rng(seed)
    x, delta = rng.standard_normal(shape), rng.standard_normal(shape)
    assert_agrees(by_hand(rope(*choice)), by_autodiff(lambda x: by_matrices(x, *choice)), x, delta)


MUTANTS = {
    "the gradient turned on instead of back": lambda choice: rope(*choice).forward,
    "the other layout": lambda choice: (
        rope({"halves": "pairs", "pairs": "halves"}[choice[0]], *choice[1:]).forward
    ),
    "the position one too far": lambda choice: rope(*choice[:2], choice[2] + 1).forward,
    "another base": lambda choice: rope(choice[0], 1.01 * choice[1], choice[2]).forward,
}


@pytest.mark.parametrize("choice", CHOICES[:3])
@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name, choice):
    other = MUTANTS[name](choice)
    back = rope(*choice).backward
    if name == "the gradient turned on instead of back":
        mutant = rope(*choice)._replace(backward=lambda params, kept, delta: ((), other((), delta)[0]))
    else:
        mutant = rope(*choice)._replace(forward=other, backward=back)
    x, delta = np.random.default_rng(0).standard_normal((2, 3, 4))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(mutant), by_autodiff(lambda x: by_matrices(x, *choice)), x, delta)


@pytest.mark.parametrize("layout", ["halves", "pairs"])
def test_a_product_depends_on_the_distance_alone(layout):
    q, k = np.random.default_rng(0).standard_normal((2, 5, 4))

    def products(offset):
        turn = rope(layout, 100, offset).forward
        return lambda q, k: turn((), q)[0] @ turn((), k)[0].T

    assert_agrees(products(0), products(11), q, k)


def test_a_far_position_has_the_digits_of_float32():
    x = jnp.array([[1.0, 0.0]])
    y = rope(offset=100_001).forward((), x)[0]
    assert y[0].tolist() == [np.float32(mpmath.cos(100_001)), np.float32(mpmath.sin(100_001))]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_nothing_is_kept_and_the_dtype_stays(dtype):
    x = jnp.ones((2, 3, 4), dtype)
    y, kept = jax.jit(rope().forward)((), x)
    assert kept == ()
    assert y.dtype == rope().backward((), kept, y)[1].dtype == x.dtype
    assert rope().init(jax.random.key(0), x)[1].shape == x.shape


def test_the_same_choice_is_the_same_rule():
    assert rope() is rope()
    assert [rope(*choice).name for choice in CHOICES[1:3]] == [
        "rope('pairs', base=10000)",
        "rope('halves', base=10, offset=7)",
    ]


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (("thirds",), "rope: layout must be 'halves' or 'pairs', but found layout='thirds'"),
        (("halves", 0), "rope: base must be a finite number above 0"),
        (("halves", 10, -1), "rope: offset must be a whole number of at least 0"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(choice, text):
    with pytest.raises(UsageError, match=text):
        rope(*choice)


@pytest.mark.parametrize("shape", [(2, 3), (4,), ()])
def test_an_input_without_positions_or_pairs_is_refused(shape):
    for run in (rope().forward, rope().init):
        with pytest.raises(UsageError, match="must have an axis of positions and an even number of features"):
            run((), jnp.ones(shape))
    with pytest.raises(UsageError, match="the input must be floating"):
        rope().forward((), jnp.ones((2, 4), "i4"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("delta_a * cos + delta_b * sin, delta_b", "delta_a * cos - delta_b * sin, delta_b"),
        ("delta_b * cos - delta_a * sin", "delta_b * cos - delta_b * sin"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(rope(), right, wrong, tmp_path, lambda module: module.rope())
