r"""Document 001: backpropagation through a ReLU network, in matrices.

The document sums up §7.4 of S. J. D. Prince, *Understanding Deep Learning*. A network g[x_i, ϕ] has M
hidden layers; a sample (x_i, y_i) has its own loss L_i = loss[g[x_i, ϕ], y_i].

    forward      z_0 = b_0 + W_0 x_i
                 x_ι = f[z_{ι−1}],   z_ι = b_ι + W_ι x_ι                   ι = 1 … M,  f = ReLU
    backward     ∂L_i/∂b_ι = ∂L_i/∂z_ι                                      ι = M … 1
                 ∂L_i/∂W_ι = ∂L_i/∂z_ι x_ιᵀ
                 ∂L_i/∂z_{ι−1} = I[z_{ι−1} > 0] ⊙ (W_ιᵀ ∂L_i/∂z_ι)
    at the end   ∂L_i/∂b_0 = ∂L_i/∂z_0,   ∂L_i/∂W_0 = ∂L_i/∂z_0 x_iᵀ

The letters in the code are the document's; `dz` is ∂L_i/∂z, for any loss at all: each step below takes it
as it comes. Latin i numbers samples, Greek ι layers. The steps are shown for one layer, the network for
M = 2; nothing below reads M.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

READING_NOTES = {
    "E1(a)": "N hidden layers, and indices that run to M: N and M are one number.",
    "E1(b)": "x_i is the datum, Latin i; x_ι, Greek ι, is what enters layer ι.",
    "E1(f)": "The book's equation numbers moved between printings: 7.24 to 7.26 are the lines above.",
}

f = jax.nn.relu  # its slope at 0 is 0


def gate(z):
    """Return I[z > 0]: one where z is above zero, zero elsewhere."""
    return jnp.where(z > 0, 1.0, 0.0)


# ϕ for M = 2: three affine maps, of widths d → p → q → r.
PHI = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
    {"W": bp.array("r q"), "b": bp.array("r")},
)
DATUM, OUTPUT = bp.array("d"), bp.array("r")


def g(phi, x_i):
    """Return z_M = g[x_i, ϕ]; nothing acts on z_M."""
    *hidden, top = phi
    x = x_i
    for layer in hidden:
        x = f(layer["b"] + layer["W"] @ x)
    return top["b"] + top["W"] @ x


def widths(phi):
    """Return the widths of ϕ, the datum's first, from which the library makes its network."""
    return (phi[0]["W"].shape[1], *(layer["b"].size for layer in phi))


def kept_with(phi, kept):
    """Return (W_ι, b_ι, what layer ι keeps) for each layer."""
    return [(layer["W"], layer["b"], k) for layer, k in zip(phi, kept, strict=True)]


# Forward


@bp.derivation(r"x_1, x_2, z_M", items=("S1.1",), args=[PHI, DATUM])
def forward(phi, x_i):
    """Calculate and store: what the backward pass will need, and the output."""
    (W_0, b_0), (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in phi)
    z_0 = b_0 + W_0 @ x_i
    x_1 = f(z_0)
    z_1 = b_1 + W_1 @ x_1
    x_2 = f(z_1)
    yield line(
        r"x_1,\; x_2,\; b_2 + W_2 x_2", (x_1, x_2, b_2 + W_2 @ x_2), "definition, one layer after the other"
    )
    yield line(
        r"f[b_0 + W_0 x_i],\; f[b_1 + W_1 f[\cdot]],\; b_2 + W_2 f[b_1 + W_1 f[b_0 + W_0 x_i]]",
        (
            f(b_0 + W_0 @ x_i),
            f(b_1 + W_1 @ f(b_0 + W_0 @ x_i)),
            b_2 + W_2 @ f(b_1 + W_1 @ f(b_0 + W_0 @ x_i)),
        ),
        "each letter replaced by what it stands for",
    )
    z_M, kept = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(r"\texttt{backproof}", (kept[1].x, kept[2].x, z_M), "what this library keeps and puts out")
    yield line(r"x_0 := x_i", bp.equal(kept[0].x, x_i), "the datum is kept as the input of the first layer")
    z = tuple(bp.rules.affine(len(b)).forward({"W": W, "b": b}, k.x)[0] for W, b, k in kept_with(phi, kept))
    yield line(r"z_0, z_1, z_M", bp.equal(z, (z_0, z_1, z_M)), "from which every z can be had again")


# Backward: the start


def loss(z_M, y_i):
    """Return a loss that no catalogue has: the start must not care which it is."""
    return jnp.sum(jnp.sin(z_M) * y_i) + jnp.sum(z_M) ** 2 / 4


