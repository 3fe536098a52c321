"""Arguments that are no arrays, arguments that are not differentiated, and derivatives that are declared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import backproof as bp
from backproof.errors import UsageError
from backproof.verification import Verdict
from backproof.verification.claims.static_arguments import StaticArguments

pytestmark = pytest.mark.as_user
N = bp.array("n")


def verified(of, args, **how):
    return bp.verify(of=of, args=args, **{"examples": 30, "dtypes": (), "second_order": False, **how})


def powered(f, x, n, w):
    """A function of a callable and a whole number among its arrays."""
    return f(x) * w**n


def powered_pullback(args, ct, slip=1):
    f, x, n, w = args
    slope = jax.grad(lambda x: f(x).sum())(x)
    return None, slip * ct * slope * w**n, None, ct * f(x) * n * w ** (n - 1)


STATIC = [jnp.sin, N, 3, N]


def test_a_callable_and_an_int_among_the_arguments_are_passed_on_as_they_are():
    assert verified(powered, STATIC, vjp=powered_pullback).verdict is Verdict.AGREES
    report = verified(powered, STATIC, vjp=lambda a, ct: powered_pullback(a, ct, slip=2))
    assert (report.verdict, report.counterexample.leaf) == (Verdict.WRONG, "[0]")


def test_a_custom_vjp_with_nondiff_argnums_is_verified_with_its_static_arguments():
    scaled = jax.custom_vjp(lambda f, x, n: f(x) * n, nondiff_argnums=(0, 2))
    scaled.defvjp(lambda f, x, n: (f(x) * n, x), lambda f, n, x, ct: (ct * jnp.cos(x) * n,))
    assert bp.verify(scaled, args=[jnp.sin, N, 3], examples=30, dtypes=()).verdict is Verdict.AGREES
    scaled.defvjp(lambda f, x, n: (f(x) * n, x), lambda f, n, x, ct: (ct * jnp.cos(x),))
    assert bp.verify(scaled, args=[jnp.sin, N, 3], examples=30, dtypes=()).verdict is Verdict.WRONG


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x**2 * ct,))
slipped = jax.custom_vjp(cube.fun)
slipped.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x * ct,))


def test_a_rule_inside_a_lambda_a_partial_or_another_function_is_judged():
    ways = (
        lambda rule: lambda x: rule(x) * 2,
        lambda rule: functools.partial(lambda x, by: by * rule(rule(x)), by=0.5),
        lambda rule: jax.jit(lambda x: jnp.sin(rule(x))),
    )
    for way in ways:
        assert bp.verify(way(cube), args=[N], examples=30, dtypes=()).verdict is Verdict.AGREES
        assert bp.verify(way(slipped), args=[N], examples=30, dtypes=()).verdict is Verdict.WRONG


def test_a_function_without_any_rule_by_hand_is_an_error():
    with pytest.raises(UsageError, match="or call such a function"):
        bp.verify(lambda x: jax.nn.relu(x), args=[N])
    with pytest.raises(UsageError, match="must accept the arguments"):
        bp.verify(lambda x, y: cube(x), args=[N])


def test_statics_go_back_to_their_places():
    held = StaticArguments.among(STATIC)
    assert held.values == {0: jnp.sin, 2: 3}
    assert held.args == [N, N]
    assert held.merged(("x", "w")) == (jnp.sin, "x", 3, "w")
    assert held.without((None, "dx", None, "dw")) == ("dx", "dw")


def test_texts_bools_and_ints_are_static_and_examples_are_not():
    held = StaticArguments.among(["same", True, 2, b"x", N, 0.5, None])
    assert sorted(held.values) == [0, 1, 2, 3]
    assert held.args == [N, 0.5, None]


@jax.tree_util.register_pytree_node_class
class Layer:
    """Stands for a module of another library: callable, with an array and an activation among its leaves."""

    def __init__(self, weight, activation):
        self.weight, self.activation = weight, activation

    def __call__(self, x):
        return self.activation(self.weight @ x)

    def tree_flatten(self):
        return (self.weight, self.activation), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.AGREES), (2.0, Verdict.WRONG)])
def test_a_callable_that_holds_arrays_is_differentiated(factor, verdict):
    def back(args, ct):
        layer, x = args
        delta = ct * (1 - layer(x) ** 2)
        return Layer(factor * jnp.outer(delta, x), layer.activation), layer.weight.T @ delta

    arguments = [Layer(jnp.ones((2, 3)), jnp.tanh), bp.array("3")]
    assert bp.verify(of=lambda f, x: f(x), vjp=back, args=arguments, examples=20).verdict is verdict


def test_argnums_count_the_full_tuple_from_either_end():
    held = StaticArguments.among(STATIC)
    assert held.positions(None) is None
    assert (held.positions(1), held.positions(3), held.positions((3, 1))) == ((0,), (1,), (1, 0))
    assert (held.positions(-1), held.positions((-3, -1))) == ((1,), (0, 1))


@pytest.mark.parametrize("argnums", [0, 2, 4, -5, (1, 4), -4])
def test_argnums_of_a_static_or_of_no_argument_are_a_usage_error(argnums):
    with pytest.raises(bp.UsageError, match="argnums must number arguments that can be differentiated"):
        verified(powered, STATIC, vjp=powered_pullback, argnums=argnums)


def product(x, y):
    return x * y


def test_a_vjp_is_judged_in_the_arguments_of_argnums_alone():
    args = [N, N]
    assert verified(product, args, vjp=lambda a, ct: (None, ct * a[0]), argnums=1).ok
    assert verified(product, args, vjp=lambda a, ct: (None, ct * a[0]), argnums=-1).ok
    assert verified(product, args, vjp=lambda a, ct: (7 * ct, ct * a[0]), argnums=(1,)).ok
    assert not verified(product, args, vjp=lambda a, ct: (7 * ct, ct * a[0]), argnums=(0, 1)).ok
    report = verified(product, args, vjp=lambda a, ct: (None, ct * a[0]))
    assert (report.verdict, report.cause) == (Verdict.WRONG, "missing")


def test_a_grad_takes_negative_argnums():
    loss = lambda x, y: (x * jnp.sin(y)).sum()
    grad = lambda x, y: x * jnp.cos(y)
    assert verified(loss, [N, N], grad=grad, argnums=-1).ok
    assert not verified(loss, [N, N], grad=grad, argnums=-2).ok


def rounded(x, w):
    return jnp.round(x) * w


def straight_through(args, ct):
    x, w = args
    return ct * w, ct * jnp.round(x)


def test_a_declared_derivative_is_not_compared_and_the_rest_is():
    said = {"x": "straight-through"}
    report = verified(rounded, [N, N], vjp=straight_through, declared=said)
    assert report.verdict is Verdict.DECLARED
    assert report.ok
    assert "x is straight-through" in report.explanation
    wrong_in_w = lambda a, ct: (ct * a[1], -ct * jnp.round(a[0]))
    report = verified(rounded, [N, N], vjp=wrong_in_w, declared=said)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "sign")
    assert verified(rounded, [N, N], vjp=straight_through).verdict is Verdict.WRONG


def test_an_unknown_declared_name_is_a_usage_error_that_lists_the_names():
    with pytest.raises(bp.UsageError, match=r"declared names arguments of .*: x, w, but found z"):
        verified(rounded, [N, N], vjp=straight_through, declared={"z": "straight-through"})


def test_the_input_of_a_rule_can_be_declared():
    affine = bp.rules.affine(2)
    reversing = affine._replace(backward=lambda p, x, d: (affine.backward(p, x, d)[0], -(d @ p["W"])))
    assert bp.verify(reversing, declared={"x": "reversed"}, examples=30).verdict is Verdict.DECLARED
    assert bp.verify(reversing, examples=30, dtypes=()).verdict is Verdict.WRONG


def test_none_is_an_argument_without_a_cotangent():
    masked = lambda x, mask: x**2 if mask is None else x**2 * mask
    assert verified(masked, [N, None], vjp=lambda a, ct: (2 * a[0] * ct, None)).verdict is Verdict.AGREES


def test_a_key_is_an_argument_without_a_cotangent():
    noise = lambda key, x: jax.random.normal(key, x.shape, x.dtype)
    noisy = lambda key, x: x * noise(key, x)
    args = [jax.random.key(3), bp.array("4")]
    report = verified(noisy, args, vjp=lambda a, ct: (None, ct * noise(*a)), examples=8)
    assert report.verdict is Verdict.AGREES


def test_a_mask_of_bools_is_an_argument_without_a_cotangent():
    masked = lambda x, keep: jnp.where(keep, x**2, 0)
    args = [N, bp.array("n", dtype="bool")]
    assert verified(masked, args, vjp=lambda a, ct: (jnp.where(a[1], 2 * a[0] * ct, 0), None)).ok
    assert not verified(masked, args, vjp=lambda a, ct: (2 * a[0] * ct, None)).ok


def test_a_jvp_cannot_be_declared_by_argument():
    with pytest.raises(bp.UsageError, match="a result for each argument"):
        bp.verify(
            of=jnp.sin,
            jvp=lambda args, tangents: tangents[0] * jnp.cos(args[0]),
            args=[bp.array("n")],
            declared={"x": "straight-through"},
        )


def test_whole_numbers_inside_trees_are_left_alone():
    times = lambda x, d: x * d["k"]
    pulled = lambda args, ct: (ct * args[1]["k"], {"k": None})
    assert bp.verify(of=times, vjp=pulled, args=[bp.array("n"), {"k": 3}], examples=40).ok
    given = st.just((np.float32([1.0, 2.0, 3.0]), 3))
    assert bp.verify(
        of=jnp.multiply, vjp=lambda args, ct: (ct * args[1], None), args=given, examples=20, dtypes=()
    ).ok
