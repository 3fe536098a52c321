"""S1.10 and S1.11: what the sweep costs in operations and in memory, measured."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from networks import hand, networks

WIDTH, BATCH = 128, 64


def shapes(rule, width=WIDTH):
    """Return (params, x) of a network as shapes alone."""
    x = jax.ShapeDtypeStruct((BATCH, width), "float32")
    return jax.eval_shape(lambda key: rule.init(key, x)[0], jax.random.key(0)), x


def compiled(f, *args):
    return jax.jit(f).lower(*args).compile()


def flops(f, *args):
    return compiled(f, *args).cost_analysis()["flops"]


def residual_elements(rule):
    params, x = shapes(rule)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(rule.forward, params, x)[1]))


def relus(depth):
    return bp.mlp((WIDTH,) * (depth + 1), rules.relu)


@pytest.mark.spec("S1.10")
@pytest.mark.parametrize("depth", [1, 4, 8])
def test_the_gradient_costs_three_products_a_layer_but_one(depth):
    net = relus(depth)
    params, x = shapes(net)
    forward = flops(lambda params, x: net.forward(params, x)[0], params, x)
    gradient = flops(bp.value_and_grad(net, losses.half_squared_error), params, x, x)
    # W a, Wᵀδ and δaᵀ at every layer, but no Wᵀδ below the first
    assert abs(gradient / forward / ((3 * depth - 1) / depth) - 1) < 0.01


def share_of_products(depth, width):
    """Return the part of the operations of a gradient that are those of its 3d − 1 products."""
    net = bp.mlp((width,) * (depth + 1), rules.relu)
    params, x = shapes(net, width)
    every = flops(bp.value_and_grad(net, losses.half_squared_error), params, x, x)
    return (3 * depth - 1) * 2 * BATCH * width**2 / every


@pytest.mark.spec("S1.10")
@pytest.mark.parametrize("depth", [1, 4])
def test_the_products_dominate_the_more_the_wider_the_layers(depth):
    shares = [share_of_products(depth, width) for width in (16, 64, 256)]
    assert shares == sorted(shares)
    assert 0.97 < shares[-1] <= 1


@pytest.mark.spec("S1.10")
def test_the_affine_steps_add_and_multiply_and_do_nothing_else():
    layer = rules.affine(3)
    x = np.ones((5, 4), np.float32)
    params = layer.init(jax.random.key(0), x)[0]
    kept = layer.forward(params, x)[1]
    steps = [
        jax.make_jaxpr(lambda params, x: layer.forward(params, x)[0])(params, x),
        jax.make_jaxpr(layer.backward)(params, kept, np.ones((5, 3), np.float32)),
    ]
    moves = {"broadcast_in_dim", "reshape", "transpose", "squeeze"}
    for step in steps:
        used = {eqn.primitive.name for eqn in step.jaxpr.eqns} - moves
        assert used
        assert used <= {"add", "mul", "dot_general", "reduce_sum"}


@pytest.mark.spec("S1.11")
def test_what_is_stored_grows_by_the_same_amount_with_every_layer():
    stored = [residual_elements(relus(depth)) for depth in (2, 3, 4, 8, 16)]
    a_layer = stored[1] - stored[0]
    assert a_layer >= BATCH * WIDTH
    assert np.diff(stored).tolist() == [a_layer * more for more in (1, 1, 4, 8)]


@pytest.mark.spec("S1.11")
@pytest.mark.parametrize("depth", [2, 8])
def test_recomputing_stores_the_input_alone_at_any_depth(depth):
    assert residual_elements(bp.remat(relus(depth))) == BATCH * WIDTH < residual_elements(relus(depth))


@pytest.mark.spec("S1.11")
@given(networks())
def test_recomputing_leaves_the_gradient_unchanged(net):
    assert_agrees(hand(bp.remat(net.rule)), hand(net.rule), net.params, net.x, net.delta)


@pytest.mark.spec("S1.11")
def test_recomputing_segments_lowers_memory_and_raises_operations():
    layer = bp.chain(rules.affine(32), rules.relu)
    plain, segmented = bp.repeat(bp.repeat(layer, 4), 4), bp.repeat(bp.remat(bp.repeat(layer, 4)), 4)

    def program(rule):
        params, x = shapes(rule, width=32)
        return compiled(bp.value_and_grad(rule, losses.half_squared_error), params, x, x)

    stored, recomputed = program(plain), program(segmented)
    temporary = [p.memory_analysis().temp_size_in_bytes for p in (recomputed, stored)]
    assert temporary[0] < temporary[1]
    assert recomputed.cost_analysis()["flops"] > stored.cost_analysis()["flops"]
