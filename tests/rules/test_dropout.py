"""Dropout against a mask made in NumPy from the bits of its key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import backproof as bp
from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.rules import affine, dropout, tanh
from slips_in_files import assert_named

KEY = jax.random.PRNGKey(5)


def mask_of(key, shape, rate):
    """Return which entries stay, from the bits of the key as numbers from 0 to 1."""
    bits = np.asarray(jax.random.bits(jax.random.split(key)[0], shape, "uint32"))
    return np.float64(bits) / 2**32 >= rate


def by_hand(rule, key):
    def value_and_gradient(x, delta):
        (y, _), kept = rule.forward((), (x, key))
        return y, rule.backward((), kept, (delta, None))[1][0]

    return value_and_gradient


def by_mask(mask, rate):
    return lambda x, delta: tuple(jnp.where(mask, one / (1 - rate), 0) for one in (x, delta))


def drawn(shape, seed=0):
    return np.random.default_rng(seed).standard_normal((2, *shape))


@pytest.mark.parametrize("shape", [(3,), (), (4, 3), (0, 3)])
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9])
def test_value_and_gradient_are_those_of_the_mask_of_the_key(shape, rate):
    mask = mask_of(KEY, shape, rate)
    assert_agrees(by_hand(dropout(rate), KEY), by_mask(mask, rate), *drawn(shape))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_as_many_entries_are_dropped_as_the_rate_says_and_those_of_a_lower_rate_among_them(rate):
    ones = jnp.ones(20_000)
    dropped = np.asarray(dropout(rate).forward((), (ones, KEY))[0][0]) == 0
    assert stats.binomtest(int(dropped.sum()), dropped.size, rate).pvalue > 0.01
    assert stats.binomtest(int(dropped.sum()), dropped.size, rate + 0.05).pvalue < 0.01
    fewer = np.asarray(dropout(rate / 2).forward((), (ones, KEY))[0][0]) == 0
    assert (dropped | ~fewer).all()


def test_one_key_drops_the_same_entries_in_every_precision_and_a_typed_key_does_as_a_raw_one():
    found = []
    for dtype in ("float32", "bfloat16", "float16"):
        for key in (KEY, jax.random.key(5)):
            y, _ = jax.jit(dropout(0.5).forward)((), (jnp.ones(64, dtype), key))[0]
            assert y.dtype == dtype
            found.append((np.asarray(y, np.float32) == 0).tolist())
    with jax.enable_x64(True):
        found.append(
            (np.asarray(dropout(0.5).forward((), (jnp.ones(64, "float64"), KEY))[0][0]) == 0).tolist()
        )
    assert found == [found[0]] * len(found)


def test_the_next_key_drops_other_entries_and_the_key_alone_is_kept():
    (y, after), kept = dropout(0.5).forward((), (jnp.ones(64), KEY))
    assert kept is KEY
    assert after.tolist() == jax.random.split(KEY)[1].tolist()
    assert (dropout(0.5).forward((), (jnp.ones(64), after))[0][0] != y).any()


def test_without_dropping_it_is_the_identity():
    x = jnp.array([1.0, -3.0, jnp.inf])
    assert dropout(0.0).forward((), (x, KEY))[0][0].tolist() == x.tolist()


def test_an_infinite_entry_that_is_dropped_is_zero():
    y = dropout(0.75).forward((), (jnp.full(64, jnp.inf), KEY))[0][0]
    assert set(y.tolist()) == {0.0, float("inf")}


MASK = mask_of(KEY, (4, 3), 0.5)
OTHER = mask_of(jax.random.split(KEY)[1], (4, 3), 0.5)
MUTANTS = {
    "another mask": lambda delta: jnp.where(OTHER, delta / 0.5, 0),
    "the factor forgotten": lambda delta: jnp.where(MASK, delta, 0),
    "the mask forgotten": lambda delta: delta / 0.5,
    "the complement": lambda delta: jnp.where(MASK, 0, delta / 0.5),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    rule = dropout(0.5)
    mutant = rule._replace(backward=lambda _, key, delta: ((), (MUTANTS[name](delta[0]), None)))
    assert_agrees(by_hand(rule, KEY), by_mask(MASK, 0.5), *drawn((4, 3)))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(mutant, KEY), by_mask(MASK, 0.5), *drawn((4, 3)))


def test_several_compose_in_a_chain_in_which_other_rules_carry_the_key():
    net = bp.chain(bp.carrying(affine(4)), dropout(0.5), bp.carrying(tanh), dropout(0.25))
    params, y = net.init(jax.random.key(0), (jax.ShapeDtypeStruct((2, 3), "float32"), KEY))
    assert y[0].shape == (2, 4)
    wide = jax.tree.map(np.float64, params)
    x = np.random.default_rng(1).standard_normal((2, 3))
    delta = np.random.default_rng(2).standard_normal((2, 4))

    masks = mask_of(KEY, (2, 4), 0.5), mask_of(jax.random.split(KEY)[1], (2, 4), 0.25)

    def plain(params, x):
        layer = params[0]
        z = x @ layer["W"].T + jnp.broadcast_to(layer["b"], (2, 4))
        z = jnp.where(masks[0], z / 0.5, 0)
        return jnp.where(masks[1], jnp.tanh(z) / 0.75, 0)

    def hand(params, x, delta):
        (y, _), kept = net.forward(params, (x, KEY))
        grads, (delta_x, delta_key) = net.backward(params, kept, (delta, None))
        assert delta_key is None
        return y, (grads, delta_x)

    def by_autodiff(params, x, delta):
        y, pullback = jax.vjp(plain, params, x)
        return y, pullback(delta)

    assert_agrees(hand, by_autodiff, wide, x, delta)


def test_what_does_not_fit_is_refused():
    for rate in (-0.1, 1.0, float("nan"), "0.5"):
        with pytest.raises(UsageError, match="rate must be a finite number from 0 to below 1"):
            dropout(rate)
    x = jnp.ones(3)
    for wrong in (
        x,
        (x,),
        (x, x),
        (x, jnp.zeros((2, 2), jnp.uint32)),
        (x, jax.random.split(jax.random.key(0))),
    ):
        with pytest.raises(UsageError, match=r"the input must be \(values, key\)"):
            dropout(0.5).forward((), wrong)
    with pytest.raises(UsageError, match="the input must be floating"):
        dropout(0.5).init(KEY, (x.astype(int), KEY))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(through_mask(delta_y[0], key), None)", "(through_mask(delta_y[0], _two_keys(key)[1]), None)"),
        ("(through_mask(delta_y[0], key), None)", "(through_mask(delta_y[0], key) * (1 - rate), None)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(dropout(0.25), right, wrong, tmp_path, made=lambda module: module.dropout(0.25))
