"""Attention against itself query by query, `jax.nn.dot_product_attention`, and its Jacobian in mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from laws_of_attention import CASES, a_point, by_autodiff, by_hand, query_by_query

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import attention, attention_with
from slips_in_files import assert_named


def padding_of(x):
    return x[3] if len(x) > 3 else None


@pytest.mark.parametrize("name", CASES)
def test_it_is_attention_query_by_query(name):
    options, (s, t) = CASES[name]
    params, x, delta = a_point(options, s, t)
    mine = by_hand(attention_with(**options), padding_of(x))
    assert_agrees(mine, by_autodiff(query_by_query(options, padding_of(x))), params, *x[:3], delta)


@pytest.mark.parametrize("scale", [1e-3, 30.0])
@pytest.mark.parametrize(("batch", "sizes"), [((), (1, 1)), ((2, 1), (2, 3)), ((1,), (2, 0))])
def test_leading_axes_are_carried_through_at_any_scale(batch, sizes, scale):
    params, x, delta = a_point({}, *sizes, batch=batch, scale=scale)
    assert_agrees(by_hand(attention), by_autodiff(query_by_query({})), params, *x, delta)


@pytest.mark.parametrize(("batch", "sizes"), [((0,), (2, 3)), ((2,), (0, 3)), ((2,), (0, 0))])
def test_where_there_is_no_query_keys_have_a_gradient_of_zero(batch, sizes):
    params, x, delta = jax.tree.map(jnp.float32, a_point({}, *sizes, batch=batch))
    y, _, gradients = by_hand(attention)(params, *x, delta)
    assert y.shape == delta.shape
    assert [one.shape for one in gradients] == [one.shape for one in x]
    assert not any(one.any() for one in gradients)


OF_JAX = {
    "plain": ({}, {}),
    "causal": ({"causal": True}, {"is_causal": True}),
    "groups": ({"group": 3}, {}),
    "window": ({"window": 2}, {"local_window_size": (1, 1)}),
    "causal window": ({"causal": True, "window": 3}, {"local_window_size": (2, 0)}),
    "lengths": ({"padding": "lengths"}, {"key_value_seq_lengths": np.array([2, 1], "i4")}),
    "mask": (
        {"padding": "mask"},
        {"mask": np.array([[1, 0, 1, 0], [0, 0, 0, 1]], bool)[:, None, None]},
    ),
}


@pytest.mark.parametrize("name", OF_JAX)
def test_it_is_that_of_jax(name):
    options, given_to_jax = OF_JAX[name]
    params, x, delta = a_point(options, 4, 4, batch=(2,), d=3, w=3)
    padding = given_to_jax.get("key_value_seq_lengths")
    padding = given_to_jax["mask"][:, 0, 0] if "mask" in given_to_jax else padding

    def of_jax(params, *qkv):
        across = [jnp.swapaxes(one, 1, 2) for one in qkv]
        return jnp.swapaxes(jax.nn.dot_product_attention(*across, **given_to_jax), 1, 2)

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        mine = by_hand(attention_with(**options), padding)
        assert_agrees(mine, by_autodiff(of_jax), params, *x[:3], delta)


def exactly(q, k, v, delta):
    """Return o, δq, δk and δv of one query, from the Jacobian of each weight by each score, in mpmath."""
    n, root = len(k), mpmath.sqrt(len(q))
    logits = [mpmath.fsum(a * b for a, b in zip(q, row, strict=True)) / root for row in k]
    total = mpmath.fsum(map(mpmath.exp, logits))
    p = [mpmath.exp(one) / total for one in logits]
    o = [mpmath.fsum(p[j] * v[j][c] for j in range(n)) for c in range(len(delta))]
    slope = [[(p[j] * (1 - p[j]) if i == j else -p[i] * p[j]) for i in range(n)] for j in range(n)]
    by_p = [mpmath.fsum(d * a for d, a in zip(delta, row, strict=True)) for row in v]
    by_s = [mpmath.fsum(slope[j][i] * by_p[j] for j in range(n)) for i in range(n)]
    delta_q = [mpmath.fsum(by_s[j] * k[j][c] for j in range(n)) / root for c in range(len(q))]
    return (
        [o],
        [delta_q],
        [[one * c / root for c in q] for one in by_s],
        [[one * d for d in delta] for one in p],
    )


@pytest.mark.parametrize("size", [1e-3, 1.0, 20.0, 1e3])
def test_it_is_its_jacobian_written_out(size):
    _, (q, k, v), delta = a_point({}, 1, 4, batch=(), heads=1, scale=size)
    with mpmath.workdps(3000 if size > 100 else 60):
        rows = [[mpmath.mpf(one) for one in row] for row in k[0]]
        values = [[mpmath.mpf(one) for one in row] for row in v[0]]
        o, *gradients = exactly([*map(mpmath.mpf, q[0, 0])], rows, values, [*map(mpmath.mpf, delta[0, 0])])
    expected = [np.array(one, float)[None] for one in (o, *gradients)]
    assert_value(by_hand(attention), ((), q, k, v, delta), (expected[0], (), tuple(expected[1:])))


def steps(kept, delta):
    """Return P, δP and D of plain attention, from what it keeps."""
    (q, k, v), *_ = kept
    p = jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]), axis=-1)
    delta_p = delta @ jnp.swapaxes(v, -1, -2)
    return p, delta_p, (p * delta_p).sum(-1, keepdims=True)


MUTANTS = {
    "the path through the denominator left out": lambda p, dp, d: p * dp,
    "the weights forgotten": lambda p, dp, d: dp - d,
    "a mean for a sum": lambda p, dp, d: p * (dp - d / p.shape[-1]),
    "the sum over queries": lambda p, dp, d: p * (dp - (p * dp).sum(-2, keepdims=True)),
}


def with_slope(of_scores):
    """Return plain attention with another gradient by the scores."""

    def backward(params, kept, delta):
        (q, k, _), root = kept.x, np.sqrt(3)
        p, delta_p, d = steps(kept, delta)
        delta_s = of_scores(p, delta_p, d) / root
        return (), (delta_s @ k, jnp.swapaxes(delta_s, -1, -2) @ q, jnp.swapaxes(p, -1, -2) @ delta)

    return by_hand(attention._replace(backward=backward))


PARAMS, X, DELTA = a_point({}, 3, 4)


def test_the_steps_of_the_mutants_are_those_of_attention():
    right = with_slope(lambda p, dp, d: p * (dp - d))
    assert_agrees(right, by_autodiff(query_by_query({})), PARAMS, *X, DELTA)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(with_slope(MUTANTS[name]), by_autodiff(query_by_query({})), PARAMS, *X, DELTA)


def test_a_causal_mask_aligned_to_the_start_is_caught():
    params, x, delta = a_point({}, 2, 4)
    at_the_start = query_by_query({"padding": "mask"}, {(): [True, False, False, False]})
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(attention_with(causal=True)), by_autodiff(at_the_start), params, *x, delta)


def test_the_last_query_sees_every_key_and_a_query_before_the_first_key_none():
    rule = attention_with(causal=True, lse=True)
    q, k, v = jnp.zeros((1, 3, 2)), jnp.zeros((1, 2, 2)), jnp.array([[[2.0], [4.0]]])
    (o, lse), kept = rule.forward((), (q, k, v))
    assert o.tolist() == [[[0], [2], [3]]]
    assert lse.tolist() == [[-np.inf, 0, np.float32(np.log(2))]]
    deltas = rule.backward((), kept, (jnp.ones_like(o), jnp.ones_like(lse)))[1]
    assert all(jnp.isfinite(one).all() for one in deltas)
    assert deltas[0][0, 0].tolist() == [0, 0]
    assert deltas[2].tolist() == [[[1.5], [0.5]]]


def test_a_query_that_sees_only_its_sink_gives_zero_and_has_no_gradient():
    rule = attention_with(sink=True, padding="mask")
    x = (*(jnp.ones((1, 2, 2)) for _ in range(3)), jnp.zeros(2, bool))
    o, kept = rule.forward({"sink": jnp.ones(1)}, x)
    grads, deltas = rule.backward({"sink": jnp.ones(1)}, kept, jnp.ones_like(o))
    assert not o.any()
    assert grads["sink"].tolist() == [0]
    assert deltas[3] is None
    assert not any(one.any() for one in deltas[:3])


def test_it_keeps_two_numbers_a_query_beside_its_input():
    x = (
        jnp.ones((2, 3, 4), jnp.bfloat16),
        jnp.ones((2, 5, 4), jnp.bfloat16),
        jnp.ones((2, 5, 1), jnp.bfloat16),
    )
    y, kept = attention.forward((), x)
    assert all(mine is given for mine, given in zip(kept.x, x, strict=True))
    assert kept.top.shape == kept.total.shape == (2, 1, 3, 1)
    assert (y.dtype, kept.total.dtype) == (jnp.bfloat16, jnp.float32)


def test_a_thousand_keys_are_counted_in_bfloat16():
    x = tuple(jnp.ones((1, n, 1), jnp.bfloat16) for n in (1, 1000, 1000))
    y, kept = attention.forward((), x)
    assert y.tolist() == [[[1]]]
    delta_v = attention.backward((), kept, jnp.ones_like(y))[1][2]
    assert delta_v[0, 0, 0] == jnp.bfloat16(1e-3)


def test_it_has_the_shape_that_init_says_and_sinks_start_from_zero():
    for options in ({}, {"sink": True, "lse": True, "group": 2}):
        rule = attention_with(**options)
        _, x, _ = a_point(options, 3, 4)
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, "bfloat16"), x)
        params, y = rule.init(jax.random.key(0), like)
        assert not any(one.any() for one in jax.tree.leaves(params))
        made = jax.eval_shape(lambda params, x, rule=rule: rule.forward(params, x)[0], params, like)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), made) == jax.tree.map(
            lambda a: (a.shape, a.dtype), y
        )


def test_the_same_options_are_the_same_rule_and_are_in_its_name():
    assert attention_with(soft_cap=2, causal=True) is attention_with(soft_cap=2, causal=True)
    assert attention_with(soft_cap=2, causal=True).name == "attention_with(causal=True, soft_cap=2)"
    assert attention.name == "attention"


def test_inputs_that_do_not_fit_are_refused_in_forward_and_in_init():
    _, (q, k, v), _ = a_point({}, 3, 4)
    with pytest.raises(UsageError, match=r"attention: x must be a tuple of 3, but found 2 of them"):
        attention.forward((), (q, k))
    with pytest.raises(UsageError, match=r"attention: q must have shape \(2, 3, 3\)"):
        attention.init(jax.random.key(0), (q[:1], k, v))
    with pytest.raises(UsageError, match=r"attention: there are no parameters, so params must be \(\)"):
        attention.forward({"sink": np.ones(2)}, (q, k, v))


# A single size, since a verdict on a slip is wanted, and not all that can be said of it.
ONE_SIZE = array("2 2 3"), array("2 4 3"), array("2 4 1")


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("through_cap(p * (delta_p - D), s, options)", "through_cap(p * delta_p, s, options)"),
        (
            '"...hgst,...hgsd->...htd", delta_s, q)',
            '"...hgst,...hgsd->...htd", delta_s, q) / q.shape[-1] ** 0.5',
        ),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    made = lambda module: module.attention._replace(domain=ONE_SIZE)
    assert_named(attention, right, wrong, tmp_path, made, examples=40)
