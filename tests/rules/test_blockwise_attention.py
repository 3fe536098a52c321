"""Attention in blocks against attention, and query by query; and the memory that the compiled passes take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws_of_attention import CASES, a_point, by_autodiff, by_hand, query_by_query

from agreement import assert_agrees
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import attention, attention_in_blocks, attention_with
from slips_in_files import assert_named


def padding_of(x):
    return x[3] if len(x) > 3 else None


@pytest.mark.parametrize("name", CASES)
def test_it_is_attention_query_by_query(name):
    options, (s, t) = CASES[name]
    params, x, delta = a_point(options, s, t)
    mine = by_hand(attention_in_blocks(2, **options), padding_of(x))
    assert_agrees(mine, by_autodiff(query_by_query(options, padding_of(x))), params, *x[:3], delta)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
@pytest.mark.parametrize("name", ["plain", "everything"])
def test_it_is_attention_whatever_the_size_of_a_block(name, size):
    options, (s, t) = CASES[name]
    params, x, delta = a_point(options, s, t, scale=3.0)
    mine = by_hand(attention_in_blocks(size, **options), padding_of(x))
    assert_agrees(mine, by_hand(attention_with(**options), padding_of(x)), params, *x[:3], delta)


@pytest.mark.parametrize(("batch", "sizes"), [((), (1, 1)), ((2, 1), (2, 3)), ((1,), (2, 0))])
def test_leading_axes_are_carried_through(batch, sizes):
    params, x, delta = a_point({}, *sizes, batch=batch)
    assert_agrees(by_hand(attention_in_blocks(2)), by_hand(attention), params, *x, delta)


@pytest.mark.parametrize(("batch", "sizes", "w"), [((0,), (2, 3), 2), ((2,), (0, 3), 2), ((), (2, 3), 0)])
def test_where_there_is_no_query_or_no_value_gradients_are_zero(batch, sizes, w):
    params, x, delta = jax.tree.map(jnp.float32, a_point({}, *sizes, batch=batch, w=w))
    y, _, gradients = by_hand(attention_in_blocks(2))(params, *x, delta)
    assert y.shape == delta.shape
    assert [one.shape for one in gradients] == [one.shape for one in x]
    assert not any(one.any() for one in gradients)


def test_scores_that_grow_from_block_to_block_do_not_overflow():
    q, v = jnp.ones((1, 1, 1)), jnp.arange(6.0).reshape(1, 6, 1)
    for k in (jnp.linspace(-1e30, 1e30, 6), jnp.linspace(1e30, -1e30, 6)):
        o, kept = attention_in_blocks(2).forward((), (q, k.reshape(1, 6, 1), v))
        assert float(o[0, 0, 0]) == int(jnp.argmax(k))
        deltas = attention_in_blocks(2).backward((), kept, jnp.ones_like(o))[1]
        assert not deltas[0].any()
        assert deltas[2].ravel().tolist() == np.eye(6)[int(jnp.argmax(k))].tolist()


def online(order):
    """Return o by blocks of two keys, with one of the steps of the recursion chosen by its name."""

    def forward(params, q, k, v):
        t, o, total = k.shape[-2], 0.0, 0.0
        top = jnp.full((*q.shape[:-1], 1), -jnp.inf, q.dtype)
        for first in range(0, t, 2):
            s = q @ jnp.swapaxes(k[:, first : first + 2], -1, -2) / np.sqrt(q.shape[-1])
            new = jnp.maximum(top, s.max(-1, keepdims=True))
            e, old = jnp.exp(s - new), jnp.exp(top - new)
            total = (1 if order == "the denominator not rescaled" else old) * total + e.sum(-1, keepdims=True)
            o = (1 if order == "the sum not rescaled" else old) * o + e @ v[:, first : first + 2]
            top = new
        return o / total

    return forward


@pytest.mark.parametrize("slip", ["the denominator not rescaled", "the sum not rescaled"])
def test_a_sum_that_is_not_rescaled_is_caught(slip):
    params, x, delta = a_point({}, 3, 5, scale=2.0)
    mine = by_hand(attention_in_blocks(2))
    assert_agrees(mine, by_autodiff(online("")), params, *x, delta)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(mine, by_autodiff(online(slip)), params, *x, delta)


def test_keys_that_fill_up_the_last_block_do_not_count():
    right = attention_in_blocks(2)
    params, (q, k, v), _ = a_point({}, 3, 3)
    filled = [np.concatenate((one, np.zeros_like(one[:, :1])), axis=-2) for one in (k, v)]
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(
            lambda q, k, v: right.forward(params, (q, k, v))[0],
            lambda q, k, v: right.forward(params, (q, *filled))[0],
            q, k, v,
        )  # fmt: skip


def bytes_of(rule, n):
    """Return the bytes that compiled forward and backward passes take beside arguments and results."""
    x = tuple(jax.ShapeDtypeStruct((1, n, 8), "float32") for _ in range(3))
    kept = jax.eval_shape(lambda x: rule.forward((), x)[1], x)
    passes = (
        jax.jit(lambda x: rule.forward((), x)).lower(x),
        jax.jit(lambda kept, delta: rule.backward((), kept, delta)).lower(kept, x[0]),
    )
    return sum(one.compile().memory_analysis().temp_size_in_bytes for one in passes)


def test_memory_grows_with_the_keys_and_not_with_their_square():
    rule = attention_in_blocks(16)
    assert bytes_of(rule, 512) < 2 * 1.25 * bytes_of(rule, 256)
    assert bytes_of(attention, 512) > 3 * bytes_of(attention, 256)
    assert 4 * bytes_of(rule, 512) < bytes_of(attention, 512)


def test_it_keeps_o_in_float32_and_no_number_for_each_pair():
    x = tuple(jnp.ones((2, n, 4), jnp.bfloat16) for n in (50, 60, 60))
    y, kept = jax.eval_shape(lambda x: attention_in_blocks(16).forward((), x), x)
    assert (y.dtype, kept.o.dtype) == (jnp.bfloat16, jnp.float32)
    assert max(leaf.size for leaf in jax.tree.leaves(kept)) == 2 * 60 * 4


def test_the_same_choice_is_the_same_rule_and_is_in_its_name():
    assert attention_in_blocks(4, causal=True) is attention_in_blocks(4, causal=True)
    assert attention_in_blocks(4).name == "attention_in_blocks(4)"
    assert attention_in_blocks(4, causal=True).name == "attention_in_blocks(4, causal=True)"


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="attention_in_blocks: size must be a whole number of at least 1"):
        attention_in_blocks(0)
    with pytest.raises(UsageError, match="attention_in_blocks: window must be a whole number of at least 1"):
        attention_in_blocks(4, window=0)
    rule, x = attention_in_blocks(4), jnp.ones((2, 3, 4))
    for run in (rule.forward, rule.init):
        with pytest.raises(UsageError, match=r"attention_in_blocks\(4\): x must be a tuple of 3"):
            run((), (x, x))
    with pytest.raises(UsageError, match=r"attention_in_blocks\(4\): there are no parameters"):
        rule.forward({}, (x, x, x))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("D = (delta_o * o).sum(axis=-1, keepdims=True)", "D = (delta_o * o).mean(axis=-1, keepdims=True)"),
        ("lax.scan(step, jnp.zeros_like(q), in_blocks", "lax.scan(step, jnp.ones_like(q), in_blocks"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    one_size = array("2 2 3"), array("2 5 3"), array("2 5 2")
    made = lambda module: module.attention_in_blocks(4)._replace(domain=one_size)
    assert_named(attention_in_blocks(4), right, wrong, tmp_path, made, examples=40)
