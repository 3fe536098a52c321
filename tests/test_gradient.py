"""A rule or a loss as a function of JAX, `as_custom_vjp`; `value_and_grad` is in `test_compose.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from backproof.catalogue import NETWORKS

DELTA = jnp.array([[1.0, -2.0], [0.5, 3.0]])


@pytest.mark.parametrize("rule", [rules.layer_norm, rules.softmax, NETWORKS[2]], ids=lambda rule: rule.name)
def test_autodiff_of_it_is_the_hand_written_backward_pass(rule):
    x = np.array([[0.5, -1.0, 2.0], [1.0, 3.0, -2.0]])
    params, _ = rule.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, "float32"))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def by_jax(params, x, delta):
        y, pullback = jax.vjp(bp.as_custom_vjp(rule), params, x)
        return y, pullback(delta)

    def by_hand(params, x, delta):
        y, kept = rule.forward(params, x)
        return y, rule.backward(params, kept, delta)

    delta = np.random.default_rng(0).standard_normal((2, 2 if rule in NETWORKS else 3))
    assert_agrees(by_jax, by_hand, params, x, delta)


def test_a_loss_has_the_gradient_of_its_value_times_what_arrives():
    loss = losses.softmax_cross_entropy
    value = jax.jit(lambda z, t: 3 * bp.as_custom_vjp(loss)(z, t))
    got = jax.grad(value)(DELTA, jnp.array([0, 1]))
    assert got.tolist() == (3 * loss.backward(loss.forward(DELTA, jnp.array([0, 1]))[1])).tolist()


def test_it_runs_the_backward_pass_of_the_rule():
    wrong = rules.tanh._replace(backward=lambda params, kept, delta: ((), 7 * delta))
    assert jax.grad(lambda x: bp.as_custom_vjp(wrong)((), x))(1.0) == 7
    assert bp.as_custom_vjp(wrong).__name__ == "tanh"


def test_the_target_is_a_constant():
    gradient = jax.grad(bp.as_custom_vjp(losses.half_squared_error), argnums=1)(DELTA, 0 * DELTA)
    assert not gradient.any()


def test_what_is_no_rule_is_refused():
    with pytest.raises(bp.UsageError, match="as_custom_vjp: the argument must be a Rule"):
        bp.as_custom_vjp(jnp.sin)


KEYED = bp.chain(bp.carrying(rules.affine(2)), rules.dropout(0.5))


def test_keys_go_through_loops_and_have_no_gradient():
    rule, key = bp.repeat(KEYED, 3), jax.random.key(1)
    x = DELTA, key
    params, _ = rule.init(jax.random.key(0), jax.eval_shape(lambda: x))
    got = jax.grad(lambda p: bp.as_custom_vjp(rule)(p, x)[0].sum())(params)
    y, kept = rule.forward(params, x)
    wanted, _ = rule.backward(params, kept, (jnp.ones_like(y[0]), None))
    assert jax.tree.map(jnp.ravel, got)[0]["W"].tolist() == jax.tree.map(jnp.ravel, wanted)[0]["W"].tolist()


def test_a_list_may_stand_for_a_tuple():
    a = [DELTA, DELTA + 1]
    got = jax.grad(lambda x: bp.as_custom_vjp(rules.linear_recurrence)((), x).sum())(a)
    wanted = jax.grad(lambda x: bp.as_custom_vjp(rules.linear_recurrence)((), x).sum())(tuple(a))
    assert isinstance(got, list)
    assert [leaf.tolist() for leaf in got] == [leaf.tolist() for leaf in wanted]