@bp.derivation(r"\frac{\partial L_i}{\partial \phi}", items=("S1.2",), args=[PHI, DATUM, OUTPUT])
def start(phi, x_i, y_i):
    """The loss is heard of once, through ∂L_i/∂z_M; from there on any loss is the same."""
    z_M, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"\frac{\partial}{\partial\phi}\, \mathrm{loss}[g[x_i, \phi], y_i]",
        jax.grad(lambda phi: loss(g(phi, x_i), y_i))(phi),
        "definition",
    )
    yield line(
        r"\left(\frac{\partial z_M}{\partial \phi}\right)^{\top} \frac{\partial L_i}{\partial z_M}",
        jax.vjp(lambda phi: g(phi, x_i), phi)[1](jax.grad(loss)(z_M, y_i))[0],
        "chain rule at z_M",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, jax.grad(loss)(z_M, y_i))[0],
        "what this library runs",
    )


@bp.derivation(r"s\,u + t\,v", items=("S1.2",), args=[PHI, DATUM, OUTPUT, OUTPUT, bp.array(""), bp.array("")])
def linear_in_the_cotangent(phi, x_i, u, v, s, t):
    """Whatever ∂L_i/∂z_M is: the backward pass is linear in it."""
    net = bp.mlp(widths(phi), bp.rules.relu)
    _, residuals = net.forward(phi, x_i)
    _, pull = jax.vjp(lambda phi: g(phi, x_i), phi)
    yield line(
        r"\left(\frac{\partial z_M}{\partial \phi}\right)^{\top} (s u + t v)",
        jax.vjp(lambda phi: g(phi, x_i), phi)[1](s * u + t * v)[0],
        "definition",
    )
    yield line(
        r"s \left(\frac{\partial z_M}{\partial \phi}\right)^{\top} u"
        r" + t \left(\frac{\partial z_M}{\partial \phi}\right)^{\top} v",
        jax.tree.map(lambda of_u, of_v: s * of_u + t * of_v, pull(u)[0], pull(v)[0]),
        "a matrix acts linearly",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, s * u + t * v)[0],
        "what this library runs",
    )


# Backward: one layer, from ∂L_i/∂z_ι


@bp.derivation(r"\frac{\partial L_i}{\partial b_\iota}", items=("S1.3",))
def bias(W: Float[Array, "n m"], b: Float[Array, " n"], x: Float[Array, " m"], dz: Float[Array, " n"]):
    """z_ι = b_ι + W_ι x_ι moves one for one with b_ι."""
    yield line(
        r"\frac{\partial L_i}{\partial b_\iota}",
        jax.vjp(lambda b: b + W @ x, b)[1](dz)[0],
        "definition: chain rule at z_ι, for any loss",
    )
    yield line(
        r"\left(\frac{\partial z_\iota}{\partial b_\iota}\right)^{\top}"
        r" \frac{\partial L_i}{\partial z_\iota}",
        jax.jacobian(lambda b: b + W @ x)(b).T @ dz,
        "the Jacobian written out, a row for each component of z_ι",
    )
    yield line(r"I^{\top} \frac{\partial L_i}{\partial z_\iota}", jnp.eye(b.size).T @ dz, "∂z_ι/∂b_ι = I")
    yield line(r"\frac{\partial L_i}{\partial z_\iota}", dz, "I v = v")
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(b.size).backward({"W": W, "b": b}, x, dz)[0]["b"],
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial L_i}{\partial W_\iota}", items=("S1.4",))
def weights(W: Float[Array, "n m"], b: Float[Array, " n"], x: Float[Array, " m"], dz: Float[Array, " n"]):
    """z_ι is linear in W_ι, and row a of W_ι reaches component a of z_ι alone."""
    yield line(
        r"\frac{\partial L_i}{\partial W_\iota}",
        jax.vjp(lambda W: b + W @ x, W)[1](dz)[0],
        "definition: chain rule at z_ι, for any loss",
    )
    yield line(
        r"\sum_c \frac{\partial L_i}{\partial z_c} \frac{\partial z_c}{\partial W_{ab}}",
        jnp.einsum("c,cab->ab", dz, jax.jacobian(lambda W: b + W @ x)(W)),
        "for the entry (a, b): the sum over every z_c",
    )
    yield line(
        r"\sum_c \frac{\partial L_i}{\partial z_c} \delta_{ca} x_b",
        jnp.einsum("c,ca,b->ab", dz, jnp.eye(b.size), x),
        "z_c = b_c + Σ_b W_cb x_b, so ∂z_c/∂W_ab = δ_ca x_b",
    )
    yield line(r"\frac{\partial L_i}{\partial z_a} x_b", jnp.einsum("a,b->ab", dz, x), "δ_ca leaves c = a")
    yield line(
        r"\frac{\partial L_i}{\partial z_\iota} x_\iota^{\top}",
        dz[:, None] @ x[None, :],
        "a column times a row",
    )
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(b.size).backward({"W": W, "b": b}, x, dz)[0]["W"],
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial f[z]}{\partial z}", items=("S1.5", "S1.7"))
def slope_of_f(z: Float[Array, " m"]):
    """The Jacobian of ReLU, at 0 too, where both sides choose the slope 0."""
    yield line(r"\frac{\partial f[z]}{\partial z}", jax.jacobian(f)(z), "definition")
    yield line(
        r"\mathrm{diag}(f'[z_a])",
        jnp.where(jnp.eye(z.size) == 1, jax.vmap(jax.grad(f))(z)[:, None] * jnp.ones((1, z.size)), 0.0),
        "f acts on each component alone",
    )
    yield line(r"\mathrm{diag}(\mathbb{I}[z > 0])", jnp.diag(gate(z)), "f′ is 1 above zero and 0 elsewhere")
    yield line(
        r"\texttt{backproof}",
        jax.vmap(lambda e: bp.rules.relu.backward((), bp.rules.relu.forward((), z)[1], e)[1])(
            jnp.eye(z.size)
        ),
        "row by row, what this library runs",
    )


