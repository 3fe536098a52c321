"""Self-attention against the same written out head by head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import self_attention
from slips_in_files import assert_named

CHOICES = {
    "plain": {},
    "shared": {"kv_heads": 1},
    "half shared": {"kv_heads": 2},
    "all keys": {"causal": False},
    "no positions": {"rope": False, "kv_heads": 1},
    "in blocks": {"block": 2, "kv_heads": 2},
}
HEADS, N, S = 4, 16, 3


def a_point(options, batch=(2,), heads=HEADS, n=N, s=S, seed=0):
    """Return (params, x, cotangent) in float64."""
    rng = np.random.default_rng(seed)
    narrow = n // heads * options.get("kv_heads", heads)
    sizes = {"W_q": (n, n), "W_k": (narrow, n), "W_v": (narrow, n), "W_o": (n, n)}
    params = {name: rng.standard_normal(shape) / 2 for name, shape in sizes.items()}
    return params, rng.standard_normal((*batch, s, n)), rng.standard_normal((*batch, s, n))


def turned(rows):
    """Return one head, each position with the matrix that turns its pairs."""
    s, d = rows.shape
    turns = np.zeros((s, d, d))
    for m, i in np.ndindex(s, d // 2):
        angle = m * 10000.0 ** (-2 * i / d)
        turns[m, i, i] = turns[m, i + d // 2, i + d // 2] = np.cos(angle)
        turns[m, i + d // 2, i] = np.sin(angle)
        turns[m, i, i + d // 2] = -np.sin(angle)
    return jnp.einsum("sij,sj->si", jnp.asarray(turns, rows.dtype), rows)


def head_by_head(options, heads=HEADS):
    """Return f(params, x), head by head and sample by sample."""
    kv_heads = options.get("kv_heads", heads)

    def one(params, x):
        s, d, found = x.shape[0], x.shape[1] // heads, []
        for h in range(heads):
            shared = h // (heads // kv_heads)
            q = x @ params["W_q"][h * d : (h + 1) * d].T
            k, v = (x @ params[name][shared * d : (shared + 1) * d].T for name in ("W_k", "W_v"))
            q, k = (turned(q), turned(k)) if options.get("rope", True) else (q, k)
            rows = []
            for i in range(s):
                last = i + 1 if options.get("causal", True) else s
                rows.append(jax.nn.softmax(k[:last] @ q[i] / np.sqrt(d)) @ v[:last])
            found.append(jnp.stack(rows))
        return jnp.concatenate(found, axis=-1) @ params["W_o"].T

    def f(params, x):
        flat = [one(params, sample) for sample in x.reshape(-1, *x.shape[-2:])]
        return jnp.stack(flat).reshape(x.shape)

    return f


@pytest.mark.parametrize("name", CHOICES)
def test_it_is_attention_head_by_head(name):
    options = CHOICES[name]
    reference = by_autodiff_with(head_by_head(options))
    assert_agrees(by_hand_with(self_attention(HEADS, **options)), reference, *a_point(options))


@pytest.mark.parametrize(("batch", "heads", "n", "s"), [((), 1, 2, 1), ((2, 1), 1, 4, 2), ((1,), 2, 4, 5)])
def test_leading_axes_are_carried_through_and_gradients_of_weights_are_summed_over_them(batch, heads, n, s):
    reference = by_autodiff_with(head_by_head({}, heads))
    assert_agrees(by_hand_with(self_attention(heads)), reference, *a_point({}, batch, heads, n, s))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_where_there_is_nothing_weights_have_a_gradient_of_zero(shape):
    rule, x = self_attention(2), jnp.zeros(shape)
    params, _ = rule.init(jax.random.key(0), x)
    y, (grads, delta_x) = by_hand_with(rule)(params, x, x)
    assert y.shape == delta_x.shape == shape
    assert jax.tree.map(jnp.shape, grads) == jax.tree.map(jnp.shape, params)
    assert not any(one.any() for one in jax.tree.leaves(grads))


def paths(rule, params, kept, delta):
    """Return the gradient by x on each of the three paths."""
    none = {name: jnp.zeros_like(W) for name, W in params.items()}
    only = [{**none, "W_o": params["W_o"], name: params[name]} for name in ("W_q", "W_k", "W_v")]
    return [rule.backward(one, kept, delta)[1] for one in only]


@pytest.mark.parametrize("missing", range(3))
def test_a_path_that_is_left_out_is_caught(missing):
    rule = self_attention(HEADS)
    reference = by_autodiff_with(head_by_head({}))

    def without(left_out):
        def backward(params, kept, delta):
            every = paths(rule, params, kept, delta)
            return rule.backward(params, kept, delta)[0], sum(every[:left_out] + every[left_out + 1 :])

        return by_hand_with(rule._replace(backward=backward))

    assert_agrees(without(3), reference, *a_point({}))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(without(missing), reference, *a_point({}))


def test_heads_that_are_shared_in_another_order_are_caught():
    rule, point = self_attention(HEADS, kv_heads=2), a_point({"kv_heads": 2})

    def interleaved(params, x):
        order = np.arange(N).reshape(HEADS, -1)[[0, 2, 1, 3]].ravel()
        return head_by_head({"kv_heads": 2})({**params, "W_q": params["W_q"][order]}, x)

    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(rule), by_autodiff_with(interleaved), *point)


def test_no_number_for_each_pair_of_positions_is_kept():
    rule, x = self_attention(2), jax.ShapeDtypeStruct((1, 50, 4), "bfloat16")
    params, y = rule.init(jax.random.key(0), x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    kept = jax.eval_shape(rule.forward, params, x)[1]
    assert max(leaf.size for leaf in jax.tree.leaves(kept)) == 50 * 4
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("bfloat16")}


def test_weights_start_with_variance_one_over_n():
    params, _ = self_attention(4, kv_heads=2).init(
        jax.random.key(0), jax.ShapeDtypeStruct((3, 64), "float32")
    )
    assert {name: W.shape for name, W in params.items()} == {
        "W_q": (64, 64),
        "W_k": (32, 64),
        "W_v": (32, 64),
        "W_o": (64, 64),
    }
    for W in params.values():
        chi_squared = float((W**2).sum()) * 64  # of mean N and variance 2 N
        assert abs(chi_squared - W.size) < 5 * (2 * W.size) ** 0.5
    assert len({float(W[0, 0]) for W in params.values()}) == 4


def test_the_same_choice_is_the_same_rule_and_is_in_its_name():
    assert self_attention(2, kv_heads=1) is self_attention(2, kv_heads=1)
    assert self_attention(2, kv_heads=2).name == "self_attention(2)"
    assert self_attention(2, kv_heads=1, rope=False).name == "self_attention(2, kv_heads=1, rope=False)"
    assert self_attention(2, block=16).name == "self_attention(2, block=16)"


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ((0,), "self_attention: heads must be a whole number of at least 1"),
        ((4, 4, True, True, 0), "attention_in_blocks: size must be a whole number of at least 1"),
        ((4, 0), "self_attention: kv_heads must be a whole number of at least 1"),
        ((4, 3), "self_attention: heads must be a multiple of kv_heads, but found heads=4, kv_heads=3"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(choice, text):
    with pytest.raises(UsageError, match=text):
        self_attention(*choice)


@pytest.mark.parametrize("shape", [(3, 6), (4,), ()])
def test_rows_that_cannot_be_divided_are_refused(shape):
    for run in (self_attention(2).forward, self_attention(2).init):
        with pytest.raises(UsageError, match=r"x must be an array \(\*batch, s, n\) with n a multiple of 4"):
            run((), jnp.ones(shape))


def test_weights_that_do_not_fit_are_refused():
    rule, x = self_attention(2, kv_heads=1), jnp.ones((3, 4))
    params, _ = rule.init(jax.random.key(0), x)
    with pytest.raises(
        UsageError, match="the parameters must be a dict of W_k, W_o, W_q, W_v, but found tuple"
    ):
        rule.forward((), x)
    with pytest.raises(UsageError, match=r"W_k must have shape \(2, 4\)"):
        rule.forward({**params, "W_k": params["W_q"]}, x)
    with pytest.raises(UsageError, match="W_o must be floating"):
        rule.forward({**params, "W_o": jnp.ones((4, 4), "i4")}, x)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("affine_grads(kept.x, delta_k,", "affine_grads(kept.x, delta_v,"),
        ("affine_grads(kept.o, delta_y,", "affine_grads(kept.x, delta_y,"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    choice = {"causal": False, "rope": False}
    made = lambda module: module.self_attention(2, **choice)._replace(domain=array("3 4"))
    assert_named(self_attention(2, **choice), right, wrong, tmp_path, made, examples=40)
