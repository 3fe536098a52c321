"""The tables of deep stacks, on small ones."""

import jax
import jax.numpy as jnp
import numpy as np

import backproof as bp
from backproof.benchmark import compiled_deep, in_sweep, recomputed
from backproof.benchmark.autodiff import checkpointed, loss_by_autodiff, rule_by_autodiff


def memory(table):
    return {row.name: row.program.temporary_bytes for row in table.rows}


def test_the_table_of_a_training_step_has_both_ways_in_both_forms():
    table = in_sweep(0.0, depth=3, width=8, batch=4)
    assert table.title == "a training step at depth 3, width 8, batch 4, float32"
    assert [row.name for row in table.rows] == [
        "autodiff, optax.sgd, loop",
        "in-sweep update, loop",
        "autodiff, optax.sgd, unrolled",
        "in-sweep update, unrolled",
    ]
    assert table.rows[0].time.median == 1
    assert all(row.time.median > 0 for row in table.rows)


def test_recomputing_needs_less_memory_than_keeping():
    table = recomputed(0.0, depth=64, width=8, batch=32)
    held = memory(table)
    assert "in segments of 8" in table.title
    assert held["by hand, remat_repeat"] < held["by hand"]
    assert held["autodiff, jax.checkpoint"] < held["autodiff"]


def test_the_table_of_compilations_has_both_sides():
    table = compiled_deep(0.0, depths=(3,), width=4, batch=2)
    assert [row.name for row in table.rows] == [
        "autodiff, depth 3",
        "by hand, depth 3",
    ]
    assert all(len(row.program.compile_seconds) == 2 for row in table.rows)


def test_a_rule_by_autodiff_has_the_gradient_of_the_rule():
    rule, loss = bp.mlp([3, 4, 2], bp.rules.tanh), bp.losses.mean(bp.losses.softmax_cross_entropy)
    x, labels = jnp.array([[1.0, -2.0, 0.5], [0.3, 0.0, 1.0]]), jnp.array([0, 1])
    params, _ = rule.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    expected = jax.jit(jax.value_and_grad(lambda p: loss.forward(rule.forward(p, x)[0], labels)[0]))(params)
    for other in (rule, checkpointed(rule)):
        gradient = bp.value_and_grad(rule_by_autodiff(other), loss_by_autodiff(loss))
        found = jax.jit(gradient)(params, x, labels)
        for mine, its in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_max_ulp(np.asarray(mine) + 1, np.asarray(its) + 1, maxulp=8)