@bp.derivation(r"\frac{\partial L_i}{\partial z_{\iota-1}}", items=("S1.5",), uses=(slope_of_f,))
def through_a_layer(
    W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"], dz: Float[Array, " n"]
):
    """From ∂L_i/∂z_ι (`dz`) to ∂L_i/∂z_{ι−1}: the step that is repeated. `z` is z_{ι−1}."""
    yield line(
        r"\left(\frac{\partial z_\iota}{\partial z_{\iota-1}}\right)^{\top}"
        r" \frac{\partial L_i}{\partial z_\iota}",
        jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0],
        "definition: chain rule at z_ι, for any loss",
    )
    yield line(
        r"\left(\frac{\partial x_\iota}{\partial z_{\iota-1}}\right)^{\top}"
        r"\left(\frac{\partial z_\iota}{\partial x_\iota}\right)^{\top} \frac{\partial L_i}{\partial"
        r" z_\iota}",
        jax.jacobian(f)(z).T @ (jax.jacobian(lambda x: b + W @ x)(f(z)).T @ dz),
        "by way of x_ι = f[z_{ι−1}]",
    )
    yield line(
        r"\left(\frac{\partial x_\iota}{\partial z_{\iota-1}}\right)^{\top} W_\iota^{\top}"
        r" \frac{\partial L_i}{\partial z_\iota}",
        jax.jacobian(f)(z).T @ (W.T @ dz),
        "∂z_ι/∂x_ι = W_ι",
    )
    yield line(
        r"\mathrm{diag}(\mathbb{I}[z_{\iota-1} > 0])\, W_\iota^{\top} \frac{\partial L_i}{\partial z_\iota}",
        jnp.diag(gate(z)) @ (W.T @ dz),
        "the slope of f, a diagonal that is its own transpose",
    )
    yield line(
        r"\mathbb{I}[z_{\iota-1} > 0] \odot \left(W_\iota^{\top} \frac{\partial L_i}{\partial"
        r" z_\iota}\right)",
        gate(z) * (W.T @ dz),
        "a diagonal matrix multiplies entry by entry",
    )
    yield line(
        r"\texttt{backproof}",
        bp.rules.relu.backward((), f(z), bp.rules.affine(b.size).backward({"W": W, "b": b}, f(z), dz)[1])[1],
        "what this library runs, the gate read off x_ι = f[z_{ι−1}]",
    )


@bp.derivation(r"\mathbb{I}[0 > 0]", items=("S1.7",))
def nothing_passes_at_zero(da: Float[Array, " m"]):
    """The gate is strict: at z = 0 exactly it is shut, whatever arrives."""
    zero = jnp.zeros_like(da)
    yield line(
        r"\left.\frac{\partial f}{\partial z}\right|_{0} \odot da", jax.vjp(f, zero)[1](da)[0], "definition"
    )
    yield line(r"\mathbb{I}[0 > 0] \odot da", gate(zero) * da, "the document's gate")
    yield line(r"0", jnp.zeros_like(da), "0 > 0 is false")
    yield line(r"\texttt{backproof}", bp.rules.relu.backward((), f(zero), da)[1], "what this library runs")
    yield line(
        r"\texttt{backproof at } -0", bp.rules.relu.backward((), f(-zero), da)[1], "and at the other zero"
    )


# Backward: the first layer, and the author's question


