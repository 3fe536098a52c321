"""What it costs, measured."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import DATUM, OUTPUT, PHI, g, widths

# Operations that add and multiply; and those that only move numbers.
SUMS_AND_PRODUCTS = {"add", "add_any", "mul", "dot_general", "reduce_sum"}
MOVES = {"broadcast_in_dim", "reshape", "transpose", "squeeze", "convert_element_type"}


def shapes_of_relus(depth, width, samples):
    """Return a network of `depth` square layers, and its parameters and a batch as shapes alone."""
    x = jax.ShapeDtypeStruct((samples, width), "float32")
    net = bp.mlp((width,) * (depth + 1), bp.rules.relu)
    return net, jax.eval_shape(lambda key: net.init(key, x)[0], jax.random.key(0)), x


@bp.derivation(r"\text{products of matrices}", items=("S1.10",))
def matrix_products():
    """The dearest steps are the products by W and Wᵀ, the document says, and omits ∂L_i/∂z xᵀ.

    A network of d layers multiplies d times forward. Backward it multiplies d − 1 times by Wᵀ, for nobody
    needs ∂L_i/∂x_i, and d times to form ∂L_i/∂z_ι x_ιᵀ. Each product has as many multiplications and
    additions as any other, so the gradient costs (3d − 1)/d times the forward pass.
    """
    for depth in (1, 2, 4):
        net, phi, x = shapes_of_relus(depth, width=8, samples=4)
        forward = str(jax.make_jaxpr(lambda phi, x, net=net: net.forward(phi, x)[0])(phi, x))
        both = str(jax.make_jaxpr(bp.value_and_grad(net, bp.losses.half_squared_error))(phi, x, x))
        yield line(
            rf"\#_{{\text{{forward}}}} = d = {depth}",
            bp.equal(forward.count("dot_general"), depth),
            "one product by W in each layer",
        )
        yield line(
            rf"\#_{{\text{{gradient}}}} = d + d + d, \; d = {depth}",
            bp.equal(both.count("dot_general"), depth + depth + depth),
            "by W, by Wᵀ and ∂L_i/∂z xᵀ; the product by W_0ᵀ is written down, and the compiler drops it",
        )


def program(f, *shapes):
    """Return `f` compiled for arguments of these shapes."""
    return jax.jit(f).lower(*shapes).compile()


def share_of_products(width, depth=4, samples=64):
    """Return the part of the operations of a compiled gradient that are those of its products of matrices."""
    net, phi, x = shapes_of_relus(depth, width, samples)
    gradient = program(bp.value_and_grad(net, bp.losses.half_squared_error), phi, x, x)
    return (3 * depth - 1) * 2 * samples * width**2 / gradient.cost_analysis()["flops"]


@bp.derivation(
    r"\frac{\text{operations of the products}}{\text{operations}} \to 1",
    items=("S1.10",),
    uses=(matrix_products,),
)
def products_dominate():
    """The products are the dearest steps: what is not theirs falls with the width, as 1 over it."""
    rest = [1 - share_of_products(width) for width in (16, 64, 256)]
    for before, after, width in zip(rest, rest[1:], (64, 256), strict=False):
        yield line(
            rf"1 - \text{{share}}, \; n = {width}",
            bp.at_most(after, 0.3 * before),
            "four times the width, about a quarter of the rest",
        )
    yield line(r"\text{share} \ge 0.98, \; n = 256", bp.at_most(rest[-1], 0.02), "and so towards 1")


@bp.derivation(r"\{+, \times\}", items=("S1.10",))
def only_sums_and_products():
    """They need additions and multiplications: no other arithmetic stands in the traced affine steps."""
    layer = bp.rules.affine(3)
    x = jnp.ones((5, 4))
    params = layer.init(jax.random.key(0), x)[0]
    steps = [
        jax.make_jaxpr(lambda params, x: layer.forward(params, x)[0])(params, x),
        jax.make_jaxpr(layer.backward)(params, layer.forward(params, x)[1], jnp.ones((5, 3))),
    ]
    for name, step in zip(("forward", "backward"), steps, strict=True):
        used = {eqn.primitive.name for eqn in step.jaxpr.eqns} - MOVES
        yield line(
            rf"\text{{{name}}}: \{{+, \times\}}",
            bp.holds(bool(used) and used <= SUMS_AND_PRODUCTS),
            f"its operations are {', '.join(sorted(used))}",
        )


@bp.derivation(
    r"\frac{\text{operations of the gradient}}{\text{operations forward}}",
    items=("S1.10",),
    uses=(matrix_products,),
)
def measured_cost():
    """The same count, of what the compiler made: width 128, batch 64."""
    for depth in (1, 4):
        net, phi, x = shapes_of_relus(depth, width=128, samples=64)
        forward = program(lambda phi, x, net=net: net.forward(phi, x)[0], phi, x)
        gradient = program(bp.value_and_grad(net, bp.losses.half_squared_error), phi, x, x)
        ratio = gradient.cost_analysis()["flops"] / forward.cost_analysis()["flops"]
        yield line(
            rf"\left| \frac{{\text{{gradient}}}}{{\text{{forward}}}} \Big/ \frac{{3d - 1}}{{d}} - 1 \right|"
            rf" \le 0.01, \; d = {depth}",
            bp.at_most(abs(ratio / ((3 * depth - 1) / depth) - 1), 0.01),
            "cost_analysis of the compiled programs",
        )


@bp.derivation(r"\text{numbers stored}", items=("S1.11",))
def storage_grows_with_depth():
    """The intermediate values of the forward pass must all be stored: a batch of them for every layer."""
    width, samples = 128, 64

    def stored(rule, phi, x):
        residuals = jax.eval_shape(rule.forward, phi, x)[1]
        return sum(leaf.size for leaf in jax.tree.leaves(residuals))

    numbers = {}
    for depth in (2, 3, 4, 8):
        net, phi, x = shapes_of_relus(depth, width, samples)
        numbers[depth] = stored(net, phi, x)
        yield line(
            rf"\text{{recomputing: }} B n_0, \; d = {depth}",
            bp.equal(stored(bp.remat(net), phi, x), samples * width),
            "a pass that is recomputed stores the datum alone",
        )
    layer = numbers[3] - numbers[2]
    yield line(
        r"\text{a layer} \ge B n",
        bp.at_least(layer, samples * width),
        "each layer adds a batch of x_ι at least",
    )
    yield line(r"\text{a layer}", bp.equal(numbers[4] - numbers[3], layer), "and every layer adds the same")
    yield line(
        r"4 \; \text{layers}",
        bp.equal(numbers[8] - numbers[4], 4 * layer),
        "so storage grows linearly with M",
    )


@bp.derivation(r"\text{bytes, and operations}", items=("S1.11",), uses=(storage_grows_with_depth,))
def recomputing_lowers_memory():
    """Eight layers, two recomputed at a time: fewer bytes, more operations, measured after compiling."""
    two = bp.chain(*(bp.rules.affine(32), bp.rules.relu) * 2)
    x = jax.ShapeDtypeStruct((64, 32), "float32")
    stored, recomputed = (
        program(
            bp.value_and_grad(rule, bp.losses.half_squared_error),
            jax.eval_shape(lambda key, rule=rule: rule.init(key, x)[0], jax.random.key(0)),
            x,
            x,
        )
        for rule in (bp.repeat(two, 4), bp.repeat(bp.remat(two), 4))
    )
    yield line(
        r"\text{bytes}_{\text{recomputed}} < \text{bytes}_{\text{stored}}",
        bp.less(recomputed.memory_analysis().temp_size_in_bytes, stored.memory_analysis().temp_size_in_bytes),
        "memory_analysis of the compiled programs",
    )
    yield line(
        r"\text{operations}_{\text{stored}} < \text{operations}_{\text{recomputed}}",
        bp.less(stored.cost_analysis()["flops"], recomputed.cost_analysis()["flops"]),
        "the price",
    )


@bp.derivation(r"\frac{\partial L_i}{\partial \phi}", items=("S1.11",), args=[PHI, DATUM, OUTPUT])
def recomputing_changes_nothing(phi, x_i, dz_M):
    """Recomputed or stored, the gradient is one."""
    rule = bp.remat(bp.mlp(widths(phi), bp.rules.relu))
    yield line(
        r"\frac{\partial L_i}{\partial \phi}",
        jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_M)[0],
        "definition, every x_ι stored",
    )
    yield line(
        r"\texttt{jax.checkpoint}",
        jax.vjp(jax.checkpoint(lambda phi: g(phi, x_i)), phi)[1](dz_M)[0],
        "x_ι computed again when its turn comes",
    )
    yield line(
        r"\texttt{backproof}",
        bp.remat(bp.mlp(widths(phi), bp.rules.relu)).backward(phi, rule.forward(phi, x_i)[1], dz_M)[0],
        "the same of this library",
    )
