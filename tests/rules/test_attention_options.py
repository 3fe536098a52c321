"""The options of attention, and inputs that do not fit them."""

import jax.numpy as jnp
import pytest

from backproof.arguments import array, integers
from backproof.errors import UsageError
from backproof.rules._attention_options import Options, checked, initial, require_input, require_sink

Q, K, V = jnp.ones((5, 4, 3, 2)), jnp.ones((5, 2, 6, 2)), jnp.ones((5, 2, 6, 1))
GROUPED = Options(group=2)


def test_what_differs_from_plain_attention_is_said():
    assert str(Options()) == ""
    assert (
        str(Options(causal=True, soft_cap=2.0, padding="mask")) == "causal=True, soft_cap=2, padding='mask'"
    )


def test_the_domain_has_the_leaves_and_the_heads_that_the_options_ask_for():
    assert Options().domain == (array("*batch 2 s 3"), array("*batch 2 t 3"), array("*batch 2 t 2"))
    assert Options(group=3).domain[0] == array("*batch 6 s 3")
    assert Options(padding="mask").domain[3] == array("*batch t", "bool")
    assert Options(padding="lengths").domain[3] == integers("*batch", 0, "t")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"causal": 1}, "here: causal must be one of False, True, but found causal=1"),
        ({"sink": None}, "sink must be one of False, True"),
        ({"lse": "yes"}, "lse must be one of False, True"),
        ({"padding": "keys"}, "padding must be one of None, 'mask', 'lengths', but found padding='keys'"),
        ({"window": 0}, "window must be a whole number of at least 1"),
        ({"soft_cap": 0.0}, "soft_cap must be a finite number above 0"),
        ({"soft_cap": float("inf")}, "soft_cap must be a finite number above 0"),
        ({"group": 1.5}, "group must be a whole number of at least 1"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(wrong, text):
    with pytest.raises(UsageError, match=text):
        checked(Options(**wrong), "here")


@pytest.mark.parametrize(
    ("options", "x", "text"),
    [
        (GROUPED, [Q, K, V], "here: x must be a tuple of 3, but found list"),
        (GROUPED, (Q, K), "x must be a tuple of 3, but found 2 of them; pass"),
        (GROUPED._replace(padding="mask"), (Q, K, V), "x must be a tuple of 4, but found 3 of them"),
        (GROUPED, (Q.astype("i4"), K, V), r"the input must be floating, but found x\[0\] of dtype int32"),
        (GROUPED, (Q[0, 0], K, V), "q must have axes of heads, positions and features, but found"),
        (GROUPED, (Q, K[0, 0, 0], V), "k must have axes of heads, positions and features, but found"),
        (GROUPED, (Q[:, :3], K, V), r"q must have shape \(5, 4, 3, 2\), but found .* and group=2"),
        (Options(), (Q, K, V), r"q must have shape \(5, 2, 3, 2\), but found .* and group=1"),
        (GROUPED, (Q[..., :1], K, V), r"q must have shape \(5, 4, 3, 2\)"),
        (GROUPED, (Q, K, V[:, :1]), r"v must have shape \(5, 2, 6, 1\)"),
        (GROUPED._replace(padding="mask"), (Q, K, V, jnp.ones((5, 6))), "the padding must be boolean"),
        (GROUPED._replace(padding="mask"), (Q, K, V, jnp.ones((5, 3), bool)), r"must have shape \(5, 6\)"),
        (GROUPED._replace(padding="lengths"), (Q, K, V, jnp.ones(5)), "the padding must be integer"),
        (GROUPED._replace(padding="lengths"), (Q, K, V, jnp.ones((), "i4")), r"must have shape \(5,\)"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(options, x, text):
    with pytest.raises(UsageError, match=text):
        require_input(x, options, "here")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ((), "the parameters must be a dict of sink, but found tuple"),
        ({"sinks": jnp.ones(4)}, r"found keys \['sinks'\]"),
        ({"sink": jnp.ones(2)}, r"sink must have shape \(4,\)"),
        ({"sink": jnp.ones(4, "i4")}, "sink must be floating"),
    ],
)
def test_sinks_that_do_not_fit_are_refused(params, text):
    with pytest.raises(UsageError, match=text):
        require_sink(params, Q, GROUPED._replace(sink=True), "here")


def test_parameters_of_attention_without_sinks_are_refused():
    with pytest.raises(UsageError, match=r"there are no parameters, so params must be \(\)"):
        require_sink({"sink": jnp.ones(4)}, Q, GROUPED, "here")


def test_there_is_one_sink_for_each_head_of_q():
    params, (o, lse) = initial((Q, K, V), GROUPED._replace(sink=True, lse=True), "here")
    assert params["sink"].tolist() == [0] * 4
    assert (o.shape, lse.shape) == ((5, 4, 3, 1), (5, 4, 3))
