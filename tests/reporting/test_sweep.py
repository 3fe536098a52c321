"""The sweep has the numbers of autodiff, each step says what it shows, and the picture shows the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agreement import assert_agrees
from backproof.page.formulas import mathml
from backproof.page.grids import grid
from backproof.reporting.sweep import CLASS, PARAMS, X, values
from backproof.reporting.sweep_steps import DIGITS, steps

pytestmark = pytest.mark.smoke


def loss_of_z(z_2):
    return -jax.nn.log_softmax(z_2)[CLASS]


def from_z_1(z_1):
    return loss_of_z(PARAMS[1]["W"] @ jax.nn.relu(z_1) + PARAMS[1]["b"])


def whole(params):
    (one, two), a = params, X
    z_1 = one["W"] @ a + one["b"]
    return loss_of_z(two["W"] @ jax.nn.relu(z_1) + two["b"])


def test_every_gradient_of_the_sweep_is_that_of_autodiff():
    found = values()
    z_1, z_2 = found.z
    assert_agrees(lambda: jnp.asarray(found.delta[1]), lambda: jax.grad(loss_of_z)(jnp.asarray(z_2)))
    assert_agrees(lambda: jnp.asarray(found.delta[0]), lambda: jax.grad(from_z_1)(jnp.asarray(z_1)))
    of_a = jax.grad(lambda a: loss_of_z(PARAMS[1]["W"] @ a + PARAMS[1]["b"]))
    assert_agrees(lambda: jnp.asarray(found.delta_a), lambda: of_a(jnp.asarray(found.a[0])))
    assert_agrees(lambda: found.grads, lambda: jax.grad(whole)(PARAMS))
    assert_agrees(lambda: jnp.asarray(found.loss), lambda: whole(PARAMS))


def test_the_sample_shows_a_unit_that_is_off_and_one_that_is_on():
    found = values()
    assert set(found.gate.tolist()) == {0.0, 1.0}
    np.testing.assert_array_equal(found.a[0] > 0, found.gate == 1)


def test_each_step_has_its_formula_and_the_numbers_go_forward_and_then_back():
    found = steps()
    ways = [step.backward for step in found]
    assert ways == sorted(ways)
    assert (ways.count(False), ways.count(True)) == (4, 7)
    last = [step.terms[-1] for step in found]
    shapes = ["4 × 1", "4 × 1", "2 × 1", "", "2 × 1", "2 × 4", "2 × 1", "4 × 1", "4 × 1", "4 × 3", "4 × 1"]
    assert [term.grid.shape for term in last] == shapes
    for step in found:
        for latex in (
            step.latex,
            *(term.latex for term in step.terms),
            *(term.sign for term in step.terms if term.sign),
        ):
            assert mathml(latex).startswith("<math"), latex


def test_the_result_of_a_step_is_what_its_formula_gives():
    v = values()
    formulas = {
        0: PARAMS[0]["W"] @ X + PARAMS[0]["b"],
        1: np.maximum(v.z[0], 0),
        2: PARAMS[1]["W"] @ v.a[0] + PARAMS[1]["b"],
        4: v.p - v.y,
        5: np.outer(v.delta[1], v.a[0]),
        6: v.delta[1],
        7: PARAMS[1]["W"].T @ v.delta[1],
        8: v.delta_a * v.gate,
        9: np.outer(v.delta[0], X),
        10: v.delta[0],
    }
    for number, value in formulas.items():
        shown = steps()[number].terms[-1].grid
        assert shown == grid(value + 0.0, shown.name, column=True, digits=DIGITS), number


def test_the_picture_has_every_unit_and_every_weight():
    for step in steps():
        nodes, edges = step.picture.nodes, step.picture.edges
        assert (len(nodes), len(edges)) == (3 + 4 + 2, 3 * 4 + 4 * 2)
        at_work = [edge for edge in edges if edge.look != "calm"]
        assert len(at_work) in (0, 12, 8)
        assert any(node.look != "calm" for node in nodes)
        assert {one.look for one in (*at_work, *nodes)} <= {"calm", "back" if step.backward else "forth"}
