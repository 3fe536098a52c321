r"""Document 003: TestNet, one sample, every component written out.

TestNet has 3 inputs, 4 hidden units and 2 outputs. Layer 0 is the input; L = 2.

    z^(1) = W^(1) a^(0) + b^(1),   a^(1) = relu(z^(1)),   z^(2) = W^(2) a^(1) + b^(2)
    p(y = k) = h(z^(2))_k = exp(z^(2)_k) / Σ exp(z^(2)),    J = −Σ_k 1(y = k) ln p(y = k)

W^(l)_ij leads from unit j of layer l − 1 to unit i of layer l. 1(·) is one where its condition holds and
zero elsewhere. The gate of this document is 1(z ≥ 0), open at zero, where document 001 has it shut: `relu`
below is the function that autodiff gives that slope, and the library calls it `relu_with(1.0)`.

In code `z_2` is z^(2); `y` counts the classes from 0. Formulas that the text has lost are read from the
sentences around them and from the course notes that it follows (cs231n, "Backpropagation, Intuitions").
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

READING_NOTES = {
    "E3(c)": "In the Jacobian of a^(l) the entry ∂a^(1)_1/∂z^(l)_n is ∂a^(l)_1/∂z^(l)_n.",
    "E3(h)": "· stands once for the product entry by entry, which is * everywhere else.",
    "E3(j)": "φJ/φW is ∂J/∂W.",
    "E3(k)": "Underscores were lost: a^{(l)}{1} is a^{(l)}_1.",
}

cross_entropy = bp.losses.softmax_cross_entropy
gate_open = bp.rules.relu_with(1.0)


def one_if(condition):
    """Return 1(condition)."""
    return jnp.where(condition, 1.0, 0.0)


def relu(z):
    """Return max(z, 0), with slope 1(z ≥ 0)."""
    return jnp.where(z >= 0, z, 0.0)


def h(z):
    """Return (p(y = 1), …, p(y = K)), as the document writes it."""
    return jnp.exp(z) / jnp.sum(jnp.exp(z))


def indicator(y, z):
    """Return (1(y = 1), …, 1(y = K))."""
    return one_if(jnp.arange(z.size, dtype=jnp.int32) == y)


def J_of(z, y):
    """Return J = −Σ_k 1(y = k) ln p(y = k)."""
    return -jnp.sum(indicator(y, z) * jnp.log(h(z)))


# The chain rule, on simple functions


@bp.derivation(r"\frac{\partial (x + y)}{\partial (x, y)}", items=("S3.1",))
def a_sum(x: Float[Array, ""], y: Float[Array, ""]):
    """A sum hands what comes from above to both of its terms."""
    yield line(r"\nabla (x + y)", jnp.stack(jax.grad(lambda x, y: x + y, (0, 1))(x, y)), "definition")
    yield line(r"(1, 1)", jnp.array([1.0, 1.0]), "each term moves the sum one for one")
    ones = {"W": jnp.ones((1, 2)), "b": jnp.zeros(1)}
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(1).backward(ones, jnp.stack([x, y]), jnp.ones(1))[1],
        "an affine map with weights 1, 1",
    )


@bp.derivation(r"\frac{\partial\, x y}{\partial (x, y)}", items=("S3.1",))
def a_product(x: Float[Array, ""], y: Float[Array, ""]):
    """A product hands to each factor the other one."""
    yield line(r"\nabla (x y)", jnp.stack(jax.grad(lambda x, y: x * y, (0, 1))(x, y)), "definition")
    yield line(r"(y, x)", jnp.stack([y, x]), "the product is linear in each factor")
    weight = {"W": x[None, None], "b": jnp.zeros(1)}
    _, of_y = bp.rules.affine(1).backward(weight, y[None], jnp.ones(1))
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.affine(1).backward(weight, y[None], jnp.ones(1))[0]["W"][0, 0], of_y[0]]),
        "an affine map with the weight x and the input y",
    )


@bp.derivation(r"\frac{\partial \max(x, y)}{\partial (x, y)}", items=("S3.1",))
def a_maximum(x: Float[Array, ""], y: Float[Array, ""]):
    """A maximum hands everything to the larger one."""
    yield bp.assume(x != y, r"x \neq y")
    yield line(r"\nabla \max(x, y)", jnp.stack(jax.grad(jnp.maximum, (0, 1))(x, y)), "definition")
    yield line(
        r"(1(x \ge y),\; 1(y \ge x))",
        jnp.stack([one_if(x >= y), one_if(y >= x)]),
        "max is x on one side and y on the other",
    )
    _, kept = bp.rules.relu.forward((), x[None] - y[None])
    yield line(
        r"\texttt{backproof}",
        jnp.array([0.0, 1.0])
        + jnp.array([1.0, -1.0]) * bp.rules.relu.backward((), kept, jnp.ones(1))[1].squeeze(),
        "max(x, y) = y + relu(x − y)",
    )


@bp.derivation(r"\nabla \max \text{ at } x = y", items=("S3.1",))
def a_tie(x: Float[Array, ""]):
    """At a tie the two indicators are both 1, and no subgradient is (1, 1)."""
    yield line(r"\nabla \max(x, x)", jnp.stack(jax.grad(jnp.maximum, (0, 1))(x, x)), "autodiff's choice")
    yield line(r"(\tfrac12, \tfrac12)", jnp.array([0.5, 0.5]), "shared")
    _, kept = bp.rules.relu_with(0.5).forward((), x[None] - x[None])
    slope = bp.rules.relu_with(0.5).backward((), kept, jnp.ones(1))[1][0]
    raised = jax.jvp(lambda s: jnp.maximum(x + s, x + s), (jnp.zeros(()),), (jnp.ones(()),))[1]
    yield line(
        r"\frac{d}{ds} \max(x + s, x + s) = 1",
        bp.equal(raised, 1.0),
        "raise both and the maximum rises as much",
    )
    yield line(
        r"1(x \ge x) + 1(x \ge x) = 2 \neq 1",
        bp.differ(one_if(x >= x) + one_if(x >= x), raised),
        "the indicators of the course would have it rise twice as much",
    )
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.relu_with(0.5).backward((), kept, jnp.ones(1))[1][0], 1 - slope]),
        "max(x, y) = y + relu(x − y), with slope ½ at 0",
    )


@bp.derivation(r"\nabla (x + y) z", items=("S3.1",), uses=(a_sum, a_product))
def a_composition(x: Float[Array, ""], y: Float[Array, ""], z: Float[Array, ""]):
    """The function f = (x + y) z, cut into q = x + y and f = q z."""
    yield line(
        r"\nabla f", jnp.stack(jax.grad(lambda x, y, z: (x + y) * z, (0, 1, 2))(x, y, z)), "definition"
    )
    of_q, of_z = jax.grad(lambda q, z: q * z, (0, 1))(x + y, z)
    of_x, of_y = jax.grad(lambda x, y: x + y, (0, 1))(x, y)
    yield line(
        r"\left(\frac{\partial f}{\partial q} \frac{\partial q}{\partial x},\;"
        r" \frac{\partial f}{\partial q} \frac{\partial q}{\partial y},\; \frac{\partial f}{\partial"
        r" z}\right)",
        jnp.stack([of_q * of_x, of_q * of_y, of_z]),
        "chain rule at q",
    )
    yield line(r"(z, z, x + y)", jnp.stack([z * 1.0, z * 1.0, x + y]), "a product, and a sum below it")


@bp.derivation(
    r"\frac{\partial f}{\partial w}, \frac{\partial f}{\partial x}", items=("S3.1",), uses=(a_sum, a_product)
)
def a_neuron(w: Float[Array, " 3"], x: Float[Array, " 2"]):
    """A neuron, f = 1/(1 + e^{−s}), s = w_0 x_0 + w_1 x_1 + w_2: one simple function after the other."""

    def f_of(w, x):
        return 1 / (1 + jnp.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))

    s = w[0] * x[0] + w[1] * x[1] + w[2]
    u = 1 + jnp.exp(-s)
    f = 1 / u
    of_s = jnp.stack([x[0], x[1], jnp.ones(())]), w[:2]
    yield line(
        r"\frac{\partial f}{\partial w},\; \frac{\partial f}{\partial x}",
        jax.grad(f_of, (0, 1))(w, x),
        "definition",
    )
    yield line(
        r"\left(-\frac{1}{u^2}\right) \cdot 1 \cdot e^{-s} \cdot (-1) \cdot"
        r" \frac{\partial s}{\partial (w, x)}, \quad u = 1 + e^{-s}",
        jax.tree.map(lambda of_leaf: (-1 / u**2) * 1.0 * jnp.exp(-s) * -1.0 * of_leaf, of_s),
        "1/u, then 1 + v, then e^r, then −s; then products and sums",
    )
    yield line(
        r"(1 - f)\, f\, \frac{\partial s}{\partial (w, x)}",
        jax.tree.map(lambda of_leaf: (1 - f) * f * of_leaf, of_s),
        "e^{−s}/u² = (u − 1)/u · 1/u = (1 − f) f",
    )
    params = {"W": w[None, :2], "b": w[2:]}
    _, kept = bp.mlp((2, 1), bp.rules.sigmoid, bp.rules.sigmoid).forward((params,), x)
    grads, of_x = bp.layer_step(params, kept[0], jnp.ones(1))
    yield line(
        r"\frac{\partial f}{\partial x} = (1 - f) f\, w",
        bp.equal(of_x, (1 - f) * f * w[:2]),
        "and so w is what x hears",
    )
    yield line(
        r"\texttt{backproof}",
        (jnp.concatenate([grads["W"][0], grads["b"]]), bp.layer_step(params, kept[0], jnp.ones(1))[1]),
        "what this library runs",
    )


# A point that is given rather than drawn: a number that can only be 1.
ONE = bp.array("", low=1, high=1)


@bp.derivation(r"w = (2, -3, -3),\; x = (-1, -2)", items=("S3.1",), uses=(a_neuron,), args=[ONE])
def the_figures_of_the_course(one):
    """The numbers that the course gives for this neuron, to its three digits."""
    params, x = {"W": one * jnp.array([[2.0, -3.0]]), "b": jnp.array([-3.0])}, jnp.array([-1.0, -2.0])
    f, kept = bp.mlp((2, 1), bp.rules.sigmoid, bp.rules.sigmoid).forward((params,), x)
    grads, of_x = bp.layer_step(params, kept[0], jnp.ones(1))
    for name, got, figure in (
        ("f", f[0], 0.731),
        (r"\partial f / \partial w_0", grads["W"][0, 0], -0.197),
        (r"\partial f / \partial w_1", grads["W"][0, 1], -0.393),
        (r"\partial f / \partial w_2", grads["b"][0], 0.197),
        (r"\partial f / \partial x_0", of_x[0], 0.393),
        (r"\partial f / \partial x_1", of_x[1], -0.590),
    ):
        yield line(rf"{name} = {figure}", bp.at_most(jnp.abs(got - figure), 0.0005), "to three digits")


# Jacobians


@bp.derivation(r"\frac{\partial y}{\partial x}", items=("S3.2",))
def rows_are_outputs(W: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"]):
    """The Jacobian of f: ℝⁿ → ℝᵐ is m × n: a row for each output, a column for each input."""
    params = {"W": W, "b": b}
    yield line(r"\frac{\partial y}{\partial x}", jax.jacobian(lambda x: relu(W @ x + b))(x), "definition")
    yield line(
        r"\left(\frac{\partial y_i}{\partial x_j}\right)_{ij}",
        jnp.stack([jax.grad(lambda x, i=i: relu(W @ x + b)[i])(x) for i in range(len(b))]),
        "row i is the gradient of y_i",
    )
    yield line(
        r"\mathrm{diag}(1(z \ge 0))\, W", jnp.diag(one_if(W @ x + b >= 0)) @ W, "y = relu(z), z = W x + b"
    )
    _, kept = bp.mlp((x.size, len(b)), gate_open, gate_open).forward((params,), x)
    yield line(r"m \times n", bp.holds(W.shape == (len(b), x.size)), "numerator layout")
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.layer_step(params, kept[0], e_i)[1] for e_i in jnp.eye(len(b))]),
        "row i is the backward pass of component i",
    )


@bp.derivation(r"\frac{\partial a}{\partial z}", items=("S3.2", "S3.13"))
def the_gate(z: Float[Array, " n"]):
    """Applied to each component, relu has a diagonal Jacobian: ∂a_i/∂z_j = 0 for j ≠ i."""
    yield line(r"\frac{\partial a}{\partial z}", jax.jacobian(relu)(z), "definition")
    yield line(
        r"\delta_{ij}\, \mathrm{relu}'(z_i)",
        jnp.einsum("ij,i->ij", jnp.eye(z.size), jax.vmap(jax.grad(relu))(z)),
        "a_i = relu(z_i) hears z_i alone",
    )
    yield line(r"\mathrm{diag}(1(z_i \ge 0))", jnp.diag(one_if(z >= 0)), "the slope of relu, 1 at zero too")
    _, kept = bp.rules.relu_with(1.0).forward((), z)
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.relu_with(1.0).backward((), kept, e_i)[1] for e_i in jnp.eye(z.size)]),
        "row by row, what this library runs",
    )


# The network

TESTNET = (
    {"W": bp.array("4 3"), "b": bp.array("4")},
    {"W": bp.array("2 4"), "b": bp.array("2")},
)
DATUM, LABEL = bp.array("3"), bp.integers("", 0, 1)


def testnet(params, a_0):
    """Return z^(2)."""
    hidden, top = params
    return top["W"] @ relu(hidden["W"] @ a_0 + hidden["b"]) + top["b"]


@bp.derivation(r"n^{(0)} = 3,\; n^{(1)} = 4,\; n^{(2)} = 2", items=("S3.3",), args=[TESTNET, DATUM])
def sizes(params, a_0):
    """What each letter counts, and the shape that follows from it."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_2, kept = bp.mlp((3, 4, 2), gate_open).forward(params, a_0)
    shape_of = {
        r"W^{(1)} \in \mathbb{R}^{4 \times 3}": (W_1, (4, 3)),
        r"W^{(2)} \in \mathbb{R}^{2 \times 4}": (W_2, (2, 4)),
        r"b^{(1)} \in \mathbb{R}^4": (b_1, (4,)),
        r"b^{(2)} \in \mathbb{R}^2": (b_2, (2,)),
        r"a^{(0)} \in \mathbb{R}^3": (kept[0].x, (3,)),
        r"a^{(1)} \in \mathbb{R}^4": (kept[1].x, (4,)),
        r"z^{(2)} \in \mathbb{R}^2": (z_2, (2,)),
        r"W^{(1)}_1 \in \mathbb{R}^{1 \times 3}": (W_1[0:1, :], (1, 3)),
    }
    for latex, (value, shape) in shape_of.items():
        yield line(latex, bp.holds(value.shape == shape), "rows: this layer; columns: the layer below")
    yield line(
        r"12 + 4 + 8 + 2 = 26", bp.equal(sum(leaf.size for leaf in jax.tree.leaves(params)), 26), "parameters"
    )
    yield line(
        r"\frac{\partial z^{(1)}_3}{\partial a^{(0)}_2} = W^{(1)}_{3,2}",
        bp.equal(
            jax.jacobian(lambda a: W_1 @ a + b_1)(a_0)[2, 1],
            W_1[2, 1],
        ),
        "W_ij leads from unit j of the layer below to unit i",
    )