@bp.derivation(
    r"\frac{\partial L_i}{\partial b_0}, \frac{\partial L_i}{\partial W_0}",
    items=("S1.6",),
    uses=(bias, weights, through_a_layer),
    args=[PHI[:2], DATUM, bp.array("q")],
)
def first_layer(phi, x_i, dz_1):
    """The last step of the backward pass: the layer that the datum enters."""
    (W_0, b_0), (W_1, b_1) = ((layer["W"], layer["b"]) for layer in phi)
    z_0 = b_0 + W_0 @ x_i
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"\frac{\partial L_i}{\partial b_0},\; \frac{\partial L_i}{\partial W_0}",
        jax.vjp(lambda b_0, W_0: b_1 + W_1 @ f(b_0 + W_0 @ x_i), b_0, W_0)[1](dz_1),
        "definition: chain rule at z_1, for any loss",
    )
    yield line(
        r"\left(\frac{\partial z_0}{\partial b_0}\right)^{\top} \frac{\partial L_i}{\partial z_0},\;"
        r" \left(\frac{\partial z_0}{\partial W_0}\right)^{\top} \frac{\partial L_i}{\partial z_0}",
        jax.vjp(lambda b_0, W_0: b_0 + W_0 @ x_i, b_0, W_0)[1](
            jax.vjp(lambda z_0: b_1 + W_1 @ f(z_0), z_0)[1](dz_1)[0]
        ),
        "by way of z_0",
    )
    dz_0 = gate(z_0) * (W_1.T @ dz_1)
    yield line(
        r"\frac{\partial L_i}{\partial z_0},\; \frac{\partial L_i}{\partial z_0} x_i^{\top}",
        (dz_0, dz_0[:, None] @ x_i[None, :]),
        "the rules for b and W, and the step from z_1 to z_0",
    )
    grads = bp.layer_step(phi[0], residuals[0], W_1.T @ dz_1)[0]
    yield line(
        r"\texttt{backproof}",
        (bp.layer_step(phi[0], residuals[0], W_1.T @ dz_1)[0]["b"], grads["W"]),
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial \phi}",
    items=("S1.3", "S1.4", "S1.5", "S1.6", "S1.9"),
    uses=(bias, weights, through_a_layer, first_layer),
    args=[PHI, DATUM, OUTPUT],
)
def whole_backward_pass(phi, x_i, dz_M):
    """The author asks: why does the pass start from z_0, and not from x_0?

    Because x_ι = f[z_{ι−1}] defines x_ι only for ι ≥ 1: below the first layer there is no z_{−1}, and the
    datum does not go through f. Call the datum x_0 := x_i all the same, and nothing is special any more:
    the rules for b_ι and W_ι at ι = 0 are the document's last two lines. Only the rule for z_{ι−1} ends at
    ι = 1, for want of a z_{−1}. The book starts from z_0 so that x_i keeps its own name.
    """
    W = [layer["W"] for layer in phi]
    z_0 = phi[0]["b"] + W[0] @ x_i
    z_1 = phi[1]["b"] + W[1] @ f(z_0)
    x_1, x_2 = f(z_0), f(z_1)
    dz_1 = gate(z_1) * (W[2].T @ dz_M)
    dz_0 = gate(z_0) * (W[1].T @ dz_1)
    yield line(
        r"\frac{\partial L_i}{\partial \phi}", jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_M)[0], "definition"
    )
    yield line(
        r"\left(\frac{\partial L_i}{\partial z_0} x_i^{\top}, \frac{\partial L_i}{\partial z_0}\right),\;"
        r" \left(\frac{\partial L_i}{\partial z_\iota} x_\iota^{\top},"
        r" \frac{\partial L_i}{\partial z_\iota}\right)_{\iota = 1 \ldots M}",
        (
            {"W": dz_0[:, None] @ x_i[None, :], "b": dz_0},
            {"W": dz_1[:, None] @ x_1[None, :], "b": dz_1},
            {"W": dz_M[:, None] @ x_2[None, :], "b": dz_M},
        ),
        "the document: ι = M … 1, and the first layer after them",
    )
    yield line(
        r"\left(\frac{\partial L_i}{\partial z_\iota} x_\iota^{\top},"
        r" \frac{\partial L_i}{\partial z_\iota}\right)_{\iota = 0 \ldots M}, \quad x_0 := x_i",
        tuple(
            {"W": dz[:, None] @ x[None, :], "b": dz}
            for dz, x in zip((dz_0, dz_1, dz_M), (x_i, x_1, x_2), strict=True)
        ),
        "one rule for every layer, once the datum is called x_0",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_M)[0],
        "what this library runs: the one rule",
    )


