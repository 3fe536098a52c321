"""X.2: conventions, which are options."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import NET, plain_network, widths


@bp.derivation(r"\mathrm{relu}'", items=("X.2",))
def slope_at_zero(z: Float[Array, " n"], delta_a: Float[Array, " n"]):
    """The slope of relu at zero, 0, ½ or 1: three ways to write it, three rules, equal elsewhere."""
    for slope, relu, rule in (
        (0.0, jax.nn.relu, bp.rules.relu),
        (0.5, lambda z: jnp.maximum(z, 0.0), bp.rules.relu_with(0.5)),
        (1.0, lambda z: jnp.where(z >= 0, z, 0.0), bp.rules.relu_with(1.0)),
    ):
        by_hand = rule.backward((), rule.forward((), z)[1], delta_a)[1]
        name = rule.name.replace("_", r"\_")
        yield line(
            rf"\texttt{{{name}}}",
            bp.equal(by_hand, jax.vjp(relu, z)[1](delta_a)[0]),
            f"slope {slope:g} at zero: a rule of this library, and the function of that slope",
        )
        yield line(
            rf"\mathrm{{relu}}'(0) = {slope:g}",
            bp.equal(by_hand, jnp.where(z == 0, slope * delta_a, jnp.where(z > 0, delta_a, 0.0))),
            "entry by entry",
        )
    at_zero = (
        jax.vjp(jax.nn.relu, z)[1](delta_a)[0],
        jax.vjp(lambda z: jnp.where(z >= 0, z, 0.0), z)[1](delta_a)[0],
    )
    yield line(r"1(z > 0) \neq 1(z \ge 0)", bp.differ(*at_zero, somewhere=True), "at zero the options part")


@bp.derivation(r"\text{sum, mean}", items=("X.2",), args=[NET[:1], bp.array("B d"), bp.array("B p")])
def reduction(params, x, y):
    """Sum or mean: value and every gradient are divided by B, and nothing else."""
    net = bp.mlp(widths(params), bp.rules.tanh, bp.rules.sigmoid)
    output = plain_network(jnp.tanh, jax.nn.sigmoid)

    def squares(params):
        return jax.vmap(lambda x, y: jnp.sum((output(params, x) - y) ** 2) / 2)(x, y)

    yield line(
        r"\nabla \frac{1}{B} \sum_i L_i",
        jax.value_and_grad(lambda params: jnp.mean(squares(params)))(params),
        "definition",
    )
    yield line(
        r"\frac{1}{B} \nabla \sum_i L_i",
        jax.tree.map(
            lambda leaf: leaf / len(x), jax.value_and_grad(lambda params: jnp.sum(squares(params)))(params)
        ),
        "a number comes out of a derivative",
    )
    total = bp.value_and_grad(net, bp.losses.half_squared_error)(params, x, y)
    yield line(
        r"\sum_i L_i", bp.equal(total[0], jnp.sum(squares(params))), "and without being asked: the sum"
    )
    yield line(
        r"\texttt{backproof}",
        bp.value_and_grad(net, bp.losses.mean(bp.losses.half_squared_error))(params, x, y),
        "what this library runs, asked for the mean",
    )


@bp.derivation(
    r"\nabla \left(-\sum_k t_k \ln p_k\right)",
    items=("X.2", "X.4"),
    of=lambda z, t: -jnp.sum(t * jax.nn.log_softmax(z)),
)
def targets(z: Float[Array, " K"], t: Float[Array, " K"]):
    """Targets normalised or not: p Σ t − t is right for both, and is p − t where Σ t = 1."""
    dense = bp.losses.softmax_cross_entropy_dense
    p = jax.nn.softmax(z)
    yield line(r"p \sum_k t_k - t", p * jnp.sum(t) - t, "for any target")
    yield line(
        r"\texttt{backproof}",
        bp.losses.softmax_cross_entropy_dense.backward(dense.forward(z, t)[1]),
        "what this library runs",
    )


@bp.derivation(r"\nabla \|y - t\|^2", items=("X.2",))
def one_half(y: Float[Array, " n"], t: Float[Array, " n"]):
    """½ or not: without it every gradient doubles."""
    yield line(r"\nabla \|y - t\|^2", jax.grad(lambda y: jnp.sum((y - t) ** 2))(y), "definition, without ½")
    yield line(r"2 (y - t)", 2 * (y - t), "the square")
    half = bp.losses.half_squared_error
    yield line(
        r"2 \cdot \texttt{backproof}",
        2 * bp.losses.half_squared_error.backward(half.forward(y, t)[1]),
        "this library's loss has the ½",
    )


@bp.derivation(
    r"\text{by convention, not by mistake}", items=("X.2",), uses=(reduction, one_half, slope_at_zero)
)
def a_convention_is_named_as_one():
    """The verifier names a convention as one: a mean for a sum, a ½, another slope at a kink."""
    settings = {"args": [bp.array("b n")], "examples": 20, "dtypes": ("float32",), "second_order": False}

    def squares(x):
        return (x**2).sum() / 2

    for cause, grad in (("convention-mean", lambda x: x / len(x)), ("convention-half", lambda x: 2 * x)):
        report = bp.verify(of=squares, grad=grad, **settings)
        yield line(
            rf"\texttt{{{cause}}}", bp.holds(report.cause == cause), "differs by convention, not by mistake"
        )
    report = bp.verify(
        of=lambda z: jax.nn.relu(z).sum(), grad=lambda z: jnp.where(z >= 0, 1.0, 0.0), **settings
    )
    yield line(
        r"\text{SUBGRADIENT}",
        bp.holds(report.verdict == "SUBGRADIENT"),
        "another slope at zero is no mistake",
    )