@bp.derivation(r"z^{(2)}", items=("S3.4", "S3.5"), args=[TESTNET, DATUM])
def forward(params, a_0):
    """Forward, one component at a time: what the document writes in ten lines."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_1 = jnp.stack([W_1[i, 0] * a_0[0] + W_1[i, 1] * a_0[1] + W_1[i, 2] * a_0[2] + b_1[i] for i in range(4)])
    a_1 = jnp.stack([relu(z_1[i]) for i in range(4)])
    yield line(
        r"z^{(2)}_i = \sum_j W^{(2)}_{i,j} a^{(1)}_j + b^{(2)}_i",
        jnp.stack([sum(W_2[i, j] * a_1[j] for j in range(4)) + b_2[i] for i in range(2)]),
        "definition, by components",
    )
    yield line(
        r"z^{(2)}_i = W^{(2)}_i \cdot a^{(1)} + b^{(2)}_i",
        jnp.stack([jnp.vdot(W_2[i], a_1) + b_2[i] for i in range(2)]),
        "row i of W^(2) times a column",
    )
    yield line(r"W^{(2)} a^{(1)} + b^{(2)}", W_2 @ a_1 + b_2, "all rows at once")
    yield line(
        r"W^{(2)} \mathrm{relu}(W^{(1)} a^{(0)} + b^{(1)}) + b^{(2)}",
        W_2 @ relu(W_1 @ a_0 + b_1) + b_2,
        "the hidden layer likewise; no activation after the last",
    )
    _, kept = bp.mlp((3, 4, 2), bp.rules.relu_with(1.0)).forward(params, a_0)
    yield line(r"a^{(0)} = x", bp.equal(kept[0].x, a_0), "the input layer calculates nothing")
    yield line(
        r"\texttt{backproof}",
        bp.mlp((3, 4, 2), bp.rules.relu_with(1.0)).forward(params, a_0)[0],
        "what this library runs",
    )


@bp.derivation(r"z^{(2)}", items=("S3.5",), uses=(forward,), args=[TESTNET[1], bp.array("4")])
def the_output_layer_has_no_activation(layer, a_1):
    """The scores go into the probabilities as they are, negative ones too."""
    z = layer["W"] @ a_1 + layer["b"]
    yield line(
        r"z^{(2)} \neq \mathrm{relu}(z^{(2)})",
        bp.differ(z, relu(z), somewhere=True),
        "an activation would show",
    )
    yield line(
        r"\texttt{backproof} = W^{(2)} a^{(1)} + b^{(2)}",
        bp.equal(bp.mlp((4, 2), gate_open).forward((layer,), a_1)[0], z),
        "what this library runs",
    )


# Score and loss

SCORES, CLASS = bp.array("K"), bp.integers("", 0, "K-1")


@bp.derivation(r"p(y = k)", items=("S3.6",))
def softmax(z: Float[Array, " K"]):
    """The scores as probabilities."""
    yield line(
        r"\frac{\exp z_k}{\sum_i \exp z_i}",
        jnp.stack([jnp.exp(z[k]) / sum(jnp.exp(z[i]) for i in range(z.size)) for k in range(z.size)]),
        "definition",
    )
    yield line(r"\frac{\exp z}{\sum \exp z}", jnp.exp(z) / jnp.sum(jnp.exp(z)), "as vectors")
    top = jax.lax.stop_gradient(jnp.max(z))
    yield line(
        r"\frac{\exp(z - m)}{\sum \exp(z - m)}, \quad m = \max z",
        jnp.exp(z - top) / jnp.sum(jnp.exp(z - top)),
        "numerator and denominator divided by e^m",
    )
    yield line(
        r"\sum_k p(y = k) = 1", bp.equal(jnp.sum(bp.rules.softmax.forward((), z)[0]), 1.0), "they sum to 1"
    )
    yield line(r"\texttt{backproof}", bp.rules.softmax.forward((), z)[0], "what this library runs")


@bp.derivation(r"J", items=("S3.7",), uses=(softmax,), args=[SCORES, CLASS])
def loss(z, y):
    """The loss is minus the logarithm of the probability of the class."""
    t = indicator(y, z)
    yield line(r"-\sum_k 1(y = k) \ln p(y = k)", -jnp.sum(t * jnp.log(h(z))), "definition")
    yield line(r"-\ln p_y", -jnp.log(jnp.sum(t * h(z))), "one indicator is 1, the others 0")
    yield line(
        r"-\left(z_y - \ln \sum_i \exp z_i\right)",
        -jnp.sum(t * (z - jnp.log(jnp.sum(jnp.exp(z))))),
        "the logarithm of a quotient",
    )
    yield line(r"\texttt{backproof}", cross_entropy.forward(z, y)[0], "this library, given the class")
    yield line(
        r"\texttt{backproof}", bp.losses.softmax_cross_entropy_dense.forward(z, t)[0], "and given 1(y = k)"
    )


# Backward: from the loss to z^(2)


@bp.derivation(r"\frac{\partial p(y=1)}{\partial z_1}", items=("S3.8",), uses=(softmax,))
def slope_of_p_by_its_own_score(z: Float[Array, " 2"]):
    """The quotient rule, where numerator and denominator both hear z_1."""
    e, total = jnp.exp(z), jnp.sum(jnp.exp(z))
    p = h(z)
    yield line(r"\frac{\partial p(y=1)}{\partial z_1}", jax.grad(lambda z: h(z)[0])(z)[0], "definition")
    yield line(
        r"\frac{\exp z_1 \sum \exp z - \exp z_1 \exp z_1}{(\sum \exp z)^2}",
        (e[0] * total - e[0] * e[0]) / total**2,
        "quotient rule",
    )
    yield line(
        r"\frac{\exp z_1}{\sum \exp z} - \left(\frac{\exp z_1}{\sum \exp z}\right)^2",
        e[0] / total - (e[0] / total) ** 2,
        "the fraction split",
    )
    yield line(r"p(y=1) - p(y=1)^2", p[0] - p[0] ** 2, "softmax")
    yield line(
        r"\texttt{backproof}",
        bp.rules.softmax.backward((), bp.rules.softmax.forward((), z)[1], jnp.array([1.0, 0.0]))[1][0],
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial p(y=2)}{\partial z_1}", items=("S3.8",), uses=(softmax,))
def slope_of_p_by_another_score(z: Float[Array, " 2"]):
    """The quotient rule, where only the denominator hears z_1."""
    e, total = jnp.exp(z), jnp.sum(jnp.exp(z))
    p = h(z)
    yield line(r"\frac{\partial p(y=2)}{\partial z_1}", jax.grad(lambda z: h(z)[1])(z)[0], "definition")
    yield line(
        r"\frac{-\exp z_2 \exp z_1}{(\sum \exp z)^2}",
        (0.0 * total - e[1] * e[0]) / total**2,
        "quotient rule; the numerator does not hear z_1",
    )
    yield line(
        r"-\frac{\exp z_1}{\sum \exp z} \frac{\exp z_2}{\sum \exp z}",
        -(e[0] / total) * (e[1] / total),
        "the fraction split",
    )
    yield line(r"-p(y=1)\, p(y=2)", -p[0] * p[1], "softmax")
    yield line(
        r"\texttt{backproof}",
        bp.rules.softmax.backward((), bp.rules.softmax.forward((), z)[1], jnp.array([0.0, 1.0]))[1][0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(2)}_1}",
    items=("S3.8", "S3.9"),
    uses=(loss, slope_of_p_by_its_own_score, slope_of_p_by_another_score),
    args=[bp.array("2"), LABEL],
)
def two_classes(z, y):
    """From the chain rule to p − 1(y), for the two classes of TestNet."""
    p, t = h(z), indicator(y, z)
    yield line(r"\frac{\partial J}{\partial z_1}", jax.grad(lambda z: J_of(z, y))(z)[0], "definition")
    yield line(
        r"-\frac{1(y=1)}{p(y=1)} \frac{\partial p(y=1)}{\partial z_1}"
        r" - \frac{1(y=2)}{p(y=2)} \frac{\partial p(y=2)}{\partial z_1}",
        -t[0] / p[0] * jax.jacobian(h)(z)[0, 0] - t[1] / p[1] * jax.jacobian(h)(z)[1, 0],
        "chain rule at p: ln′ is one over p",
    )
    yield line(
        r"-\frac{1(y=1)}{p_1} (p_1 - p_1^2) - \frac{1(y=2)}{p_2} (-p_1 p_2)",
        -t[0] / p[0] * (p[0] - p[0] ** 2) - t[1] / p[1] * (-p[0] * p[1]),
        "the two slopes of p",
    )
    yield line(r"-1(y=1)(1 - p_1) + 1(y=2)\, p_1", -t[0] * (1 - p[0]) + t[1] * p[0], "p_1 and p_2 cancel")
    yield line(r"p_1 \left(1(y=1) + 1(y=2)\right) - 1(y=1)", p[0] * (t[0] + t[1]) - t[0], "sorted by p_1")
    yield line(r"p(y=1) - 1(y=1)", p[0] - t[0], "one of the two indicators is 1")
    yield line(
        r"\texttt{backproof}",
        cross_entropy.backward(cross_entropy.forward(z, y)[1])[0],
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial p}{\partial z}", items=("S3.8", "S3.9"), uses=(softmax,))
def jacobian_of_softmax(z: Float[Array, " K"]):
    """The same for K classes: p_k − p_k² on the diagonal, −p_i p_k off it."""
    p = h(z)
    yield line(r"\frac{\partial p}{\partial z}", jax.jacobian(h)(z), "definition")
    yield line(
        r"p_k - p_k^2 \;(i = k), \quad -p_i p_k \;(i \neq k)",
        jnp.stack(
            [
                jnp.stack([p[i] - p[i] ** 2 if i == k else -p[i] * p[k] for k in range(z.size)])
                for i in range(z.size)
            ]
        ),
        "the quotient rule, entry by entry",
    )
    yield line(r"\mathrm{diag}(p) - p p^{\top}", jnp.diag(p) - jnp.outer(p, p), "both cases in one")
    _, kept = bp.rules.softmax.forward((), z)
    S = jnp.diag(p) - jnp.outer(p, p)
    yield line(r"S = S^{\top}", bp.equal(S, S.T), "symmetric")
    yield line(
        r"\mathrm{diag}(p)\, 1 = p\, p^{\top} 1, \quad S 1 = 0",
        bp.equal(jnp.diag(p) @ jnp.ones(z.size), jnp.outer(p, p) @ jnp.ones(z.size)),
        "a shift of all scores changes nothing",
    )
    yield line(
        r"\det S_{1..K-1} = p_1 \cdots p_K \neq 0",
        bp.equal(jnp.linalg.det(S[:-1, :-1]), jnp.prod(p)),
        "so its rank is K − 1",
    )
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.softmax.backward((), kept, e_i)[1] for e_i in jnp.eye(z.size)]),
        "row by row, what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(L)}}",
    items=("S3.9", "S3.16"),
    uses=(loss, jacobian_of_softmax),
    args=[SCORES, CLASS],
)
def output_residual(z, y):
    """The residual of the last layer, δ^(L) = h − 1(y), for any number of classes."""
    p, t = h(z), indicator(y, z)
    yield line(r"\frac{\partial J}{\partial z_k}", jax.grad(lambda z: J_of(z, y))(z), "definition")
    yield line(
        r"-\sum_i \frac{1(y=i)}{p_i} \frac{\partial p_i}{\partial z_k}",
        jnp.einsum("i,ik->k", -t / p, jax.jacobian(h)(z)),
        "chain rule at p",
    )
    yield line(
        r"-\sum_i \frac{1(y=i)}{p_i} (\delta_{ik}\, p_k - p_i p_k)",
        jnp.einsum("i,ik->k", -t / p, jnp.diag(p) - jnp.outer(p, p)),
        "the Jacobian of softmax",
    )
    yield line(r"-1(y=k) + p_k \sum_i 1(y=i)", -t + p * jnp.sum(t), "p_i cancels in both terms")
    yield line(r"p_k - 1(y=k)", p - t, "the indicators sum to 1")
    yield line(
        r"\texttt{backproof}",
        cross_entropy.backward(cross_entropy.forward(z, y)[1]),
        "what this library runs",
    )


@bp.derivation(
    r"-\frac{\partial J}{\partial W^{(2)}_{y,j}}",
    items=("S3.9",),
    uses=(output_residual,),
    args=[TESTNET, DATUM, LABEL],
)
def residuals_cancel(params, a_0, y):
    """Probabilities and indicators both sum to 1: the residual of the class is minus the sum of the others.

    So the residuals sum to 0, and with them every column of ∂J/∂W^(2), and ∂J/∂b^(2).
    """
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    a_1 = relu(W_1 @ a_0 + b_1)
    p = h(W_2 @ a_1 + b_2)
    t = indicator(y, p)
    yield line(
        r"-\frac{\partial J}{\partial W^{(2)}_{y,j}}",
        -jnp.einsum("k,kj->j", t, jax.grad(lambda W_2: J_of(W_2 @ a_1 + b_2, y))(W_2)),
        "definition",
    )
    yield line(
        r"(1 - p_y)\, a^{(1)}_j", (1 - jnp.vdot(t, p)) * a_1, "∂J/∂W^(2) = δ^(2) (a^(1))ᵀ, and δ_y = p_y − 1"
    )
    yield line(
        r"\left(\sum_{k \neq y} p_k\right) a^{(1)}_j", jnp.vdot(1 - t, p) * a_1, "the probabilities sum to 1"
    )
    grads = bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1]
    yield line(
        r"\sum_{k \neq y} \frac{\partial J}{\partial b^{(2)}_k} = -\frac{\partial J}{\partial b^{(2)}_y}",
        bp.equal(jnp.vdot(1 - t, grads[1]["b"]), -jnp.vdot(t, grads[1]["b"])),
        "the same for b^(2)",
    )
    yield line(
        r"\sum_{k \neq y} \texttt{backproof}_{k,j}",
        jnp.einsum(
            "k,kj->j",
            1 - t,
            bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1][1]["W"],
        ),
        "what this library runs, summed over the other classes",
    )


@bp.derivation(
    r"\frac{\partial}{\partial z} \left(-\sum_k t_k \ln p_k\right)",
    items=("S3.10",),
    uses=(jacobian_of_softmax,),
)
def targets_that_do_not_sum_to_one(z: Float[Array, " K"], t: Float[Array, " K"]):
    """The short form p − t needs Σ t = 1. For any other target the truth is p Σ t − t."""
    p = h(z)
    yield line(
        r"\frac{\partial J}{\partial z_k}", jax.grad(lambda z: -jnp.sum(t * jnp.log(h(z))))(z), "definition"
    )
    yield line(
        r"-\frac{t_k}{p_k}\, p_k + p_k \sum_i \frac{t_i}{p_i}\, p_i",
        -(t / p) * p + p * jnp.sum((t / p) * p),
        "chain rule at p, with ∂p_i/∂z_k = δ_ik p_k − p_i p_k",
    )
    yield line(r"p_k \sum_i t_i - t_k", p * jnp.sum(t) - t, "p_i cancels")
    dense = bp.losses.softmax_cross_entropy_dense
    yield line(
        r"p \sum t - t \neq p - t",
        bp.differ(p * jnp.sum(t) - t, p - t, somewhere=True),
        "the short form is another",
    )
    yield line(
        r"\texttt{backproof}",
        bp.losses.softmax_cross_entropy_dense.backward(dense.forward(z, t)[1]),
        "what this library runs",
    )


@bp.derivation(r"t = (1, 1)", items=("S3.10",), uses=(targets_that_do_not_sum_to_one,), args=[ONE])
def smallest_unnormalised_target(one):
    """Two classes, t = (1, 1), p = (35/36, 1/36): the short form has not even the sign right."""
    z, t = jnp.array([np.log(35.0), 0.0]), one * jnp.ones(2)
    dense = bp.losses.softmax_cross_entropy_dense
    yield line(
        r"\nabla \left(-\sum_k t_k \ln p_k\right)",
        jax.grad(lambda z: -jnp.sum(t * jax.nn.log_softmax(z)))(z),
        "definition",
    )
    yield line(r"2 p - t = (\tfrac{34}{36}, -\tfrac{34}{36})", jnp.array([34 / 36, -34 / 36]), "p Σ t − t")
    yield line(
        r"2 p - t \neq p - t = (-\tfrac{1}{36}, -\tfrac{35}{36})",
        bp.differ(jax.nn.softmax(z) * jnp.sum(t) - t, jax.nn.softmax(z) - t),
        "the short form",
    )
    yield line(
        r"\texttt{backproof}",
        bp.losses.softmax_cross_entropy_dense.backward(dense.forward(z, t)[1]),
        "what this library runs",
    )


# Backward: from z^(2) to the parameters of TestNet


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(2)}}, \frac{\partial J}{\partial b^{(2)}}",
    items=("S3.11", "S3.15"),
    uses=(two_classes, output_residual),
    args=[TESTNET[1], bp.array("4"), LABEL],
)
def last_weights(layer, a_1, y):
    """Eight derivatives, of which the document writes each; and the two of the bias, which it leaves out."""
    W, b = layer["W"], layer["b"]
    z = W @ a_1 + b
    p, t = h(z), indicator(y, z)
    of_z = jax.grad(lambda z: J_of(z, y))(z)
    yield line(
        r"\frac{\partial J}{\partial W^{(2)}},\; \frac{\partial J}{\partial b^{(2)}}",
        jax.grad(lambda layer: J_of(layer["W"] @ a_1 + layer["b"], y))(layer),
        "definition",
    )
    yield line(
        r"\sum_k \frac{\partial J}{\partial z_k} \frac{\partial z_k}{\partial W_{i,j}},\;"
        r" \sum_k \frac{\partial J}{\partial z_k} \frac{\partial z_k}{\partial b_i}",
        {
            "W": jnp.einsum("k,kij->ij", of_z, jax.jacobian(lambda W: W @ a_1 + b)(W)),
            "b": jnp.einsum("k,ki->i", of_z, jax.jacobian(lambda b: W @ a_1 + b)(b)),
        },
        "chain rule at z^(2)",
    )
    yield line(
        r"(p(y=i) - 1(y=i))\, a^{(1)}_j,\; p(y=i) - 1(y=i)",
        {
            "W": jnp.stack([jnp.stack([(p[i] - t[i]) * a_1[j] for j in range(4)]) for i in range(2)]),
            "b": jnp.stack([p[i] - t[i] for i in range(2)]),
        },
        "only z_i hears W_ij, with derivative a_j; and b_i, with derivative 1",
    )
    yield line(
        r"\delta^{(2)} (a^{(1)})^{\top},\; \delta^{(2)}",
        {"W": (p - t)[:, None] @ a_1[None, :], "b": p - t},
        "(2 × 1)(1 × 4)",
    )
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(2).backward(layer, a_1, cross_entropy.backward(cross_entropy.forward(z, y)[1]))[0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial a^{(1)}}",
    items=("S3.12",),
    uses=(output_residual,),
    args=[TESTNET[1], bp.array("4"), LABEL],
)
def hidden_output(layer, a_1, y):
    """Both scores hear a^(1)_j: a sum over the column j of W^(2)."""
    W, b = layer["W"], layer["b"]
    z = W @ a_1 + b
    delta = h(z) - indicator(y, z)
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}}", jax.grad(lambda a: J_of(W @ a + b, y))(a_1), "definition"
    )
    yield line(
        r"\sum_i \frac{\partial J}{\partial z_i} \frac{\partial z_i}{\partial a_j}",
        jnp.einsum("i,ij->j", jax.grad(lambda z: J_of(z, y))(z), jax.jacobian(lambda a: W @ a + b)(a_1)),
        "chain rule at z^(2)",
    )
    yield line(
        r"(p(y=1) - 1(y=1))\, W_{1,j} + (p(y=2) - 1(y=2))\, W_{2,j}",
        jnp.stack([delta[0] * W[0, j] + delta[1] * W[1, j] for j in range(4)]),
        "∂z_i/∂a_j = W_ij",
    )
    yield line(r"(W^{(2)})^{\top} \delta^{(2)}", (W.T @ delta[:, None])[:, 0], "(4 × 2)(2 × 1)")
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(2).backward(layer, a_1, cross_entropy.backward(cross_entropy.forward(z, y)[1]))[1],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(1)}}",
    items=("S3.13",),
    uses=(the_gate, hidden_output),
    args=[TESTNET[1], bp.array("4"), LABEL],
)
def hidden_input(layer, z_1, y):
    """Through the gate: entry by entry, for ∂a/∂z is diagonal."""
    W, b = layer["W"], layer["b"]
    z_2 = W @ relu(z_1) + b
    delta = h(z_2) - indicator(y, z_2)
    of_a = jax.grad(lambda a: J_of(W @ a + b, y))(relu(z_1))
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}}",
        jax.grad(lambda z: J_of(W @ relu(z) + b, y))(z_1),
        "definition",
    )
    yield line(
        r"\sum_j \frac{\partial J}{\partial a_j} \frac{\partial a_j}{\partial z_i}",
        jnp.stack([jnp.vdot(of_a, jax.jacobian(relu)(z_1)[:, i]) for i in range(4)]),
        "chain rule at a^(1)",
    )
    yield line(
        r"\frac{\partial J}{\partial a_i}\, 1(z_i \ge 0)",
        jnp.stack([of_a[i] * one_if(z_1[i] >= 0) for i in range(4)]),
        "the Jacobian is diagonal",
    )
    yield line(
        r"\left(\sum_k (p(y=k) - 1(y=k))\, W_{k,i}\right) 1(z_i \ge 0)",
        jnp.stack([(delta[0] * W[0, i] + delta[1] * W[1, i]) * one_if(z_1[i] >= 0) for i in range(4)]),
        "∂J/∂a^(1), component i",
    )
    yield line(
        r"\left((W^{(2)})^{\top} \delta^{(2)}\right) * 1(z^{(1)} \ge 0)",
        (W.T @ delta) * one_if(z_1 >= 0),
        "as vectors",
    )
    a_1, kept = bp.rules.relu_with(1.0).forward((), z_1)
    of_z_2 = cross_entropy.backward(cross_entropy.forward(W @ a_1 + b, y)[1])
    yield line(
        r"\texttt{backproof}",
        bp.rules.relu_with(1.0).backward((), kept, bp.rules.affine(2).backward(layer, a_1, of_z_2)[1])[1],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(1)}}, \frac{\partial J}{\partial b^{(1)}}",
    items=("S3.14", "S3.15"),
    uses=(hidden_input,),
    args=[TESTNET, DATUM, LABEL],
)
def hidden_weights(params, a_0, y):
    """The twelve derivatives by W^(1), and the four by b^(1), which the document leaves out."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_1 = W_1 @ a_0 + b_1
    z_2 = W_2 @ relu(z_1) + b_2
    delta = h(z_2) - indicator(y, z_2)
    dz_1 = (W_2.T @ delta) * one_if(z_1 >= 0)
    yield line(
        r"\frac{\partial J}{\partial W^{(1)}},\; \frac{\partial J}{\partial b^{(1)}}",
        jax.grad(lambda W_1, b_1: J_of(W_2 @ relu(W_1 @ a_0 + b_1) + b_2, y), (0, 1))(W_1, b_1),
        "definition",
    )
    yield line(
        r"\sum_k \frac{\partial J}{\partial z_k} \frac{\partial z_k}{\partial W_{i,j}},\;"
        r" \frac{\partial J}{\partial z_i}",
        (
            jnp.einsum(
                "k,kij->ij",
                jax.grad(lambda z: J_of(W_2 @ relu(z) + b_2, y))(z_1),
                jax.jacobian(lambda W: W @ a_0 + b_1)(W_1),
            ),
            jax.grad(lambda z: J_of(W_2 @ relu(z) + b_2, y))(z_1),
        ),
        "chain rule at z^(1); ∂z_k/∂b_i = δ_ki",
    )
    yield line(
        r"\left(\sum_k \delta^{(2)}_k W^{(2)}_{k,i}\right) 1(z_i \ge 0)\, a^{(0)}_j",
        (
            jnp.stack(
                [
                    jnp.stack(
                        [
                            (delta[0] * W_2[0, i] + delta[1] * W_2[1, i]) * one_if(z_1[i] >= 0) * a_0[j]
                            for j in range(3)
                        ]
                    )
                    for i in range(4)
                ]
            ),
            jnp.stack(
                [(delta[0] * W_2[0, i] + delta[1] * W_2[1, i]) * one_if(z_1[i] >= 0) for i in range(4)]
            ),
        ),
        "only z_i hears W_ij, with derivative a_j",
    )
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}} (a^{(0)})^{\top},\; \frac{\partial J}{\partial z^{(1)}}",
        (dz_1[:, None] @ a_0[None, :], dz_1),
        "(4 × 1)(1 × 3)",
    )
    first = bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1][0]
    yield line(
        r"\texttt{backproof}",
        (
            bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1][0]["W"],
            first["b"],
        ),
        "what this library runs",
    )


