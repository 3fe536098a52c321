"""Group norm against a loop over samples and groups, each a row of `jax.nn.standardize`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.rules import group_norm, layer_norm
from slips_in_files import assert_named

EPSILON = 1e-5


def looped(groups, positions):
    """Return the group norm, sample by sample and group by group."""

    def reference(params, x):
        inside = x.shape[x.ndim - 1 - positions : -1]
        width = x.shape[-1] // groups

        def of_sample(sample):
            parts = [
                jax.nn.standardize(sample[..., k * width : (k + 1) * width], axis=None, epsilon=EPSILON)
                for k in range(groups)
            ]
            hat = jnp.concatenate(parts, axis=-1)
            gain, shift = (jnp.broadcast_to(params[leaf], hat.shape) for leaf in ("gain", "shift"))
            return gain * hat + shift

        samples = x.reshape(-1, *inside, x.shape[-1]) if 0 not in x.shape else x
        made = [of_sample(one) for one in samples]
        return jnp.stack(made).reshape(x.shape) if made else x + 0 * params["gain"].sum()

    return reference


@st.composite
def points(draw):
    """Draw (rule, reference, (params, x, cotangent)): groups of one channel, of several, and one group."""
    positions = draw(st.sampled_from((1, 2, 0)))
    inside = {0: (), 1: (3,), 2: (3, 2)}[positions]
    groups, n = draw(st.sampled_from(((2, 4), (3, 3), (1, 2))))
    batch = draw(st.sampled_from(((), (2,), (0,))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = {"gain": rng.standard_normal(n), "shift": rng.standard_normal(n)}
    x, delta = rng.standard_normal((2, *batch, *inside, n))
    return group_norm(groups, positions), looped(groups, positions), (params, x, delta)


@given(points())
def test_it_is_that_of_jax_group_by_group_and_gradients_are_summed_over_batch_and_positions(point):
    rule, reference, args = point
    assert_agrees(by_hand_with(rule), by_autodiff_with(reference), *args)


def drawn(n=4, batch=(2,)):
    rng = np.random.default_rng(0)
    params = {"gain": rng.standard_normal(n), "shift": rng.standard_normal(n)}
    return params, rng.standard_normal((*batch, 3, n)), rng.standard_normal((*batch, 3, n))


def test_one_group_of_one_position_is_a_layer_norm():
    rng = np.random.default_rng(1)
    params = {"gain": rng.standard_normal(4), "shift": rng.standard_normal(4)}
    point = params, rng.standard_normal((2, 4)), rng.standard_normal((2, 4))
    assert_agrees(by_hand_with(group_norm(1, 0)), by_hand_with(layer_norm), *point)


def test_the_order_of_positions_does_not_matter_and_that_of_channels_across_groups_does():
    params, x, delta = drawn()
    hand = by_hand_with(group_norm(2, 1))
    turned = lambda params, x, delta: jax.tree.map(
        lambda leaf: leaf[:, ::-1] if leaf.ndim == 3 else leaf, hand(params, x[:, ::-1], delta[:, ::-1])
    )
    assert_agrees(hand, turned, params, x, delta)
    rolled = lambda params, x, delta: hand(params, jnp.roll(x, 1, -1), jnp.roll(delta, 1, -1))[0]
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(lambda *point: jnp.roll(hand(*point)[0], 1, -1), rolled, params, x, delta)


def over(axes, x):
    return x.mean(axis=axes, keepdims=True)


MUTANTS = {
    "means without the positions": lambda hat, d: d - over(-1, d) - hat * over(-1, d * hat),
    "means without the channels": lambda hat, d: d - over(-3, d) - hat * over(-3, d * hat),
    "means over all groups": lambda hat, d: d - over((-3, -2, -1), d) - hat * over((-3, -2, -1), d * hat),
    "the path through the deviation left out": lambda hat, d: d - over((-3, -1), d),
    "the path through the mean left out": lambda hat, d: d - hat * over((-3, -1), d * hat),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    rule = group_norm(2, 1)

    def backward(params, kept, delta):
        x, m, scale = kept
        grads, _ = rule.backward(params, kept, delta)
        shape = (*x.shape[:-1], 2, 2)
        hat = (x.reshape(shape) - m) * scale
        delta_hat = (jnp.broadcast_to(params["gain"], delta.shape) * delta).reshape(shape)
        return grads, (MUTANTS[name](hat, delta_hat) * scale).reshape(x.shape)

    reference = by_autodiff_with(looped(2, 1))
    assert_agrees(by_hand_with(rule), reference, *drawn())
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(rule._replace(backward=backward)), reference, *drawn())


def test_it_keeps_two_numbers_a_group_beside_its_input():
    params, x = {"gain": jnp.ones(4), "shift": jnp.zeros(4)}, jnp.ones((5, 3, 4), jnp.bfloat16)
    y, (kept, m, scale) = jax.jit(group_norm(2, 1).forward)(params, x)
    assert (kept.shape, m.size, scale.size, y.dtype) == (x.shape, 10, 10, jnp.bfloat16)


def test_numbers_whose_squares_overflow_float16_have_a_gradient():
    params = {"gain": jnp.ones(2, jnp.float16), "shift": jnp.zeros(2, jnp.float16)}
    y, kept = group_norm(1, 1).forward(params, jnp.array([[1000.0, -1000.0]], jnp.float16))
    assert y.tolist() == [[1, -1]]
    assert group_norm(1, 1).backward(params, kept, jnp.ones((1, 2), jnp.float16))[1].tolist() == [[0, 0]]


def test_the_same_choice_is_the_same_rule_and_the_name_says_it():
    assert group_norm(2, 1) is group_norm(2, 1)
    assert [group_norm(2, 1).name, group_norm(2, 0).name, group_norm(2, 1, 0.1).name] == [
        "group_norm(2)",
        "group_norm(2, positions=0)",
        "group_norm(2, epsilon=0.1)",
    ]


def test_what_does_not_fit_is_refused():
    params, x = {"gain": jnp.ones(4), "shift": jnp.zeros(4)}, jnp.ones((2, 3, 4))
    with pytest.raises(UsageError, match="groups must be a whole number of at least 1"):
        group_norm(0, 1)
    with pytest.raises(UsageError, match="positions must be a whole number of at least 0"):
        group_norm(2, -1)
    with pytest.raises(UsageError, match="epsilon must be a finite number"):
        group_norm(2, 1, float("inf"))
    with pytest.raises(
        UsageError, match=r"the channels must be divisible into 3 groups, but found 4 channels"
    ):
        group_norm(3, 1).forward(params, x)
    with pytest.raises(UsageError, match=r"the input must have 3 axes of positions before the channels"):
        group_norm(2, 3).init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    with pytest.raises(UsageError, match=r"gain must have shape \(4,\)"):
        group_norm(2, 1).forward({**params, "gain": jnp.ones(2)}, x)
    with pytest.raises(UsageError, match="the input must be floating"):
        group_norm(2, 1).forward(params, x.astype(int))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('grouped(along_rows(params["gain"], delta) * delta)', "grouped(delta)"),
        ("- hat * _mean(delta_hat * hat)) * scale", "- hat * _mean(delta_hat)) * scale"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(group_norm(2, 1), right, wrong, tmp_path, made=lambda module: module.group_norm(2, 1))
