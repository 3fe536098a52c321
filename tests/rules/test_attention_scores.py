"""Which scores count, against the words of the options, and heads in groups."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from laws_of_attention import counted

from backproof.rules._attention_options import Options
from backproof.rules._attention_scores import counting, in_groups, logits_of_sinks, out_of_groups, present

PADDING = {"mask": jnp.array([True, False, True, True, False]), "lengths": jnp.array(3)}
MASKS = [
    {"causal": causal, "window": window, "padding": padding}
    for causal, window, padding in itertools.product((False, True), (None, 1, 2), (None, "mask", "lengths"))
]


@pytest.mark.parametrize("options", MASKS, ids=str)
@pytest.mark.parametrize(("s", "t"), [(3, 5), (4, 2), (3, 3)])
def test_a_score_counts_where_the_options_say_so(options, s, t):
    padding = options["padding"] and PADDING[options["padding"]]
    padding = padding[:t] if options["padding"] == "mask" else padding
    found = counting(jnp.ones((1, 1, s, t)), present(padding, t), Options(**options), t - s)
    of_one_sample = {(): padding}
    wanted = [[counted(options, i, j, s, t, of_one_sample, ()) for j in range(t)] for i in range(s)]
    assert np.isfinite(found[0, 0]).tolist() == wanted


def test_a_part_of_the_keys_counts_as_it_does_among_all():
    options = Options(causal=True, window=3)
    every = counting(jnp.ones((1, 1, 4, 6)), None, options, 2)
    some = counting(jnp.ones((1, 1, 4, 2)), None, options, 2, first=3)
    assert some.tolist() == every[..., 3:5].tolist()


def test_heads_of_a_group_are_neighbours():
    heads = jnp.arange(6.0)[None, :, None] * jnp.ones((2, 6, 3))
    grouped = in_groups(heads, Options(group=3), -2)
    assert grouped.shape == (2, 2, 3, 3)
    assert grouped[0, :, :, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert out_of_groups(grouped, -2).tolist() == heads.tolist()
    sinks = logits_of_sinks(jnp.arange(6, dtype="bfloat16"), jnp.ones((7, 2, 3, 5, 1)))
    assert sinks.dtype == jnp.float32
    assert sinks[6, :, :, 4, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_lengths_of_few_bits_count_many_keys():
    assert present(jnp.asarray([100], "uint8"), 300).sum() == 100
    assert present(jnp.asarray([100], "int8"), 300).sum() == 100