# The general form

DEEP = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
    {"W": bp.array("K q"), "b": bp.array("K")},
)


def deep(params, a):
    """Return z^(L) of the input a^(0)."""
    for layer in params[:-1]:
        a = relu(layer["W"] @ a + layer["b"])
    return params[-1]["W"] @ a + params[-1]["b"]


def widths(params):
    """Return n^(0), …, n^(L)."""
    return (params[0]["W"].shape[1], *(layer["b"].size for layer in params))


@bp.derivation(
    r"\nabla_{W^{(l)}} J, \nabla_{b^{(l)}} J",
    items=("S3.16",),
    uses=(output_residual, the_gate, hidden_weights),
    args=[DEEP, bp.array("d"), CLASS],
)
def general_form(params, a_0, y):
    """L layers and K classes, by the residuals δ^(l) = ∂J/∂z^(l); shown for L = 3."""
    W = [layer["W"] for layer in params]
    z_1 = W[0] @ a_0 + params[0]["b"]
    z_2 = W[1] @ relu(z_1) + params[1]["b"]
    z_3 = W[2] @ relu(z_2) + params[2]["b"]
    delta_3 = h(z_3) - indicator(y, z_3)
    delta_2 = (W[2].T @ delta_3) * one_if(z_2 >= 0)
    delta_1 = (W[1].T @ delta_2) * one_if(z_1 >= 0)
    yield line(
        r"\left(\nabla_{W^{(l)}} J,\; \nabla_{b^{(l)}} J\right)_{l = 1 \ldots L}",
        jax.grad(lambda params: J_of(deep(params, a_0), y))(params),
        "definition",
    )
    yield line(
        r"\left(\frac{\partial J}{\partial z^{(l)}} (a^{(l-1)})^{\top},\;"
        r" \frac{\partial J}{\partial z^{(l)}}\right)_{l = 1 \ldots L}",
        tuple(
            {"W": delta[:, None] @ a[None, :], "b": delta}
            for delta, a in (
                (
                    jax.grad(
                        lambda z: J_of(W[2] @ relu(W[1] @ relu(z) + params[1]["b"]) + params[2]["b"], y)
                    )(z_1),
                    a_0,
                ),
                (jax.grad(lambda z: J_of(W[2] @ relu(z) + params[2]["b"], y))(z_2), relu(z_1)),
                (jax.grad(lambda z: J_of(z, y))(z_3), relu(z_2)),
            )
        ),
        "at every layer as at the two of TestNet",
    )
    yield line(
        r"\delta^{(L)} = h - 1(y),\;"
        r" \delta^{(l)} = \left((W^{(l+1)})^{\top} \delta^{(l+1)}\right) * 1(z^{(l)} \ge 0)",
        (
            {"W": delta_1[:, None] @ a_0[None, :], "b": delta_1},
            {"W": delta_2[:, None] @ relu(z_1)[None, :], "b": delta_2},
            {"W": delta_3[:, None] @ relu(z_2)[None, :], "b": delta_3},
        ),
        "the residuals, from l = L − 1 to 1",
    )
    yield line(
        r"\texttt{backproof}",
        bp.value_and_grad(bp.mlp(widths(params), gate_open), cross_entropy)(params, a_0, y)[1],
        "what this library runs",
    )


