"""However a test reaches its rule, the planted backward pass is the one that runs, and nothing is left."""

import functools
import sys
import types

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

import backproof as bp
from backproof.auditing.interception import intercepted
from backproof.auditing.named import holders, target_of
from backproof.rule import Loss, Rule

pytestmark = pytest.mark.as_user

X = np.arange(1, 13, dtype=np.float32).reshape(3, 4) / 12


@jax.custom_vjp
def square(x):
    return x**2


square.defvjp(lambda x: (square(x), x), lambda x, ct: (2 * x * ct,))


@jax.custom_jvp
def product(x, y):
    return x * y


@product.defjvp
def _(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return product(x, y), dx * y + x * dy


jitted = jax.jit(jax.grad(lambda x: square(x).sum()))


def outcomes(test, **settings):
    """Return how a test ends with zero in the place of each leaf, and the audit of its one rule."""
    (rule,) = bp.audit(test, slips=["zero"], tolerances=False, **settings).rules
    return {one.leaf: str(one.outcome) for one in rule.slips}, rule


def close(got, want):
    np.testing.assert_allclose(got, want, 1e-5, 1e-5)


def test_a_compiled_function_is_traced_anew_for_every_slip():
    def test():
        close(jitted(X), 2 * X)

    test()  # compiled before anything is planted
    found, rule = outcomes(test)
    assert (found, rule.traced, rule.executed) == ({"x": "caught"}, 1, 1)
    test()  # and nothing planted is left in it


def test_nothing_that_was_planted_before_is_left_in_a_compiled_program():
    """Zeros fail, and the sign is not looked at: were the zeros still there, it would seem to be."""

    def test():
        close(jnp.abs(jitted(X)), 2 * X)

    (rule,) = bp.audit(test, slips=["zero", "negated"], tolerances=False).rules
    assert {one.kind: str(one.outcome) for one in rule.slips} == {"zero": "caught", "negated": "passed"}


def test_no_traced_value_is_kept_when_its_trace_ends():
    """JAX's search for leaks would find it."""

    def test():
        with jax.checking_leaks():
            close(jax.jit(jax.grad(lambda x: square(x).sum()))(X), 2 * X)

    assert outcomes(test)[0] == {"x": "caught"}


def test_executions_are_counted_in_loops_maps_and_several_calls_of_one_program():
    def in_a_loop(x):
        return jax.lax.scan(lambda carry, _: (square(carry), None), x, None, 3)[0].sum()

    def test():
        close(jax.jit(jax.grad(in_a_loop))(X), 8 * X**7)
        close(jax.jacrev(square)(X[0]), np.diag(2 * X[0]))
        for _ in range(2):
            close(jitted(X), 2 * X)

    found, rule = outcomes(test)
    assert found == {"x": "caught"}
    assert rule.executed == 3 + 4 + 2  # steps of the loop, rows of the Jacobian, calls


def test_a_rule_made_anew_in_each_run_is_reached():
    def test():
        @jax.custom_vjp
        def cube(x):
            return x**3

        cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x**2 * ct,))
        close(jax.grad(lambda x: cube(x).sum())(X), 3 * X**2)

    assert outcomes(test)[0] == {"x": "caught"}


def test_a_custom_jvp_is_reached_in_both_modes_and_by_argument():
    def test():
        jax.test_util.check_grads(lambda x: product(x, X), (X,), 2)

    found, rule = outcomes(test)
    assert rule.kind == "custom_jvp"
    assert found == {"x": "caught", "y": "passed"}  # nobody differentiates by y


def test_static_arguments_and_trees_give_leaves_with_names():
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def scaled(power, params):
        return params["W"] ** power * params["b"]

    def bwd(power, params, ct):
        W, b = params["W"], params["b"]
        return ({"W": ct * power * W ** (power - 1) * b, "b": (ct * W**power).sum(0)},)

    scaled.defvjp(lambda power, params: (scaled(power, params), params), bwd)

    def test():
        params = {"W": X, "b": X[0]}
        got = jax.grad(lambda p: scaled(2, p).sum())(params)
        close(got["W"], 2 * X * X[0])

    assert outcomes(test)[0] == {"params['W']": "caught", "params['b']": "passed"}


def test_a_rule_and_a_loss_of_this_library_are_reached_and_their_parts_only_by_name():
    network = bp.chain(bp.rules.affine(2), bp.rules.tanh)
    params, _ = network.init(jax.random.key(0), jax.ShapeDtypeStruct(X.shape, X.dtype))

    def test():
        y, residuals = network.forward(params, X)
        grads, _ = network.backward(params, residuals, y)
        want = jax.grad(lambda p: (network.forward(p, X)[0] ** 2).sum() / 2)(params)
        close(grads[0]["W"], want[0]["W"])

    found, rule = outcomes(test)
    assert rule.name == network.name
    assert found == {"grads[0]['W']": "caught", "grads[0]['b']": "passed", "delta_x": "passed"}
    assert outcomes(test, rule=bp.rules.tanh)[0] == {"delta_x": "caught"}

    def of_a_loss():
        loss = bp.losses.half_squared_error
        close(loss.backward(loss.forward(X, 0 * X)[1]), X)

    found, rule = outcomes(of_a_loss)
    assert (found, rule.kind) == ({"result": "caught"}, "Loss")