@bp.derivation(r"\frac{\partial L_i}{\partial x_i}", items=("S1.9",), args=[PHI[:2], DATUM, bp.array("q")])
def below_the_first_layer(phi, x_i, dz_1):
    """What a step to ι = 0 would be: no gate, for no f stands below; and no parameter needs it."""
    W_0, W_1 = phi[0]["W"], phi[1]["W"]
    z_0 = phi[0]["b"] + W_0 @ x_i
    yield line(
        r"\frac{\partial L_i}{\partial x_i}", jax.vjp(lambda x: g(phi, x), x_i)[1](dz_1)[0], "definition"
    )
    yield line(
        r"W_0^{\top} \frac{\partial L_i}{\partial z_0}",
        W_0.T @ (gate(z_0) * (W_1.T @ dz_1)),
        "z_0 = b_0 + W_0 x_i: the datum enters without f",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"W_0^{\top} \frac{\partial L_i}{\partial z_0} \neq"
        r" \mathbb{I}[x_i > 0] \odot W_0^{\top} \frac{\partial L_i}{\partial z_0}",
        bp.differ(
            W_0.T @ (gate(z_0) * (W_1.T @ dz_1)),
            gate(x_i) * (W_0.T @ (gate(z_0) * (W_1.T @ dz_1))),
            somewhere=True,
        ),
        "the general step, with the datum for z_{−1}, would be wrong",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[1],
        "what this library returns beside the gradients",
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial \phi} \text{ bit for bit}", items=("S1.9",), args=[PHI, DATUM, OUTPUT]
)
def the_same_arithmetic(phi, x_i, dz_M):
    """The loop to ι = 0 does not only equal the special case: it is the same arithmetic."""
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    grads, _ = bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_M)
    dz_0 = bp.deltas(phi, residuals, dz_M)[0]
    yield line(
        r"\frac{\partial L_i}{\partial W_0} = \frac{\partial L_i}{\partial z_0} x_i^{\top}",
        bp.holds(grads[0]["W"] == dz_0[:, None] * x_i[None, :]),
        "the general loop gives the document's special case, every bit of it",
    )
    yield line(
        r"\frac{\partial L_i}{\partial b_0} = \frac{\partial L_i}{\partial z_0}",
        bp.holds(grads[0]["b"] == dz_0),
        "and so for the bias",
    )


# The batch


@bp.derivation(
    r"\frac{\partial}{\partial \phi} \sum_i L_i",
    items=("S1.8",),
    uses=(whole_backward_pass,),
    args=[PHI[:2], bp.array("B d"), bp.array("B q")],
)
def batch(phi, x, dz_1):
    """Calculate these derivatives for every sample of the batch and add them up."""
    z_0 = x @ phi[0]["W"].T + jnp.ones((len(x), 1)) * phi[0]["b"][None, :]
    dz_0 = gate(z_0) * (dz_1 @ phi[1]["W"])
    yield line(
        r"\frac{\partial}{\partial \phi} \sum_i L_i",
        jax.grad(lambda phi: jnp.sum(jax.vmap(lambda x_i, dz: jnp.vdot(dz, g(phi, x_i)))(x, dz_1)))(phi),
        "definition, each L_i with its own ∂L_i/∂z_M",
    )
    yield line(
        r"\sum_i \frac{\partial L_i}{\partial \phi}",
        jax.tree.map(
            lambda of_each: of_each.sum(axis=0),
            jax.vmap(lambda x_i, dz: jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz)[0])(x, dz_1),
        ),
        "a derivative of a sum is the sum of the derivatives",
    )
    yield line(
        r"\left(\sum_i \frac{\partial L_i}{\partial z_\iota} x_\iota^{\top},\;"
        r" \sum_i \frac{\partial L_i}{\partial z_\iota}\right)_{\iota = 0, 1}",
        (
            {"W": jnp.einsum("ia,ib->ab", dz_0, x), "b": jnp.einsum("ia->a", dz_0)},
            {"W": jnp.einsum("ia,ib->ab", dz_1, f(z_0)), "b": jnp.einsum("ia->a", dz_1)},
        ),
        "the rules of one sample, summed",
    )
    yield line(
        r"\left(D_\iota^{\top} X_\iota,\; D_\iota^{\top} 1\right)_{\iota = 0, 1}",
        (
            {"W": dz_0.T @ x, "b": dz_0.sum(axis=0)},
            {"W": dz_1.T @ f(z_0), "b": dz_1.sum(axis=0)},
        ),
        "with a sample in each row, the sum of products is one product of matrices",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x)
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial}{\partial \phi} \frac{1}{B} \sum_i L_i",
    items=("S1.8",),
    uses=(batch,),
    args=[PHI[:1], bp.array("B d"), bp.array("B p")],
)
def mean_of_a_batch(phi, x, y):
    """A mean over the batch divides W and b alike; to average b alone is neither convention."""
    (only,) = phi
    size = len(x)

    def squares(phi):
        return jax.vmap(lambda x_i, y_i: jnp.sum((g(phi, x_i) - y_i) ** 2) / 2)(x, y)

    yield line(
        r"\frac{\partial}{\partial \phi} \frac{1}{B} \sum_i L_i",
        jax.grad(lambda phi: jnp.mean(squares(phi)))(phi),
        "definition",
    )
    total = jax.grad(lambda phi: jnp.sum(squares(phi)))(phi)
    yield line(
        r"\frac{1}{B} \sum_i \frac{\partial L_i}{\partial \phi}",
        jax.tree.map(lambda leaf: leaf / size, total),
        "every leaf of the sum, divided by B",
    )
    D = x @ only["W"].T + jnp.ones((size, 1)) * only["b"][None, :] - y
    yield line(
        r"\frac{1}{B} D^{\top} X,\; \frac{1}{B} D^{\top} 1",
        ({"W": D.T @ x / size, "b": D.sum(axis=0) / size},),
        "∂L_i/∂z = z − y for half the squared error",
    )
    yield line(
        r"\left(D^{\top} X, \tfrac{1}{B} D^{\top} 1\right) \neq \sum_i \partial L_i / \partial \phi",
        bp.differ(({"W": D.T @ x, "b": D.sum(axis=0) / size},), total, somewhere=True),
        "averaging the bias alone is not the sum …",
    )
    yield line(
        r"\left(D^{\top} X, \tfrac{1}{B} D^{\top} 1\right) \neq \tfrac{1}{B} \sum_i \partial L_i /"
        r" \partial \phi",
        bp.differ(
            ({"W": D.T @ x, "b": D.sum(axis=0) / size},),
            jax.tree.map(lambda leaf: leaf / size, total),
            somewhere=True,
        ),
        "… and not the mean",
    )
    yield line(
        r"\texttt{backproof}",
        bp.value_and_grad(bp.mlp(widths(phi), bp.rules.relu), bp.losses.mean(bp.losses.half_squared_error))(
            phi, x, y
        )[1],
        "what this library runs",
    )