@bp.derivation(
    r"W^{(l)} - \alpha \frac{\partial J}{\partial W^{(l)}}",
    items=("S3.17",),
    uses=(last_weights, hidden_weights),
    args=[TESTNET, DATUM, LABEL, bp.array("")],
)
def update(params, a_0, y, alpha):
    """One step of gradient descent, on weights and biases."""
    yield line(
        r"W^{(l)}_{i,j} - \alpha \frac{\partial J}{\partial W^{(l)}_{i,j}},\;"
        r" b^{(l)}_i - \alpha \frac{\partial J}{\partial b^{(l)}_i}",
        jax.tree.map(
            lambda w, of_w: w - alpha * of_w,
            params,
            jax.grad(lambda params: J_of(testnet(params, a_0), y))(params),
        ),
        "definition",
    )
    grads = bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1]
    yield line(
        r"W^{(l)} - \alpha \nabla_{W^{(l)}} J,\; b^{(l)} - \alpha \nabla_{b^{(l)}} J",
        tuple(
            {"W": layer["W"] - alpha * of_layer["W"], "b": layer["b"] - alpha * of_layer["b"]}
            for layer, of_layer in zip(params, grads, strict=True)
        ),
        "the gradients derived above",
    )
    net = bp.mlp((3, 4, 2), gate_open)
    z_2, kept = net.forward(params, a_0)
    of_z = cross_entropy.backward(cross_entropy.forward(z_2, y)[1])
    yield line(
        r"\texttt{backproof}",
        bp.descend(net, params, kept, of_z, lambda w, of_w: w - alpha * of_w)[0],
        "what this library runs, layer by layer",
    )


