"""Mixed precision: float32 parameters and sums, compute in less, and a verifier that sees a breach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import backproof as bp
from backproof.rule import descend

KEY = jax.random.key(0)
NET = bp.mlp([3, 4, 2], bp.rules.tanh)
MIXED = bp.mixed_precision(bp.rules.affine(3))


def run(rule, batch=5, x_dtype="float32"):
    like = jax.ShapeDtypeStruct((batch, 3), x_dtype)
    params, _ = rule.init(KEY, like)
    x = jax.random.normal(KEY, like.shape, x_dtype)
    y, residuals = rule.forward(params, x)
    return params, y, residuals, rule.backward(params, residuals, jnp.ones_like(y))


def dtypes(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize("compute", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "rule",
    [
        NET,
        bp.chain(*NET.parts),
        bp.repeat(bp.chain(bp.rules.affine(3), bp.rules.relu), 3),
        bp.remat_repeat(bp.chain(bp.rules.affine(3), bp.rules.relu), 3),
    ],
    ids=["mlp", "chain", "repeat", "remat_repeat"],
)
def test_what_is_kept_is_narrow_and_what_leaves_is_float32(rule, compute):
    params, y, residuals, (grads, delta_x) = run(bp.mixed_precision(rule, compute))
    assert dtypes(residuals) == {compute}
    assert dtypes((params, y, grads, delta_x)) == {"float32"}


def test_each_product_is_one_of_bfloat16_and_gradients_come_out_in_float32():
    rule, x = bp.mixed_precision(NET), jnp.ones((5, 3))
    params, _ = rule.init(KEY, jax.ShapeDtypeStruct(x.shape, x.dtype))
    sweep = lambda params, x: rule.backward(params, rule.forward(params, x)[1], jnp.ones((5, 2)))
    dots = [eqn for eqn in jax.make_jaxpr(sweep)(params, x).eqns if eqn.primitive.name == "dot_general"]
    assert {str(var.aval.dtype) for eqn in dots for var in eqn.invars} == {"bfloat16"}
    assert [str(eqn.outvars[0].aval.dtype) for eqn in dots].count("float32") == 2  # ∂W of two layers


def test_sums_over_the_batch_are_those_of_float32():
    """257 and 4097 are no numbers of bfloat16: a sum kept or rounded there would be 256 or 4096."""
    for batch in (257, 4097):
        x = jnp.ones((batch, 3))
        params, _ = MIXED.init(KEY, jax.ShapeDtypeStruct(x.shape, x.dtype))
        grads, _ = MIXED.backward(params, MIXED.forward(params, x)[1], x)
        assert np.all(grads["W"] == batch)
        assert np.all(grads["b"] == batch)


def test_it_leaves_float64_and_bfloat16_alone():
    with jax.enable_x64(True):
        _, *plain = run(NET, x_dtype="float64")
        _, y, residuals, swept = run(bp.mixed_precision(NET), x_dtype="float64")
        assert dtypes((y, swept)) == {"float64"}
        assert all(jax.tree.leaves(jax.tree.map(np.array_equal, plain, [y, residuals.kept, swept])))
    params, y, _, swept = run(bp.mixed_precision(NET), x_dtype="bfloat16")
    assert dtypes((params, y, swept)) == {"bfloat16"}


def test_the_update_inside_the_sweep_is_made_in_float32():
    rule = bp.mixed_precision(bp.repeat(bp.chain(bp.rules.affine(3), bp.rules.tanh), 2))
    params, y, residuals, (grads, delta_x) = run(rule)
    sgd = lambda param, grad: param - 1e-4 * grad  # below one unit of bfloat16
    found = descend(rule, params, residuals, jnp.ones_like(y), sgd)
    wanted = jax.tree.map(sgd, params, grads), delta_x
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, found, wanted)))


QUICK = {"examples": 20, "second_order": False, "dtypes": ("float32", "bfloat16")}


def test_the_verifier_accepts_a_mixed_network():
    assert bp.verify(bp.mixed_precision(NET), **QUICK).verdict == "AGREES"


def with_backward(change):
    def backward(params, residuals, delta):
        return change(params, residuals, delta, *MIXED.backward(params, residuals, delta))

    return MIXED._replace(name="mutant", backward=backward, descend=None)


def opposite_sign(params, residuals, delta, grads, delta_x):
    return grads, -delta_x


def wrong_sign_in_less_only(params, residuals, delta, grads, delta_x):
    return grads, -delta_x if residuals.kept.dtype == "bfloat16" else delta_x


def dropped_cast_of_delta(params, residuals, delta, grads, delta_x):
    return grads, delta_x.astype("bfloat16")


def dropped_cast_of_a_gradient(params, residuals, delta, grads, delta_x):
    return {**grads, "W": grads["W"].astype("bfloat16")}, delta_x


def sum_in_bfloat16(params, residuals, delta, grads, delta_x):
    narrow = delta.astype("bfloat16").reshape(-1, delta.shape[-1])
    total, _ = lax.scan(lambda sum_, row: (sum_ + row, None), jnp.zeros_like(params["b"], "bfloat16"), narrow)
    if delta.dtype == "float64":
        return grads, delta_x
    return {**grads, "b": total.astype(delta.dtype)}, delta_x


@pytest.mark.parametrize(
    ("change", "verdict", "cause"),
    [
        (opposite_sign, "WRONG", "sign"),
        (wrong_sign_in_less_only, "UNSTABLE", "accuracy"),
        (dropped_cast_of_delta, "WRONG", "contract-dtype"),
        (dropped_cast_of_a_gradient, "WRONG", "contract-dtype"),
        (sum_in_bfloat16, "UNSTABLE", "accuracy"),
    ],
)
def test_the_verifier_sees_a_breach_of_the_policy(change, verdict, cause):
    report = bp.verify(with_backward(change), **QUICK)
    assert (report.verdict, report.cause) == (verdict, cause)


def test_a_rule_that_does_not_compute_in_the_dtype_of_its_input_is_refused():
    def init(key, x):
        return jnp.ones(3, x.dtype), x

    def forward(scale, x):
        return x.astype(scale.dtype) * jnp.broadcast_to(scale, x.shape), x

    scaling = bp.Rule("scaling", init, forward, None)
    with pytest.raises(bp.UsageError, match="compute in the dtype of its input, here bfloat16, but found y"):
        run(bp.mixed_precision(scaling))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bp.mixed_precision(3), "mixed_precision: rule must be a Rule, but found 3"),
        (lambda: bp.mixed_precision(NET, "float32"), "compute must be one of bfloat16, float16"),
    ],
)
def test_bad_input_gets_one_clear_error(make, text):
    with pytest.raises(bp.UsageError, match=text):
        make()


def test_a_rule_whose_operations_take_one_dtype_only_is_refused_by_name():
    def init(key, x):
        return {"W": jnp.ones((3, 3), x.dtype)}, x

    def forward(params, x):
        return jax.lax.mul(x, jnp.broadcast_to(params["W"][0], x.shape)), x  # JAX refuses two dtypes

    with pytest.raises(bp.UsageError) as caught:
        run(bp.mixed_precision(bp.Rule("projection", init, forward, None)))
    for said in (
        "the rule projection must compute in the dtype of its input, here bfloat16",
        "astype(x.dtype)",
    ):
        assert said in str(caught.value)