# What it costs, measured


def program(f, *shapes):
    """Return `f` compiled for arguments of these shapes."""
    return jax.jit(f).lower(*shapes).compile()


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


# Balances, by which a pass can be checked with no second opinion


@bp.derivation(
    r"\langle z_\iota, \frac{\partial L_i}{\partial z_\iota} \rangle", items=("S1.12",), uses=(slope_of_f,)
)
def balance_across_a_gate(z: Float[Array, " m"], dx: Float[Array, " m"]):
    """ReLU is linear on either side of 0: what it passes on, it passes on in full. `dx` is ∂L_i/∂x_{ι+1}."""
    yield line(
        r"\langle z_\iota, \partial L_i/\partial z_\iota \rangle",
        jnp.vdot(z, jax.vjp(f, z)[1](dx)[0]),
        "definition",
    )
    yield line(
        r"\langle z_\iota, \mathbb{I}[z_\iota > 0] \odot dx \rangle", jnp.vdot(z, gate(z) * dx), "the gate"
    )
    yield line(
        r"\langle z_\iota \odot \mathbb{I}[z_\iota > 0], dx \rangle",
        jnp.vdot(z * gate(z), dx),
        "moved across",
    )
    yield line(
        r"\langle x_{\iota+1}, \partial L_i/\partial x_{\iota+1} \rangle",
        jnp.vdot(f(z), dx),
        "z I[z > 0] = f[z]",
    )
    yield line(
        r"\langle z_\iota, \texttt{backproof} \rangle",
        jnp.vdot(z, bp.rules.relu.backward((), f(z), dx)[1]),
        "what this library runs",
    )