# "If the input data grow by a factor of 1000, the gradient grows by at least 1000": false, and what is true


@bp.derivation(r"\frac{\partial J}{\partial W^{(1)}}", items=("S3.18",), uses=(hidden_weights,))
def factor_at_a_fixed_residual(
    W: Float[Array, "n m"],
    b: Float[Array, " n"],
    x: Float[Array, " m"],
    delta: Float[Array, " n"],
    c: Float[Array, ""],
):
    """What the document has in mind: δ xᵀ carries the factor of x. But only if δ stays as it was."""
    yield line(
        r"\frac{\partial J}{\partial W} \text{ at } c x",
        jax.vjp(lambda W: W @ (c * x) + b, W)[1](delta)[0],
        "definition, δ held fixed",
    )
    yield line(r"\delta (c x)^{\top}", delta[:, None] @ (c * x)[None, :], "a column times a row")
    yield line(r"c\, \delta x^{\top}", c * (delta[:, None] @ x[None, :]), "c is a number")
    yield line(
        r"\frac{\partial J}{\partial b} = \delta",
        bp.equal(bp.rules.affine(len(b)).backward({"W": W, "b": b}, c * x, delta)[0]["b"], delta),
        "the bias does not carry it",
    )
    yield line(
        r"c \cdot \texttt{backproof}",
        c * bp.rules.affine(len(b)).backward({"W": W, "b": b}, x, delta)[0]["W"],
        "what this library runs",
    )


def hinge(t, s):
    """Return Σ max(0, 1 − t s), the loss of the course's linear classifier."""
    return jnp.sum(jnp.where(1 - t * s > 0, 1 - t * s, 0.0))


