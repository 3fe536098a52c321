"""What holds for every recurrent layer: causality, wide states, finite gradients at saturated units."""

import jax
import jax.numpy as jnp
import pytest
from laws_of_recurrences import (
    assert_in_wide_states,
    assert_last_step_does_not_move_the_first_ones,
    recurrent_point,
)
from laws_of_rules import by_hand_with

from backproof.rules import gru, lstm, rnn

N, WIDTH = 3, 2
GATES = {rnn: 1, gru: 3, lstm: 4}
every_layer = pytest.mark.parametrize("layer", GATES, ids=lambda layer: layer(WIDTH).name)


def point(layer, steps):
    return recurrent_point(GATES[layer], N, WIDTH, (2,), steps, 0)


@every_layer
def test_a_step_sees_no_later_one(layer):
    assert_last_step_does_not_move_the_first_ones(layer(WIDTH), *point(layer, 4))


@every_layer
def test_everything_between_is_float32_where_the_input_is_not(layer):
    assert_in_wide_states(layer(WIDTH), *jax.tree.map(jnp.float32, point(layer, 4)[:2]))


@every_layer
def test_long_saturated_sequences_have_finite_gradients(layer):
    params, x, delta = jax.tree.map(lambda v: jnp.float32(1e3 * v), point(layer, 200))
    for leaf in jax.tree.leaves(jax.jit(by_hand_with(layer(WIDTH)))(params, x, delta)):
        assert jnp.isfinite(leaf).all()