@bp.derivation(
    r"\langle z_\iota, \frac{\partial L_i}{\partial z_\iota} \rangle",
    items=("S1.12",),
    uses=(through_a_layer, balance_across_a_gate),
)
def balance_across_a_layer(
    W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"], dz: Float[Array, " n"]
):
    """Between neighbours nothing is lost but the bias; a wrong step shows here, whatever came from above."""
    yield line(
        r"\langle z_\iota, \partial L_i/\partial z_\iota \rangle",
        jnp.vdot(z, jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0]),
        "definition",
    )
    yield line(
        r"\langle x_{\iota+1}, W_{\iota+1}^{\top} \partial L_i/\partial z_{\iota+1} \rangle",
        jnp.vdot(f(z), W.T @ dz),
        "the balance across the gate",
    )
    yield line(
        r"\langle W_{\iota+1} x_{\iota+1}, \partial L_i/\partial z_{\iota+1} \rangle",
        jnp.vdot(W @ f(z), dz),
        "what a transpose is",
    )
    yield line(
        r"\langle z_{\iota+1} - b_{\iota+1}, \partial L_i/\partial z_{\iota+1} \rangle",
        jnp.vdot((b + W @ f(z)) - b, dz),
        "z = b + W x",
    )
    phi = ({"W": jnp.eye(z.size), "b": jnp.zeros(z.size)}, {"W": W, "b": b})
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, z)
    wrong = gate(z) * (2 * W.T @ dz)
    yield line(
        r"\langle z_\iota, \text{a wrong step} \rangle \neq"
        r" \langle z_{\iota+1} - b_{\iota+1}, \partial L_i/\partial z_{\iota+1} \rangle",
        bp.differ(jnp.vdot(z, wrong), jnp.vdot((b + W @ f(z)) - b, dz), somewhere=True),
        "a step with a 2 too many does not balance",
    )
    yield line(
        r"\langle z_\iota, \texttt{backproof} \rangle",
        jnp.vdot(z, bp.deltas(phi, residuals, dz)[0]),
        "what this library runs, in a network that begins with z_ι",
    )


@bp.derivation(
    r"\text{unit 1, dead}",
    items=("S1.12",),
    uses=(whole_backward_pass,),
    args=[PHI[:2], DATUM, bp.array("q")],
)
def a_dead_unit(phi, x_i, dz_1):
    """A unit whose gate is shut learns nothing and passes nothing on."""
    z_0 = phi[0]["b"] + phi[0]["W"] @ x_i
    yield bp.assume(z_0[0] <= 0, r"z_{0,1} \le 0")
    grads = jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_1)[0]
    yield line(
        r"\left(\frac{\partial L_i}{\partial W_0}\right)_{1,:},\;"
        r" \left(\frac{\partial L_i}{\partial b_0}\right)_1,\;"
        r" \left(\frac{\partial L_i}{\partial W_1}\right)_{:,1}",
        (
            jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_1)[0][0]["W"][0],
            grads[0]["b"][0],
            grads[1]["W"][:, 0],
        ),
        "definition",
    )
    dz_01 = gate(z_0)[0] * jnp.vdot(phi[1]["W"][:, 0], dz_1)
    yield line(
        r"\frac{\partial L_i}{\partial z_{0,1}} x_i,\; \frac{\partial L_i}{\partial z_{0,1}},\;"
        r" \frac{\partial L_i}{\partial z_1} x_{1,1}",
        (dz_01 * x_i, dz_01, dz_1 * f(z_0)[0]),
        "the rules, for the first component",
    )
    yield line(
        r"0,\; 0,\; 0",
        (jnp.zeros_like(x_i), jnp.zeros(()), jnp.zeros_like(dz_1)),
        "the gate is shut, and x_{1,1} = f[z_{0,1}] = 0",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    shipped = bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[0]
    yield line(
        r"\texttt{backproof}",
        (
            bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[0][0]["W"][0],
            shipped[0]["b"][0],
            shipped[1]["W"][:, 0],
        ),
        "what this library runs",
    )


# Errata


@bp.derivation(
    r"\frac{\partial L_i}{\partial z_{\iota-1}}",
    items=("E1",),
    uses=(through_a_layer,),
    refutes=bp.Refutes(
        line=2,
        erratum="E1(c)",
        cause="argument-transposed",
        because="The book printed the chain with its partial derivatives in the order of the numerator"
        " layout but the matrices of the other: W dz for Wᵀ dz. It fits only where W is square, and there it"
        " is silently another number. Its author: 'extremely difficult to find this kind of error in your"
        " own work'.",
    ),
)
def order_of_partials(
    W: Float[Array, "n n"], b: Float[Array, " n"], z: Float[Array, " n"], dz: Float[Array, " n"]
):
    """The order of the partial derivatives (udlbook, issue 39), read literally on square layers."""
    yield line(
        r"\frac{\partial L_i}{\partial z_{\iota-1}}",
        jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0],
        "definition",
    )
    yield line(r"\mathbb{I}[z > 0] \odot (W^{\top} dz)", gate(z) * (W.T @ dz), "the document")
    yield line(
        r"\mathbb{I}[z > 0] \odot \left(\frac{\partial z_\iota}{\partial x_\iota}"
        r" \frac{\partial L_i}{\partial z_\iota}\right)",
        gate(z) * (W @ dz),
        "∂z/∂x = W as a Jacobian with a row for each output, in the order of the other layout",
    )