@bp.derivation(
    r"\frac{\partial J}{\partial W}",
    items=("S3.18",),
    args=[bp.array("n m"), bp.array("m"), bp.array("", low=1, high=1000)],
)
def linear_scores_and_a_hinge(W, x, c):
    """Where the remark comes from: linear scores, a hinge, and a margin that is missed at both scales."""
    t = jnp.where(W @ x >= 0, -1.0, 1.0)  # every score is on the wrong side, at any scale
    yield line(
        r"\frac{\partial J}{\partial W} \text{ at } c x",
        jax.grad(lambda W: hinge(t, W @ (c * x)))(W),
        "definition",
    )
    yield line(r"-t (c x)^{\top}", -t[:, None] @ (c * x)[None, :], "t s ≤ 0 < 1: every margin is missed")
    yield line(r"-c\, t x^{\top}", c * (-t[:, None] @ x[None, :]), "c is a number")
    _, kept = bp.losses.hinge.forward(W @ x, t)
    yield line(
        r"c \cdot \texttt{backproof}",
        c
        * bp.rules.affine(len(W)).backward(
            {"W": W, "b": jnp.zeros(len(W))}, x, bp.losses.hinge.backward(kept)
        )[0]["W"],
        "exactly c times the gradient at x",
    )


def of_weight(loss, W, x, y, activation=bp.rules.identity):
    """Return ∂J/∂W of one layer without bias, at the number x."""
    W = jnp.asarray(W)
    net = bp.mlp(W.shape[::-1], activation, last=activation)
    return bp.value_and_grad(net, loss)(({"W": W, "b": jnp.zeros(len(W))},), jnp.array([x]), y)[1][0]["W"]


@bp.derivation(
    r"\left|\frac{\partial J}{\partial W}\right| \text{ at } 1000 x",
    items=("S3.18",),
    uses=(factor_at_a_fixed_residual,),
    args=[ONE],
)
def the_claim_is_false(x):
    """The smallest counterexample: z = W x, W = (1, 0)ᵀ, the class is 1. At x = 1 there is a gradient."""
    W, y = jnp.array([[1.0], [0.0]]), jnp.array(0)
    at_x = of_weight(cross_entropy, W, x, y)
    thousand = of_weight(cross_entropy, W, 1000 * x, y)
    yield line(
        r"\frac{\partial J}{\partial W} \text{ at } x = 1",
        jax.grad(lambda W: -jax.nn.log_softmax(W[:, 0] * x)[0])(W),
        "definition",
    )
    yield line(
        r"\left(-\frac{1}{1 + e}, \frac{1}{1 + e}\right) = (-0.269, 0.269)",
        jnp.array([[-1.0], [1.0]]) / (1 + np.e),
        "δ = p − 1(y), times x = 1",
    )
    yield line(r"\texttt{backproof}", of_weight(cross_entropy, W, x, y), "what this library runs")
    yield line(
        r"\frac{\partial J}{\partial W} = 0 \text{ at } x = 1000",
        bp.equal(thousand, jnp.zeros((2, 1))),
        "p is 1(y)",
    )
    yield line(
        r"\left|\frac{\partial J}{\partial W}\right|_{1000} < 1000 \left|\frac{\partial J}{\partial"
        r" W}\right|_1",
        bp.less(jnp.abs(thousand), 1000 * jnp.abs(at_x)),
        "the claim says ≥",
    )
    yield line(
        r"\frac{\partial J}{\partial W}(1000 x) \neq 1000 \frac{\partial J}{\partial W}(x)",
        bp.differ(thousand, 1000 * at_x),
        "δ has vanished, while the input grew",
    )


@bp.derivation(r"\text{other losses}", items=("S3.18",), uses=(the_claim_is_false,), args=[ONE])
def other_losses(one):
    """With a squared error the factor can be 0, its square, or anything; with a hinge 2 can become 0."""
    squared, hinge_loss = bp.losses.half_squared_error, bp.losses.hinge
    f = 1 / (1 + np.exp(-1.0))
    at_1, at_1000 = (
        of_weight(squared, [[1.0]], x * one, jnp.zeros(1), bp.rules.sigmoid)[0, 0] for x in (1.0, 1000.0)
    )
    yield line(
        r"\sigma(1)^2 (1 - \sigma(1)) = 0.144 \text{ at } x = 1",
        bp.equal(at_1, f * f * (1 - f)),
        "sigmoid and half the squared error",
    )
    yield line(r"0 \text{ at } x = 1000", bp.equal(at_1000, 0.0), "σ′ has vanished")
    for latex, loss, W, xs, t, want in (
        (r"1 \to 10^6", squared, 1.0, (1.0, 1000.0), 0.0, (1.0, 1e6)),
        (r"-999 \to 0", squared, 1.0, (1.0, 1000.0), 1000.0, (-999.0, 0.0)),
        (r"-2 \to 0", hinge_loss, 0.1, (2.0, 2000.0), 1.0, (-2.0, 0.0)),
    ):
        got = jnp.stack([of_weight(loss, [[W]], x * one, jnp.array([t]))[0, 0] for x in xs])
        yield line(
            latex,
            bp.equal(got, jnp.array(want)),
            f"linear, {loss.name}, target {t:g}: x = {xs[0]:g}, {xs[1]:g}",
        )


@bp.derivation(
    r"\text{share of random TestNets that gain 1000}", items=("S3.18",), uses=(the_claim_is_false,)
)
def shares_of_random_testnets():
    """A thousand TestNets with normal weights: how many gain the factor, by whether they classify rightly."""
    rng, N = np.random.default_rng(0), 1000
    params = tuple(
        {"W": rng.normal(size=(N, n, m)).astype("f4"), "b": rng.normal(size=(N, n)).astype("f4")}
        for m, n in ((3, 4), (4, 2))
    )
    x, y = rng.normal(size=(N, 3)).astype("f4"), rng.integers(0, 2, N)
    net = bp.mlp((3, 4, 2), bp.rules.relu)

    @jax.jit
    @jax.vmap
    def each(params, x, y):
        gradient = bp.value_and_grad(net, cross_entropy)
        return net.forward(params, x)[0], gradient(params, x, y)[1], gradient(params, 1000 * x, y)[1]

    z, before, after = each(params, x, y)
    right = np.argmax(z, axis=1) == y
    for layer, leaf, shares in (
        (1, "W", (0.22, 0.61)),
        (2, "W", (0.22, 0.32)),
        (1, "b", (0.002, 0.0)),
        (2, "b", (0.002, 0.0)),
    ):
        small, large = (
            np.linalg.norm(np.reshape(g[layer - 1][leaf], (N, -1)), axis=1) for g in (before, after)
        )
        for kind, share, name in ((right, shares[0], "right"), (~right, shares[1], "wrong")):
            alive = kind & (small > 0)  # where every hidden unit is dead there is no gradient
            gained = np.mean(large[alive] >= 1000 * small[alive])
            yield line(
                rf"\partial J / \partial {leaf}^{{({layer})}}, \text{{{name}}}: {100 * share:g}\,\%",
                bp.at_most(abs(gained - share), 0.07),
                "the share that gains the factor, within five standard deviations of the one reported",
            )


def bare(W_1, W_2, x):
    """Return z^(2) of a network of two layers without biases."""
    return W_2 @ relu(W_1 @ x)


def missing(z, y):
    """Return 1 − p(y), for two classes: the probability of the other one."""
    away = jnp.vdot(1 - 2 * indicator(y, z), z)  # the score of the other class less that of y
    return 1 / (1 + jnp.exp(-away))


def stable_J(z, y):
    """Return J with the logarithm taken before the quotient: c x may be large."""
    return -jnp.vdot(indicator(y, z), jax.nn.log_softmax(z))


