"""The selective scan against a plain loop, a matrix of products, and mpmath by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_recurrences import (
    SHAPES,
    assert_caught,
    assert_in_wide_states,
    assert_is_exactly,
    assert_last_step_does_not_move_the_first_ones,
    exp,
)
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import selective_scan
from slips_in_files import assert_named

STATES, CHANNELS = 2, 3


def looped(params, x):
    """Return y, from one state after the other, with the sums over the states by einsum."""
    A = -jnp.exp(params["A_log"])
    h = jnp.zeros((*x[0].shape[:-2], CHANNELS, STATES))
    read = [x[0][..., :0, :]]
    for t in range(x[0].shape[-2]):
        u, step, B, C = (leaf[..., t, :] for leaf in x)
        h = jnp.exp(jnp.einsum("...d,dn->...dn", step, A)) * h
        h = h + jnp.einsum("...d,...d,...n->...dn", step, u, B)
        y = jnp.einsum("...dn,...n->...d", h, C) + jnp.einsum("d,...d->...d", params["D"], u)
        read.append(y[..., None, :])
    return jnp.concatenate(read, axis=-2)


BY_AUTODIFF = by_autodiff_with(looped)


def point(batch, steps, seed):
    rng = np.random.default_rng(seed)
    u, step, delta = rng.standard_normal((3, *batch, steps, CHANNELS))
    B, C = rng.standard_normal((2, *batch, steps, STATES))
    params = {"A_log": rng.standard_normal((CHANNELS, STATES)), "D": rng.standard_normal(CHANNELS)}
    return params, (u, np.abs(step), B, C), delta


@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_it_is_a_loop_over_time_and_gradients_are_summed_over_time_and_batch(shape, seed):
    assert_agrees(by_hand_with(selective_scan(STATES)), BY_AUTODIFF, *point(*shape, seed))


def test_it_is_its_recursion_in_exact_numbers():
    def exactly(params, x):
        h, read = np.zeros((CHANNELS, STATES)), []
        for x_t, step, B, C in zip(*x, strict=True):
            h = exp(step[:, None] * -exp(params["A_log"])) * h + (step * x_t)[:, None] * B[None]
            read.append(h @ C + params["D"] * x_t)
        return np.stack(read)

    assert_is_exactly(selective_scan(STATES), exactly, *point((), 3, 0))


def test_it_is_attention_with_decay():
    """y_t = Σ_{k ≤ t} C_t · exp(A (Δ_{k+1} + … + Δ_t)) B_k Δ_k x_k + D x_t, without any recursion."""

    def summed(params, x):
        u, step, B, C = x
        total = jnp.cumsum(step, axis=0)
        apart = total[:, None] - total[None]  # t, k, d
        decay = jnp.exp(-jnp.einsum("tkd,dn->tkdn", apart, jnp.exp(params["A_log"])))
        seen = jnp.tri(len(total), dtype=total.dtype)
        read = jnp.einsum("tk,tn,tkdn,kn,kd->td", seen, C, decay, B, step * u)
        return read + jnp.einsum("d,td->td", params["D"], u)

    assert_agrees(by_hand_with(selective_scan(STATES)), by_autodiff_with(summed), *point((), 5, 0))


def test_a_step_sees_no_later_one():
    assert_last_step_does_not_move_the_first_ones(selective_scan(STATES), *point((2,), 4, 0))


def test_states_are_float32_where_the_input_is_not():
    assert_in_wide_states(selective_scan(STATES), *jax.tree.map(jnp.float32, point((2,), 4, 0)[:2]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_rate_that_overflows_forgets_at_once_and_has_a_gradient(dtype):
    params, x, delta = jax.tree.map(lambda v: jnp.asarray(np.float32(v), dtype), point((2,), 4, 0))
    params["A_log"] = jnp.full_like(params["A_log"], 3e4)
    x = x[0], x[1].at[..., 0, :].set(0), *x[2:]  # 0 ⋅ ∞ would be no number
    y, (grads, delta_x) = jax.jit(by_hand_with(selective_scan(STATES)))(params, x, delta)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((y, grads, delta_x)))
    assert not grads["A_log"].any()


MUTANTS = {
    "the state after the step": ("w = lam * h_before * decay", "w = lam * _after(h_before, at, A) * decay"),
    "the decay forgotten in its slope": ("w = lam * h_before * decay", "w = lam * h_before"),
    "the step forgotten in ∂A": ('grad_A + _of_channels(at["delta"]) * w)', "grad_A + w)"),
    "A for A_log": ("_over_leading(A * grad_A, 2)", "_over_leading(grad_A, 2)"),
    "no way through the input in ∂Δ": ('at["x"] * e + (w * A)', "(w * A)"),
    "no way through the decay in ∂Δ": ('at["x"] * e + (w * A).sum(axis=-1)', 'at["x"] * e'),
    "D forgotten": ("skip * delta_y + at", "at"),
    "the state before the step for C": ("* _after(h_before, at, A)).sum", "* h_before).sum"),
    "not multiplied by the decay on the way back": ("return (decay * lam, grad_A", "return (lam, grad_A"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    assert_caught(selective_scan(STATES), *MUTANTS[name], BY_AUTODIFF, point((2,), 4, 0))


def test_it_keeps_its_inputs_alone():
    params, x, _ = jax.tree.map(jnp.float32, point((2,), 4, 0))
    assert selective_scan(STATES).forward(params, x)[1] is x


def test_it_starts_from_the_rates_one_to_n():
    channels, states = (jax.ShapeDtypeStruct((7, n), "float32") for n in (5, 4))
    params, y = selective_scan(4).init(jax.random.key(0), (channels, channels, states, states))
    assert jnp.array_equal(params["A_log"], jnp.broadcast_to(jnp.log(jnp.arange(1, 5.0)), (5, 4)))
    assert params["D"].tolist() == [1] * 5
    assert (y.shape, y.dtype) == ((7, 5), jnp.float32)


def changed(place, leaf):
    return lambda params, x: (params, (*x[:place], leaf, *x[place + 1 :]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda params, x: (params, x[0]),
            r"x must be a tuple \(x, delta, B, C\), but found x of type ndarray",
        ),
        (lambda params, x: (params, x[:3]), "but found 3 leaves"),
        (changed(1, np.ones((4, 2))), r"delta must have shape \(4, 3\)"),
        (changed(2, np.ones((3, 2))), r"B must have shape \(4, 2\)"),
        (changed(3, np.ones((4, 5))), r"C must have shape \(4, 2\)"),
        (changed(0, np.ones(4)), r"x must be sequences of shape"),
        (changed(3, np.ones((4, 2), int)), "C must be floating"),
        (lambda params, x: ({**params, "D": np.ones(2)}, x), r"D must have shape \(3,\)"),
        (lambda params, x: ({**params, "A_log": np.ones((3, 4))}, x), r"A_log must have shape \(3, 2\)"),
        (lambda params, x: ({**params, "D": np.ones(3, int)}, x), "D must be floating"),
    ],
)
def test_what_does_not_fit_is_refused(change, text):
    params, x, _ = point((), 4, 0)
    with pytest.raises(UsageError, match=text):
        selective_scan(STATES).forward(*change(params, x))


def test_states_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="selective_scan: states must be a whole number of at least 1"):
        selective_scan(0)
    with pytest.raises(UsageError, match=r"B must have shape \(4, 5\)"):
        selective_scan(5).init(jax.random.key(0), point((), 4, 0)[1])


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("_over_leading(A * grad_A, 2)", "_over_leading(grad_A, 2)"),
        ('_over_leading(delta_y * inputs["x"], 1)', "_over_leading(delta_y, 1)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        step, row = array("3 2", low=0), array("3 1")
        return module.selective_scan(1)._replace(domain=(array("3 2"), step, row, row))

    assert_named(selective_scan(1), right, wrong, tmp_path, made, examples=60)