@bp.derivation(
    r"\frac{\partial z_\iota}{\partial z_{\iota-1}}",
    items=("E1",),
    refutes=bp.Refutes(
        line=2,
        erratum="E1(d)",
        cause="transpose",
        because="The book's chapter and appendix put ∂f_j/∂z_i at (i, j): denominator layout, the transpose"
        " of what autodiff returns. The two may not be mixed in one line; in that layout gradients stay"
        " columns and the product runs Jacobian times gradient.",
    ),
)
def two_layouts(W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"]):
    """One Jacobian, two layouts."""
    yield line(
        r"\frac{\partial z_\iota}{\partial z_{\iota-1}}",
        jax.jacobian(lambda z: b + W @ f(z))(z),
        "definition",
    )
    yield line(
        r"W_\iota\, \mathrm{diag}(\mathbb{I}[z_{\iota-1} > 0])",
        W @ jnp.diag(gate(z)),
        "a row for each output",
    )
    yield line(
        r"\mathrm{diag}(\mathbb{I}[z_{\iota-1} > 0])\, W_\iota^{\top}",
        jnp.diag(gate(z)) @ W.T,
        "the book's layout, a column for each output",
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial z_{\iota-1}}",
    items=("E1", "S1.7"),
    uses=(through_a_layer,),
    refutes=bp.Refutes(
        line=2,
        erratum="E1(e)",
        cause="at-zeros",
        because="The book's notebook 7.2 opens the gate where x > 0, notebook 7.3 where x ≥ 0: two"
        " subgradients, equal but at z = 0. With W = 1, b = 0, x = 0, y = 1 the first gives ∂L/∂b_0 = 0, the"
        " second −1. Either may be taken; one network must not take both.",
    ),
)
def two_gates(W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"], dz: Float[Array, " n"]):
    """Two gates in one book."""
    yield line(
        r"\frac{\partial L_i}{\partial z_{\iota-1}}",
        jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0],
        "definition",
    )
    yield line(
        r"\mathbb{I}[z > 0] \odot (W^{\top} dz)", gate(z) * (W.T @ dz), "the document, and notebook 7.2"
    )
    yield line(
        r"\mathbb{I}[z \ge 0] \odot (W^{\top} dz)", jnp.where(z >= 0, 1.0, 0.0) * (W.T @ dz), "notebook 7.3"
    )


@bp.derivation(r"f'(0)", items=("E1", "S1.7"), args=[bp.array("", low=0, high=0)])
def slopes_at_zero(zero):
    """Equal functions, to which autodiff gives different slopes at the kink; each has a rule here."""
    slopes = {
        "jax.nn.relu": (f, 0.0),
        "where(z > 0, z, 0)": (lambda z: jnp.where(z > 0, z, 0.0), 0.0),
        "maximum(z, 0)": (lambda z: jnp.maximum(z, 0.0), 0.5),
        "where(z >= 0, z, 0)": (lambda z: jnp.where(z >= 0, z, 0.0), 1.0),
        "(z + |z|)/2": (lambda z: (z + jnp.abs(z)) / 2, 1.0),
    }
    for name, (function, slope) in slopes.items():
        rule = bp.rules.relu_with(slope) if slope else bp.rules.relu
        _, residuals = rule.forward((), zero[None])
        yield line(
            rf"\text{{{name}}}: f'(0) = {slope}",
            bp.equal(jax.grad(function)(zero), slope),
            "autodiff of this way to write ReLU",
        )
        yield line(
            rf"\texttt{{{rule.name}}}: f'(0) = {slope}",
            bp.equal(rule.backward((), residuals, jnp.ones(1))[1][0], slope),
            "the rule of this library with the same slope",
        )


@bp.derivation(r"\frac{\partial L}{\partial b_0}", items=("E1", "S1.7"))
def smallest_network_at_the_kink():
    """W = 1, b = 0, x = 0, y = 1, half the squared error: z = 0, and the gates part."""
    phi, x, y = ({"W": jnp.ones((1, 1)), "b": jnp.zeros(1)},), jnp.zeros(1), jnp.ones(1)
    for gate_rule, expected in ((bp.rules.relu, 0.0), (bp.rules.relu_with(1.0), -1.0)):
        net = bp.mlp((1, 1), gate_rule, last=gate_rule)
        yield line(
            rf"\frac{{\partial L}}{{\partial b_0}} = {expected:g}",
            bp.equal(bp.value_and_grad(net, bp.losses.half_squared_error)(phi, x, y)[1][0]["b"][0], expected),
            f"with {gate_rule.name}: {gate_rule.at_kinks}",
        )