BARE = [bp.array("n m"), bp.array("2 n"), bp.array("m"), LABEL]


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(l)}} \text{ at } c x",
    items=("S3.18",),
    uses=(general_form, factor_at_a_fixed_residual),
    args=[*BARE, bp.array("", low=1, high=100)],
)
def misclassified_without_bias(W_1, W_2, x, y, c):
    """What is true. Two classes, no biases, a misclassified sample: at least c times, for every c ≥ 1.

    Without biases the network is homogeneous: c x gives c z at every layer, and the gates stay. For two
    classes δ = (1 − p_y) u with a u that only the class decides. So the gradient is multiplied by
    c (1 − p_y(c z)) / (1 − p_y(z)), and p_y falls as c grows if y has the lower score.
    """
    z_1, z = W_1 @ x, bare(W_1, W_2, x)
    u = 1 - 2 * indicator(y, z)
    yield bp.assume(jnp.vdot(u, z) > 0, r"z_y < z_{\text{other}}")

    def gradient(x):
        return jax.grad(lambda W_1, W_2: stable_J(bare(W_1, W_2, x), y), (0, 1))(W_1, W_2)

    yield line(
        r"\frac{\partial J}{\partial W^{(1)}},\; \frac{\partial J}{\partial W^{(2)}} \text{ at } c x",
        jax.grad(lambda W_1, W_2: stable_J(bare(W_1, W_2, c * x), y), (0, 1))(W_1, W_2),
        "definition",
    )
    delta = jax.nn.softmax(bare(W_1, W_2, c * x)) - indicator(y, z)
    yield line(
        r"\left((W^{(2)})^{\top} \delta(c x) * 1(z^{(1)}(c x) \ge 0)\right) (c x)^{\top},\;"
        r" \delta(c x)\, a^{(1)}(c x)^{\top}",
        (
            ((W_2.T @ delta) * one_if(W_1 @ (c * x) >= 0))[:, None] @ (c * x)[None, :],
            delta[:, None] @ relu(W_1 @ (c * x))[None, :],
        ),
        "the general form",
    )
    yield line(
        r"c \left((W^{(2)})^{\top} \delta(c x) * 1(z^{(1)} \ge 0)\right) x^{\top},\;"
        r" c\, \delta(c x)\, (a^{(1)})^{\top}",
        (
            c * ((W_2.T @ delta) * one_if(z_1 >= 0))[:, None] @ x[None, :],
            c * delta[:, None] @ relu(z_1)[None, :],
        ),
        "homogeneous: z^(1)(c x) = c z^(1), the gates stay, a^(1)(c x) = c a^(1)",
    )
    yield line(
        r"c\, (1 - p_y(c z)) \left((W^{(2)})^{\top} u * 1(z^{(1)} \ge 0)\right) x^{\top},\;"
        r" c\, (1 - p_y(c z))\, u\, (a^{(1)})^{\top}",
        (
            c * missing(c * z, y) * ((W_2.T @ u) * one_if(z_1 >= 0))[:, None] @ x[None, :],
            c * missing(c * z, y) * u[:, None] @ relu(z_1)[None, :],
        ),
        "two classes: δ = (1 − p_y) u, with u = −1 at y and +1 at the other",
    )
    yield line(
        r"c\, \frac{1 - p_y(c z)}{1 - p_y(z)} \left(\frac{\partial J}{\partial W^{(1)}},\;"
        r" \frac{\partial J}{\partial W^{(2)}}\right) \text{ at } x",
        jax.tree.map(lambda of_W: c * missing(c * z, y) / missing(z, y) * of_W, gradient(x)),
        "the same with c = 1, divided",
    )
    yield line(
        r"1 - p_y(c z) \ge 1 - p_y(z)",
        bp.at_least(missing(c * z, y), missing(z, y)),
        "p_y falls: y has the lower score",
    )
    for l, (large, small) in enumerate(zip(gradient(c * x), gradient(x), strict=True), start=1):
        yield line(
            rf"\left|\frac{{\partial J}}{{\partial W^{{({l})}}}}\right|_{{c x}} \ge"
            rf" c \left|\frac{{\partial J}}{{\partial W^{{({l})}}}}\right|_x",
            bp.at_least(jnp.abs(large), c * jnp.abs(small)),
            "so the claim holds here, for every entry",
        )
    yield line(
        r"|\delta|_{c x} \le 2 |\delta|_x",
        bp.at_most(missing(c * z, y), 2 * missing(z, y)),
        "½ ≤ 1 − p_y ≤ 1: a bias gains at most 2",
    )


@bp.derivation(
    r"\left|\frac{\partial J}{\partial W^{(l)}}\right| \text{ at } c x",
    items=("S3.18",),
    uses=(misclassified_without_bias,),
    args=[*BARE, bp.array("", low=2, high=100)],
)
def classified_rightly_without_bias(W_1, W_2, x, y, c):
    """The other half: a sample that is classified rightly gains less than c."""
    z = bare(W_1, W_2, x)
    u = 1 - 2 * indicator(y, z)
    yield bp.assume(jnp.vdot(u, z) < -1e-3, r"z_y > z_{\text{other}}")
    net = bp.mlp((x.size, len(W_1), 2), gate_open)
    params = ({"W": W_1, "b": jnp.zeros(len(W_1))}, {"W": W_2, "b": jnp.zeros(2)})
    large = bp.value_and_grad(net, cross_entropy)(params, c * x, y)[1]
    small = bp.value_and_grad(net, cross_entropy)(params, x, y)[1]
    yield line(
        r"1 - p_y(c z) < 1 - p_y(z)",
        bp.less(missing(c * z, y), missing(z, y)),
        "p_y rises: y has the higher score",
    )
    yield line(
        r"\left\|\frac{\partial J}{\partial W^{(2)}}\right\|_{c x} <"
        r" c \left\|\frac{\partial J}{\partial W^{(2)}}\right\|_x",
        bp.less(jnp.linalg.norm(large[1]["W"]), c * jnp.linalg.norm(small[1]["W"])),
        "the last W gains less than c",
    )
    yield line(
        r"\left|\frac{\partial J}{\partial W^{(1)}}\right|_{c x} \le"
        r" c \left|\frac{\partial J}{\partial W^{(1)}}\right|_x",
        bp.at_most(jnp.abs(large[0]["W"]), c * jnp.abs(small[0]["W"])),
        "and the first one no more",
    )


@bp.derivation(r"z = (0,\; 0.1,\; -10)\, x", items=("S3.18",), uses=(misclassified_without_bias,), args=[ONE])
def three_classes_fail(one):
    """With a third class even a misclassified sample may gain less: x = 0.01, c = 100."""
    small, large = (
        jnp.linalg.norm(of_weight(cross_entropy, [[0.0], [0.1], [-10.0]], x * one, jnp.array(0)))
        for x in (0.01, 1.0)
    )
    yield line(
        r"\|\nabla_W J\|_{c x} < 100\, \|\nabla_W J\|_x",
        bp.less(large, 100 * small),
        "class 1, while class 2 scores highest",
    )
    yield line(
        r"\text{ratio } 92.4",
        bp.at_most(jnp.abs(large / small - 92.4), 0.05),
        "the third class leaves the sum",
    )


# Numerics


@bp.derivation(r"\text{softmax in float32}", items=("S3.19",), uses=(softmax, output_residual))
def literal_formulas_in_float32():
    """The formulas are right over the reals and fail in float32; p − 1(y) at a stable p does not."""

    @jax.jit
    def run(z, far, p, y):
        """Return what each formula gives, in one compiled program."""
        return {
            "literal": h(z),
            "softmax": bp.rules.softmax.forward((), z)[0],
            "factors": -p / p,
            "chain": (-p / p) @ (jnp.diag(p) - jnp.outer(p, p)),
            "collapsed": p - indicator(y, p),
            "by softmax": jax.grad(lambda z: -jnp.sum(p * jnp.log(jax.nn.softmax(z))))(far),
            "by log_softmax": jax.grad(lambda z: -jax.nn.log_softmax(z)[0])(far),
            "shipped": cross_entropy.backward(cross_entropy.forward(far, y)[1]),
        }

    p = np.array([1, 0], "float32")
    zero = np.zeros(2, "float32")
    with jax.enable_x64(False):
        got = run(np.array([89, 0], "float32"), np.array([200, 0], "float32"), p, np.int32(0))
    got = {name: np.asarray(value) for name, value in got.items()}
    yield line(
        r"\text{float32}",
        bp.holds(all(value.dtype == np.float32 for value in got.values())),
        "nothing is widened on the way",
    )
    yield line(
        r"h(89, 0)_1 = \infty/\infty", bp.holds(np.isnan(got["literal"][0])), "e^89 is above every float32"
    )
    yield line(
        r"\texttt{backproof}: h(89, 0) = (1, 0)",
        bp.equal(got["softmax"], p),
        "with the maximum taken off first",
    )
    yield line(
        r"-\frac{1(y=2)}{p(y=2)} = \frac{0}{0}",
        bp.holds(np.isnan(got["factors"][1])),
        "the chain rule, term by term, divides by the probability of the absent class",
    )
    yield line(
        r"-\sum_i \frac{1(y=i)}{p_i} \frac{\partial p_i}{\partial z} = \text{nan}",
        bp.holds(np.any(np.isnan(got["chain"]))),
        "and all of the sum with it",
    )
    yield line(r"p - 1(y) = 0", bp.equal(got["collapsed"], zero), "collapsed, nothing divides")
    yield line(
        r"\nabla(-\sum t \ln \mathrm{softmax}) = \text{nan}",
        bp.holds(np.any(np.isnan(got["by softmax"]))),
        "autodiff goes the same way, with a stable softmax too",
    )
    yield line(
        r"\nabla(-\mathrm{log\_softmax}) = 0",
        bp.equal(got["by log_softmax"], zero),
        "unless the logarithm is taken before the quotient",
    )
    yield line(
        r"\texttt{backproof} = 0", bp.equal(got["shipped"], zero), "this library's is the collapsed form"
    )
    residuals = jax.eval_shape(cross_entropy.forward, jnp.zeros(3), jnp.array(0))[1]
    program = str(jax.make_jaxpr(cross_entropy.backward)(residuals))
    yield line(
        r"\texttt{div}, \texttt{log}, \texttt{exp} \notin \texttt{backproof}",
        bp.holds(not any(f" {name} " in program for name in ("div", "log", "exp"))),
        "its backward pass neither divides nor takes a logarithm",
    )


# Samples in rows: the sequel of the document


@bp.derivation(
    r"\frac{\partial J}{\partial W}, \frac{\partial J}{\partial b}",
    items=("E3", "X.2"),
    args=[bp.array("m n"), bp.array("n"), bp.array("N m"), bp.array("N n")],
)
def samples_in_rows(W, b, X, D):
    """The sequel puts samples in rows, z = X W + b, with W of n_in × n_out: the transpose of what is here."""
    rows = jnp.ones((len(X), 1))
    yield line(
        r"\frac{\partial J}{\partial W},\; \frac{\partial J}{\partial b}",
        jax.grad(lambda W, b: jnp.sum((X @ W + rows * b[None, :]) * D), (0, 1))(W, b),
        "definition, with ∂J/∂z = D",
    )
    yield line(
        r"\sum_i x_i \delta_i^{\top},\; \sum_i \delta_i",
        (sum(x[:, None] @ d[None, :] for x, d in zip(X, D, strict=True)), sum(D)),
        "a sum over the samples, each transposed",
    )
    yield line(r"X^{\top} D,\; D^{\top} 1", (X.T @ D, D.sum(axis=0)), "one product of matrices")
    columns = bp.rules.affine(len(b)).backward({"W": W.T, "b": b}, X, D)[0]
    yield line(
        r"\texttt{backproof}^{\top}",
        (bp.rules.affine(len(b)).backward({"W": W.T, "b": b}, X, D)[0]["W"].T, columns["b"]),
        "what this library runs, turned over",
    )