def test_bp_check_sees_every_slip():
    def test():
        bp.check(square, of=lambda x: x**2, args=[bp.array("n")], examples=5, second_order=False)

    assert outcomes(test)[0] == {"x": "caught"}


def square_backward(dout, x):
    return 2 * x * dout


def backward_from_above(x, above):
    return 2 * x * above


class Layer:
    @staticmethod
    def backward(dout, x):
        return 3 * x**2 * dout


CAPTURED = functools.partial(square_backward)


def test_a_plain_function_is_replaced_under_every_name_of_its_modules_and_classes():
    other = types.ModuleType("another_module_of_the_user")
    other.backward = square_backward
    sys.modules[other.__name__] = other
    try:

        def test():
            close(other.backward(X, X), 2 * X**2)

        text = f"{__name__}:square_backward"
        for rule in (square_backward, text):
            found, audited = outcomes(test, rule=rule)
            assert (found, audited.name) == ({"result": "caught"}, text)
        assert other.backward is square_backward
    finally:
        del sys.modules[other.__name__]

    def of_a_class():
        close(Layer.backward(X, X), 3 * X**3)

    assert outcomes(of_a_class, rule=f"{__name__}:Layer.backward")[0] == {"result": "caught"}
    assert isinstance(vars(Layer)["backward"], staticmethod)


def test_what_a_closure_or_a_partial_holds_is_said_to_be_out_of_reach():
    def captured():
        close(CAPTURED(X, X), 2 * X**2)

    with pytest.raises(bp.UsageError, match=r"called by .*captured through a functools.partial"):
        outcomes(captured, rule=square_backward)

    def layer(backward):
        return lambda: backward(X, X)

    closed = layer(square_backward)
    with pytest.raises(bp.UsageError, match=r"through a closure of \S*layer\.<locals>\.<lambda>"):
        outcomes(lambda: closed(), rule=square_backward)

    def both():
        close(square_backward(X, X), 2 * X**2)
        captured()

    _, rule = outcomes(both, rule=square_backward)
    assert any("1 more call" in note and "go past its name" in note for note in rule.notes)


def test_the_cotangent_of_a_plain_function_is_found_by_its_name_or_said():
    def test():
        close(backward_from_above(X, X), 2 * X**2)

    settings = {"rule": backward_from_above, "slips": ["cotangent ignored"], "tolerances": False}
    (unknown,) = bp.audit(test, **settings).rules
    assert not unknown.slips
    assert "cotangent= names it" in unknown.notes[0]
    (known,) = bp.audit(test, cotangent="above", **settings).rules
    assert [one.outcome for one in known.slips] == ["caught"]


def test_a_name_that_is_none_is_refused():
    for text, said in {
        "square_backward": "a rule is written module:function",
        "no_such_module:f": "its module must be importable",
        f"{__name__}:square_backwards": r"did you mean square_backward\?",
        f"{__name__}:X": "must be a custom_vjp",
    }.items():
        with pytest.raises(bp.UsageError, match=said):
            bp.audit(lambda: None, rule=text)


def test_nothing_is_left_of_an_interception():
    before = jax.custom_vjp.__call__, jax.custom_jvp.__call__, vars(Rule)["backward"], vars(Loss)["backward"]
    target = target_of(square_backward)
    assert list(holders(target))
    with pytest.raises(ZeroDivisionError), intercepted(lambda call: 1 / 0, [target]):
        square_backward(X, X)
    after = jax.custom_vjp.__call__, jax.custom_jvp.__call__, vars(Rule)["backward"], vars(Loss)["backward"]
    assert before == after
    close(square_backward(X, X), 2 * X**2)


def test_a_backward_pass_that_needs_what_only_the_test_gives_is_audited_all_the_same():
    @jax.custom_vjp
    def total(x):
        return jax.lax.psum(x, "i")

    total.defvjp(lambda x: (total(x), None), lambda _, ct: (jax.lax.psum(ct, "i"),))

    def test():
        got = jax.vmap(jax.grad(lambda x: total(x).sum()), axis_name="i")(jnp.asarray(X))
        close(got, np.full_like(X, 3))

    found, rule = outcomes(test)
    assert found == {"x": "caught"}
    assert any("cannot be run again outside the test" in note for note in rule.notes)


@pytest.mark.parametrize("runs", [19, 20])
def test_a_slip_in_one_run_of_twenty_is_planted_in_compiled_code(runs):
    def test():
        for _ in range(runs):
            close(jitted(X), 2 * X)

    (rule,) = bp.audit(test, slips=["wrong in 1 of 20 runs"], tolerances=False).rules
    assert [str(one.outcome) for one in rule.slips] == ["caught" if runs == 20 else "too few runs"]
