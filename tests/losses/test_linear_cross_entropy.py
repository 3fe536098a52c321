"""The cross entropy of x Wᵀ in chunks against the one of whole logits: values, gradients and memory."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import by_hand

import backproof as bp
from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.losses import linear_cross_entropy_with, mean, token_cross_entropy_with
from slips_in_files import assert_named

N, K = 3, 4
CHOICES = (
    {"chunk": 2},
    {"chunk": 2, "ignored": -100},
    {"chunk": 3, "ignored": 0, "smoothing": 0.1, "z_loss": 0.01},
)
IN_ONE = linear_cross_entropy_with(chunk=64)
IN_PAIRS = linear_cross_entropy_with(chunk=2, ignored=-100)


def whole(ignored=None, smoothing=0.0, z_loss=0.0, chunk=0):
    """Return the value with both gradients by autodiff of whole logits, from parts of optax."""

    def value(prediction, labels):
        x, W = prediction
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            z = jnp.einsum("...n,kn->...k", x, W)
            q = optax.smooth_labels(jax.nn.one_hot(labels, z.shape[-1]), smoothing)
            J = optax.losses.softmax_cross_entropy(z, q) + z_loss * jax.nn.logsumexp(z, axis=-1) ** 2
            return (J if ignored is None else jnp.where(labels == ignored, 0, J)).sum()

    return jax.value_and_grad(value)


def drawn(batch, seed, ignored=None, scale=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(K, size=batch)
    if ignored is not None:
        labels = np.where(rng.random(batch) < 1 / 3, ignored, labels)
    return (scale * rng.standard_normal((*batch, N)), rng.standard_normal((K, N))), labels


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@given(
    st.sampled_from(((), (1,), (2,), (5,), (2, 3), (0,))),
    st.sampled_from((1e-3, 1, 40)),
    st.integers(0, 2**32 - 1),
)
def test_it_is_that_of_whole_logits_whatever_is_left_over_by_the_chunks(choice, batch, scale, seed):
    point = drawn(batch, seed, choice.get("ignored"), scale)
    assert_agrees(by_hand(linear_cross_entropy_with(**choice)), whole(**choice), *point)


def test_it_is_that_of_a_double_loop():
    (x, W), labels = drawn((5,), 0, ignored=-100)

    def by_loops(x, W):
        value, delta_x, delta_W = 0.0, 0 * x, 0 * W
        for i in range(5):
            if labels[i] != -100:
                z = [sum(W[k, j] * x[i, j] for j in range(N)) for k in range(K)]
                s = jnp.log(sum(jnp.exp(one) for one in z))
                value = value + s - z[labels[i]]
                for k in range(K):
                    d = jnp.exp(z[k] - s) - float(k == labels[i])
                    for j in range(N):
                        delta_x = delta_x.at[i, j].add(d * W[k, j])
                        delta_W = delta_W.at[k, j].add(d * x[i, j])
        return value, (delta_x, delta_W)

    assert_agrees(lambda x, W: by_hand(IN_PAIRS)((x, W), labels), by_loops, x, W)


def test_its_mean_is_over_the_tokens_that_count():
    point = drawn((2, 3), 1, ignored=-100)
    counts = int((point[1] != -100).sum())
    assert 0 < counts < 6
    assert_agrees(by_hand(mean(IN_PAIRS)), divided(whole(-100), counts), *point)
    assert_agrees(by_hand(mean(linear_cross_entropy_with(4))), divided(whole(), 6), *drawn((2, 3), 1))


def divided(f, count):
    return lambda *args: jax.tree.map(lambda leaf: leaf / count, f(*args))


@pytest.mark.parametrize("choice", [{"chunk": 32}, {"chunk": 48, "ignored": -100}], ids=str)
def test_a_step_never_holds_the_logits_of_all_tokens(choice):
    tokens, classes, n = 512, 1024, 16
    network = bp.rules.linear_head(classes)
    x, labels = jnp.ones((tokens, n)), jnp.zeros(tokens, jnp.int32)
    params, _ = network.init(jax.random.key(0), jax.eval_shape(lambda: x))

    def held(chunk):
        step = bp.value_and_grad(network, linear_cross_entropy_with(**{**choice, "chunk": chunk}))
        return jax.jit(step).lower(params, x, labels).compile().memory_analysis().temp_size_in_bytes

    logits = tokens * classes * x.dtype.itemsize
    assert held(choice["chunk"]) < logits / 2
    assert held(tokens) >= logits


def test_gradients_of_bfloat16_are_summed_over_the_tokens_in_float32():
    x, W = jnp.ones((1000, 1), jnp.bfloat16), jnp.zeros((2, 1), jnp.bfloat16)
    value, (delta_x, delta_W) = by_hand(linear_cross_entropy_with(chunk=10))(
        (x, W), jnp.zeros(1000, jnp.int32)
    )
    assert value.dtype == delta_x.dtype == delta_W.dtype == jnp.bfloat16
    assert delta_W.tolist() == [[-500], [500]]  # a sum in bfloat16 stays at 128


MUTANTS = {
    "the last chunk alone": lambda x, W, d: (d @ W, d[-1:].T @ x[-1:]),
    "the label forgotten": lambda x, W, d: ((d + jnp.eye(K)[:5]) @ W, d.T @ x),
    "x and z exchanged": lambda x, W, d: (d @ W, (x.T @ d).reshape(K, N)),
    "the second half left out": lambda x, W, d: (d.at[2:].set(0) @ W, d.T @ x),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    (x, W), labels = drawn((4,), 3)

    def backward(kept):
        x, W, labels, _ = kept
        of_tokens = token_cross_entropy_with()
        delta = of_tokens.backward(of_tokens.forward(x @ W.T, labels)[1])
        return MUTANTS[name](x, W, delta)

    assert_agrees(by_hand(IN_PAIRS), whole(), (x, W), labels)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(IN_PAIRS._replace(backward=backward)), whole(), (x, W), labels)


def test_the_same_choice_is_the_same_loss():
    assert linear_cross_entropy_with(2, -100) is IN_PAIRS
    assert IN_PAIRS.name == "linear_cross_entropy_with(chunk=2, ignored=-100)"
    assert linear_cross_entropy_with().name == "linear_cross_entropy_with(chunk=512)"


@pytest.mark.parametrize(
    ("prediction", "labels", "text"),
    [
        ((np.ones((2, 3), "f4"), np.ones((4, 2), "f4")), np.ones(2, "i4"), r"W must have shape \(4, 3\)"),
        ((np.ones((2, 3), "f4"), np.ones((4, 3), "i4")), np.ones(2, "i4"), "W must be floating"),
        ((np.ones((2, 3), "i4"), np.ones((4, 3), "f4")), np.ones(2, "i4"), "the input must be floating"),
        ((np.ones((2, 3), "f4"), np.ones((4, 3), "f4")), np.ones(2, "f4"), "must be integer labels"),
        ((np.ones((2, 3), "f4"), np.ones((4, 3), "f4")), np.ones(3, "i4"), r"target must have shape \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused_at_trace_time(prediction, labels, text):
    with pytest.raises(UsageError, match=rf"^linear_cross_entropy_with\(chunk=2, ignored=-100\): .*{text}"):
        jax.eval_shape(IN_PAIRS.forward, prediction, labels)


def test_a_choice_out_of_range_is_refused():
    with pytest.raises(UsageError, match=r"^linear_cross_entropy_with: chunk must be a whole number"):
        linear_cross_entropy_with(chunk=0)
    with pytest.raises(UsageError, match=r"^linear_cross_entropy_with: smoothing must be"):
        linear_cross_entropy_with(smoothing=2)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return grad_W + delta_z.T @", "return grad_W + -delta_z.T @"),
        ("grad_W.astype(W.dtype)", "grad_W.astype(W.dtype) / max(target.size, 1)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(
        IN_ONE, right, wrong, tmp_path, lambda module: module.linear_cross_entropy_with(64), examples=40
    )