# Errata


@bp.derivation(
    r"z^{(2)}",
    items=("E3", "S3.3"),
    args=[bp.array("2 4"), bp.array("4"), bp.array("4")],
    refutes=bp.Refutes(
        line=1,
        erratum="E3(a)",
        cause="contract-raises",
        because="b^(2) ∈ ℝ^{4×1} is a slip for ℝ^{2×1}: layer 2 has two units, and each has one bias.",
    ),
)
def four_biases_for_two_units(W_2, b_2, a_1):
    """b^(2) with the four entries that the display gives it."""
    yield line(
        r"W^{(2)} a^{(1)} + b^{(2)}, \quad b^{(2)} \in \mathbb{R}^2", W_2 @ a_1 + b_2[:2], "definition"
    )
    yield line(r"W^{(2)} a^{(1)} + b^{(2)}, \quad b^{(2)} \in \mathbb{R}^4", W_2 @ a_1 + b_2, "as printed")


@bp.derivation(
    r"z^{(2)}",
    items=("E3", "S3.3"),
    args=[TESTNET[1], bp.array("4")],
    refutes=bp.Refutes(
        line=1,
        erratum="E3(b)",
        cause="contract-shape",
        because="z^(2) ∈ ℝ^{4×1} is a slip for ℝ^{2×1}: it has an entry for each output, and W^(2) is 2 × 4.",
    ),
)
def four_scores_for_two_classes(layer, a_1):
    """z^(2) with the four entries that the display gives it."""
    yield line(r"W^{(2)} a^{(1)} + b^{(2)}", layer["W"] @ a_1 + layer["b"], "definition")
    yield line(r"z^{(2)} \in \mathbb{R}^4", jnp.pad(layer["W"] @ a_1 + layer["b"], (0, 2)), "as printed")


@bp.derivation(
    r"z^{(l)}",
    items=("E3", "S3.4"),
    refutes=bp.Refutes(
        line=1,
        erratum="E3(d)",
        cause="argument-transposed",
        because="z_j = W_ij a_i + b_j sums over the first index, against the rule that W_ij leads from j to"
        " i, and has lost its Σ. On layers of unequal width it does not fit; on square ones it is silently"
        " another map. It must be z_i = Σ_j W_ij a_j + b_i.",
    ),
)
def sum_over_the_wrong_index(W: Float[Array, "n n"], b: Float[Array, " n"], a: Float[Array, " n"]):
    """The neuron with its indices as printed, on a square layer."""
    yield line(r"\sum_j W_{i,j} a_j + b_i", jnp.einsum("ij,j->i", W, a) + b, "definition")
    yield line(
        r"\sum_i W_{i,j} a_i + b_j", jnp.einsum("ij,i->j", W, a) + b, "as printed, with its Σ restored"
    )


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(2)}}",
    items=("E3", "S3.11"),
    args=[TESTNET[1], bp.array("4"), LABEL],
    uses=(last_weights,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(e)",
        cause="transpose",
        because="The summary's ∂J/∂z^(2) · a^(1) is a column times a column, (2 × 1)(4 × 1), which do not"
        " multiply. It lacks the transpose: ∂J/∂z^(2) (a^(1))ᵀ, (2 × 1)(1 × 4).",
    ),
)
def summary_without_the_transpose(layer, a_1, y):
    """The summary's line for ∂J/∂W^(2), with the columns that the document has."""
    z = layer["W"] @ a_1 + layer["b"]
    delta, a = (h(z) - indicator(y, z))[:, None], a_1[:, None]
    yield line(
        r"\frac{\partial J}{\partial W^{(2)}}",
        jax.grad(lambda W: J_of(W @ a_1 + layer["b"], y))(layer["W"]),
        "definition",
    )
    yield line(
        r"\frac{\partial J}{\partial z^{(2)}} (a^{(1)})^{\top}", delta @ a.T, "the document's own derivation"
    )
    yield line(r"\frac{\partial J}{\partial z^{(2)}} \cdot a^{(1)}", delta @ a, "its summary")


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(1)}_{i,:}}",
    items=("E3", "S3.14"),
    args=[TESTNET, DATUM, LABEL],
    uses=(hidden_weights,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(f)",
        cause="transpose",
        because="Row i of ∂J/∂W^(1) lies down, 1 × 3, and a^(0) stands up, 3 × 1: it must be (a^(0))ᵀ.",
    ),
)
def a_row_that_stands_up(params, a_0, y):
    """Row i = 1 of ∂J/∂W^(1), as a number times a^(0)."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_1 = W_1 @ a_0 + b_1
    z_2 = W_2 @ relu(z_1) + b_2
    dz_11 = jnp.vdot(W_2[:, 0], h(z_2) - indicator(y, z_2)) * one_if(z_1[0] >= 0)
    yield line(
        r"\frac{\partial J}{\partial W^{(1)}_{1,:}}",
        jax.grad(lambda W_1: J_of(W_2 @ relu(W_1 @ a_0 + b_1) + b_2, y))(W_1)[0:1, :],
        "definition",
    )
    yield line(r"\frac{\partial J}{\partial z^{(1)}_1} (a^{(0)})^{\top}", dz_11 * a_0[None, :], "a row")
    yield line(r"\frac{\partial J}{\partial z^{(1)}_1} a^{(0)}", dz_11 * a_0[:, None], "as printed")


@bp.derivation(
    r"\frac{\partial J}{\partial a^{(1)}}",
    items=("E3", "S3.12"),
    args=[TESTNET[1], bp.array("4"), LABEL],
    uses=(hidden_output,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(g)",
        cause="contract-shape",
        because="Three displays have lost the factor δ^(2): they show (W^(2))ᵀ, 4 × 2, where the products"
        " before and the sizes after it, ℝ^{4×2} · ℝ^{2×1}, say (W^(2))ᵀ δ^(2).",
    ),
)
def a_display_without_its_residual(layer, a_1, y):
    """The matrix display of ∂J/∂a^(1), as it stands."""
    W, b = layer["W"], layer["b"]
    delta = h(W @ a_1 + b) - indicator(y, b)
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}}", jax.grad(lambda a: J_of(W @ a + b, y))(a_1), "definition"
    )
    yield line(r"(W^{(2)})^{\top} \delta^{(2)}", W.T @ delta, "the document's own product")
    yield line(
        r"\begin{bmatrix} W_{1,1} & W_{2,1} \\ \vdots & \vdots \\ W_{1,4} & W_{2,4} \end{bmatrix}",
        W.T,
        "as printed",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(1)}}",
    items=("E3", "S3.13"),
    args=[TESTNET[1], bp.array("4"), LABEL],
    uses=(hidden_input,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(i)",
        cause="contract-shape",
        because="∂J/∂a · ∂a/∂z is a product with a diagonal matrix; the display puts the vector of its"
        " diagonal in its place. A product of two vectors is one number. With vectors it must be the product"
        " entry by entry.",
    ),
)
def a_vector_for_a_diagonal_matrix(layer, z_1, y):
    """∂J/∂a^(1) · ∂a^(1)/∂z^(1), with the vector 1(z ≥ 0) for the Jacobian."""
    W, b = layer["W"], layer["b"]
    of_a = jax.grad(lambda a: J_of(W @ a + b, y))(relu(z_1))
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}}",
        jax.grad(lambda z: J_of(W @ relu(z) + b, y))(z_1),
        "definition",
    )
    yield line(
        r"\frac{\partial J}{\partial a} \cdot \frac{\partial a}{\partial z}",
        of_a @ jnp.diag(one_if(z_1 >= 0)),
        "with a matrix",
    )
    yield line(r"\frac{\partial J}{\partial a} \cdot 1(z \ge 0)", of_a @ one_if(z_1 >= 0), "as printed")


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(1)}}",
    items=("E3", "S3.13"),
    args=[{"W": bp.array("2 n"), "b": bp.array("2")}, bp.array("n"), LABEL],
    uses=(hidden_input,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(l)",
        cause="at-zeros",
        because="The gate 1(z ≥ 0) is not the one of document 001, nor that of jax.nn.relu, which are shut"
        " at zero. They differ at z = 0 alone: W = 1, b = 0, x = 0, y = 1 gives −1 against 0. Both are"
        " subgradients.",
    ),
)
def the_gate_of_another_document(layer, z_1, y):
    """Document 003's gate, in a network whose relu is jax.nn.relu."""
    W, b = layer["W"], layer["b"]
    of_a = jax.grad(lambda a: J_of(W @ a + b, y))(jax.nn.relu(z_1))
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}}",
        jax.grad(lambda z: J_of(W @ jax.nn.relu(z) + b, y))(z_1),
        "definition, with jax.nn.relu",
    )
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}} * 1(z^{(1)} > 0)", of_a * one_if(z_1 > 0), "document 001"
    )
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}} * 1(z^{(1)} \ge 0)", of_a * one_if(z_1 >= 0), "document 003"
    )
