r"""Document 002: backpropagation by components, one index at a time.

The document's network has K layers. Layer k maps y^{k−1} ∈ ℝ^{n_{k−1}} to

    y^k = f^k(W^k y^{k−1}),    y^k_i = f^k(Σ_j W^k_ij y^{k−1}_j),    y^0 = x,

and g(y^K) is the loss. It is written as a function of the parameters, from the top down:

    g^{K+1}(y^K) := g(y^K),    g^k(W^k, …, W^K, y^{k−1}) := g^{k+1}(W^{k+1}, …, W^K, f^k(W^k y^{k−1})).

Two derivatives of g^k then make the whole of backpropagation (z^k = W^k y^{k−1} is our letter for what the
document leaves unnamed):

    ∂g^k/∂W^k_ab   = ∂g^{k+1}/∂y^k_a · f^k′(z^k_a) · y^{k−1}_b
    ∂g^k/∂y^{k−1}_a = Σ_i ∂g^{k+1}/∂y^k_i · f^k′(z^k_i) · W^k_ia

The formulas were lost from the text that has come down to us; these are what its sentences leave room for.
Superscripts count layers and are no powers. In code `W_2` is W^2, `y_1` is y^1, and `e` is the error that
one layer hands to the next, ∂g^{k+1}/∂y^k. f^k is tanh in the hidden layers and the sigmoid in the last.
"""

import inspect

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

READING_NOTES = {
    "E2(c)": "The extra neuron is called x_{n_{k−1}+1}; it is the component y^{k−1}_{n_{k−1}+1}.",
    "E2(d)": "W^0, …, W^K: weights begin at W^1, for y^0 is the input and no layer makes it.",
    "E2(e)": "f^k is ℝ → ℝ and then ℝ^{n_k} → ℝ^{n_k}: the first, applied to every component.",
    "E2(g)": "下表 is 下标, subscript.",
}

f_hidden, f_last = jnp.tanh, jax.nn.sigmoid

# W^1, W^2, W^3 of a network of widths d → p → q → r, and its input y^0.
WEIGHTS = (bp.array("p d"), bp.array("q p"), bp.array("r q"))
INPUT, TARGET = bp.array("d"), bp.array("r")


def network(weights, y):
    """Return y^K of the input y^0: each layer after the other."""
    for W in weights[:-1]:
        y = f_hidden(W @ y)
    return f_last(weights[-1] @ y)


def layers(weights):
    """Return the weights as the library's layers; the document sets the bias aside until later."""
    return tuple({"W": W, "b": jnp.zeros(len(W))} for W in weights)


def widths(weights):
    """Return n_0, n_1, …, n_K."""
    return (weights[0].shape[1], *(len(W) for W in weights))


def g(y):
    """Return a loss; any other would do."""
    return jnp.sum(jnp.sin(2 * y)) + jnp.sum(y) ** 2 / 2


# Notation


@bp.derivation(r"n_k,\; W^k,\; y^k", items=("S2.1", "S2.2"), args=[WEIGHTS, INPUT])
def shapes(weights, x):
    """Superscripts count layers; n_k, the width of layer k, is the one subscript that does too."""
    n = widths(weights)
    params = layers(weights)
    y_K, kept = bp.mlp(n, bp.rules.tanh, bp.rules.sigmoid).forward(params, x)
    y = [*(k.x for k in kept), y_K]
    yield line(
        r"k = 1, \ldots, K", bp.holds(len(params) == len(kept) == len(n) - 1), "a matrix for every layer"
    )
    for k in (1, 2, 3):
        yield line(
            rf"W^{k} \in \mathbb{{R}}^{{n_{k} \times n_{k - 1}}}",
            bp.holds(params[k - 1]["W"].shape == (n[k], n[k - 1])),
            "a linear operator from ℝ^{n_{k−1}} to ℝ^{n_k}, as a matrix",
        )
        yield line(
            rf"y^{k} \in \mathbb{{R}}^{{n_{k}}}", bp.holds(y[k].shape == (n[k],)), "what layer k puts out"
        )
    yield line(r"y^0 = x", bp.equal(y[0], x), "the input is what layer 0 puts out")


@bp.derivation(r"y^2", items=("S2.1",))
def superscripts_are_no_powers(W_1: Float[Array, "p d"], W_2: Float[Array, "p p"], x: Float[Array, " d"]):
    """y^2 is the output of layer 2, and y^1_i its component before."""
    y_1 = f_hidden(W_1 @ x)
    y_2, kept = bp.mlp((x.size, y_1.size, y_1.size), bp.rules.tanh, bp.rules.sigmoid).forward(
        layers((W_1, W_2)), x
    )
    yield line(r"y^1 = f^1(W^1 y^0)", bp.equal(kept[1].x, y_1), "layer 1")
    yield line(r"y^2 = f^2(W^2 y^1)", bp.equal(y_2, f_last(W_2 @ y_1)), "layer 2")
    yield line(r"y^2 \neq y^1 \odot y^1", bp.differ(y_2, y_1 * y_1, somewhere=True), "no power")


@bp.derivation(r"\frac{\partial y_i}{\partial W_{ab}}", items=("S2.1",))
def subscripts_are_components(W: Float[Array, "n m"], y: Float[Array, " m"]):
    """Component i of a layer hears row i of its matrix and no other."""
    of_W = jax.jacobian(lambda W: f_hidden(W @ y))(W)
    other_rows = jnp.einsum("ia,iab->iab", 1 - jnp.eye(len(W)), of_W)
    yield line(
        r"\frac{\partial y_i}{\partial W_{ab}} = 0 \quad (a \neq i)",
        bp.equal(other_rows, jnp.zeros_like(other_rows)),
        "row a of W belongs to component a",
    )
    row = jnp.einsum("iib->ib", of_W)
    yield line(
        r"\frac{\partial y_i}{\partial W_{ib}} \neq 0",
        bp.differ(row, jnp.zeros_like(row), somewhere=True),
        "its own",
    )


@bp.derivation(r"W(\alpha u + v)", items=("S2.2",))
def a_linear_operator(
    W: Float[Array, "n m"], u: Float[Array, " m"], v: Float[Array, " m"], alpha: Float[Array, ""]
):
    """W^k is linear, and its columns are the images of the basis."""
    yield line(
        r"W(\alpha u + v) = \alpha W u + W v",
        bp.equal(W @ (alpha * u + v), alpha * (W @ u) + W @ v),
        "linearity",
    )
    yield line(
        r"W = (W e_1, \ldots, W e_{n_{k-1}})",
        bp.equal(jax.vmap(lambda basis: W @ basis)(jnp.eye(u.size)).T, W),
        "columns",
    )
    no_bias = {"W": W, "b": jnp.zeros(len(W))}
    yield line(
        r"\texttt{backproof}",
        bp.equal(bp.rules.affine(len(W)).forward(no_bias, u)[0], W @ u),
        "what this library runs, with b = 0",
    )


@bp.derivation(r"\frac{\partial f^k(z)}{\partial z}", items=("S2.3",))
def f_acts_on_each_component(z: Float[Array, " n"]):
    """f^k: ℝ → ℝ, written over a vector, means: to every component. Its Jacobian is diagonal."""
    yield line(r"\frac{\partial f(z)}{\partial z}", jax.jacobian(f_hidden)(z), "definition")
    yield line(
        r"\left(\frac{\partial f(z_i)}{\partial z_j}\right)_{ij}",
        jnp.stack([jax.grad(lambda z, i=i: f_hidden(z[i]))(z) for i in range(z.size)]),
        "row i is the gradient of component i",
    )
    yield line(
        r"\mathrm{diag}(f'(z_i))",
        jnp.diag(jax.vmap(jax.grad(f_hidden))(z)),
        "f(z_i) does not hear z_j for j ≠ i",
    )
    y, kept = bp.rules.tanh.forward((), z)
    yield line(
        r"f(z) = (f(z_1), \ldots, f(z_n))",
        bp.equal(y, jnp.stack([f_hidden(z_i) for z_i in z])),
        "by component",
    )
    yield line(
        r"\texttt{backproof}",
        jax.vmap(lambda e: bp.rules.tanh.backward((), kept, e)[1])(jnp.eye(z.size)),
        "row by row, what this library runs",
    )


# Forward


@bp.derivation(r"y^k", items=("S2.4",))
def a_layer_forward(W: Float[Array, "n m"], y: Float[Array, " m"]):
    """One layer, from the matrix to the sums that the document writes out. `y` is y^{k−1}."""
    n, m = W.shape
    yield line(r"f(W y)", f_last(W @ y), "definition")
    yield line(r"f(W_{ij} y_j)", f_last(jnp.einsum("ij,j->i", W, y)), "the product by its indices")
    yield line(
        r"\left(f\left(\sum_j W_{ij} y_j\right)\right)_i",
        jnp.stack([f_last(sum(W[i, j] * y[j] for j in range(m))) for i in range(n)]),
        "one component at a time",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp((m, n), bp.rules.tanh, bp.rules.sigmoid).forward(layers((W,)), y)[0],
        "what this library runs",
    )


@bp.derivation(r"y^K", items=("S2.4",), uses=(a_layer_forward,), args=[WEIGHTS, INPUT])
def all_layers_forward(weights, x):
    """The layers merged into one function of y^0 = x."""
    W_1, W_2, W_3 = weights
    y_1 = f_hidden(W_1 @ x)
    y_2 = f_hidden(W_2 @ y_1)
    yield line(r"f^K(W^K y^{K-1})", f_last(W_3 @ y_2), "the last layer")
    yield line(r"f^K(W^K f^{K-1}(W^{K-1} y^{K-2}))", f_last(W_3 @ f_hidden(W_2 @ y_1)), "the one before it")
    yield line(
        r"f^K(W^K \cdots f^1(W^1 y^0))", f_last(W_3 @ f_hidden(W_2 @ f_hidden(W_1 @ x))), "down to the input"
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)[0],
        "what this library runs",
    )


# A change of variables: the loss as a function of the parameters


def g_3(W_3, y_2):
    """Return g^K(W^K, y^{K−1}) := g(f^K(W^K y^{K−1})), for K = 3."""
    return g(f_last(W_3 @ y_2))


def g_2(W_2, W_3, y_1):
    """Return g^{K−1}(W^{K−1}, W^K, y^{K−2}) := g^K(W^K, f^{K−1}(W^{K−1} y^{K−2}))."""
    return g_3(W_3, f_hidden(W_2 @ y_1))


def g_1(W_1, W_2, W_3, y_0):
    """Return g^{K−2}(W^{K−2}, …, W^K, y^{K−3}) := g^{K−1}(W^{K−1}, W^K, f^{K−2}(W^{K−2} y^{K−3}))."""
    return g_2(W_2, W_3, f_hidden(W_1 @ y_0))


@bp.derivation(r"g^k", items=("S2.5",), uses=(all_layers_forward,), args=[WEIGHTS, INPUT])
def every_g_has_one_value(weights, x):
    """g^k ≡ g^K, says the document. Of values this is true: each is the loss, along one trajectory."""
    W_1, W_2, W_3 = weights
    y_1 = f_hidden(W_1 @ x)
    y_2 = f_hidden(W_2 @ y_1)
    y_3 = f_last(W_3 @ y_2)
    yield line(r"g^{K+1} = g(y^K)", g(y_3), "definition")
    yield line(r"g^K(W^K, y^{K-1})", g_3(W_3, y_2), "y^K = f^K(W^K y^{K−1})")
    yield line(r"g^{K-1}(W^{K-1}, W^K, y^{K-2})", g_2(W_2, W_3, y_1), "y^{K−1} = f^{K−1}(W^{K−1} y^{K−2})")
    yield line(r"g^1(W^1, \ldots, W^K, y^0)", g_1(W_1, W_2, W_3, x), "and so on down to the input")
    yield line(
        r"g(\texttt{backproof})",
        g(bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)[0]),
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial g^k}{\partial W^k}",
    items=("S2.5",),
    uses=(every_g_has_one_value,),
    args=[WEIGHTS, INPUT],
)
def total_and_partial(weights, x):
    """Of derivatives, g^k ≡ g^K says less than it seems.

    The derivative of the loss by W^k is a total one: W^k also moves y^k, …, y^K. g^k is made so that it is
    a partial one as well: with y^{k−1} held fixed, everything that W^k moves is inside g^k.
    """
    W_1, W_2, W_3 = weights
    y_1 = f_hidden(W_1 @ x)
    y_2 = f_hidden(W_2 @ y_1)
    yield line(
        r"\left(\frac{d g(y^K)}{d W^k}\right)_{k = 1 \ldots K}",
        jax.grad(lambda weights: g(network(weights, x)))(weights),
        "definition: all that W^k moves",
    )
    yield line(
        r"\left(\frac{\partial g^k(W^k, \ldots, W^K, y^{k-1})}{\partial W^k}\right)_{k = 1 \ldots K}",
        (
            jax.grad(g_1, argnums=0)(W_1, W_2, W_3, x),
            jax.grad(g_2, argnums=0)(W_2, W_3, y_1),
            jax.grad(g_3, argnums=0)(W_3, y_2),
        ),
        "y^{k−1} does not depend on W^k",
    )
    y_K, kept = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)
    grads, _ = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).backward(
        layers(weights), kept, jax.grad(g)(y_K)
    )
    yield line(r"\texttt{backproof}", tuple(layer["W"] for layer in grads), "what this library runs")


# The two derivatives of one layer


def g_above(V, y):
    """Return g^{k+1}(W^{k+1}, …, y^k), with one more layer standing for all that lie above."""
    return g(f_last(V @ y))


df = jax.vmap(jax.grad(f_hidden))  # f′, of each component


@bp.derivation(r"\frac{\partial g^k}{\partial W^k_{ab}}", items=("S2.6",), uses=(f_acts_on_each_component,))
def of_one_weight(W: Float[Array, "n m"], V: Float[Array, "q n"], y: Float[Array, " m"]):
    """The derivative of g^k by the entry (a, b) of W^k. `y` is y^{k−1}, `V` is W^{k+1}."""
    n, m = W.shape
    z = W @ y
    e = jax.grad(g_above, argnums=1)(V, f_hidden(z))  # ∂g^{k+1}/∂y^k
    yield line(
        r"\frac{\partial g^k}{\partial W^k_{ab}}",
        jax.grad(lambda W: g_above(V, f_hidden(W @ y)))(W),
        "definition",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} \frac{\partial y^k_i}{\partial W^k_{ab}}",
        jnp.einsum("i,iab->ab", e, jax.jacobian(lambda W: f_hidden(W @ y))(W)),
        "chain rule: g^k hears W^k only through y^k",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i) \frac{\partial z_i}{\partial W^k_{ab}}",
        jnp.einsum("i,i,iab->ab", e, df(z), jax.jacobian(lambda W: W @ y)(W)),
        "y_i = f(z_i)",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i)\, \delta_{ia}\, y^{k-1}_b",
        jnp.einsum("i,i,ia,b->ab", e, df(z), jnp.eye(n), y),
        "z_i = Σ_j W_ij y_j, so ∂z_i/∂W_ab = δ_ia y_b",
    )
    yield line(
        r"\frac{\partial g^{k+1}}{\partial y^k_a} f'(z_a)\, y^{k-1}_b",
        jnp.einsum("a,a,b->ab", e, df(z), y),
        "δ_ia leaves the one term i = a",
    )
    yield line(
        r"\left(\frac{\partial g^{k+1}}{\partial y^k_a} f'(z_a)\, y^{k-1}_b\right)_{ab}",
        jnp.stack([jnp.stack([e[a] * df(z)[a] * y[b] for b in range(m)]) for a in range(n)]),
        "for a: for b: as the document would have it calculated",
    )
    _, kept = bp.mlp((m, n), bp.rules.tanh, bp.rules.tanh).forward(layers((W,)), y)
    yield line(
        r"\texttt{backproof}",
        bp.layer_step({"W": W, "b": jnp.zeros(n)}, kept[0], e)[0]["W"],
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial g^k}{\partial y^{k-1}_a}", items=("S2.7",), uses=(f_acts_on_each_component,))
def of_one_input(W: Float[Array, "n m"], V: Float[Array, "q n"], y: Float[Array, " m"]):
    """The derivative of g^k by component a of y^{k−1}: the error that is handed down."""
    n, m = W.shape
    z = W @ y
    e = jax.grad(g_above, argnums=1)(V, f_hidden(z))  # ∂g^{k+1}/∂y^k
    yield line(
        r"\frac{\partial g^k}{\partial y^{k-1}_a}",
        jax.grad(lambda y: g_above(V, f_hidden(W @ y)))(y),
        "definition",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} \frac{\partial y^k_i}{\partial y^{k-1}_a}",
        jnp.einsum("i,ia->a", e, jax.jacobian(lambda y: f_hidden(W @ y))(y)),
        "chain rule: every y_i hears y_a, so the sum stays",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i) \frac{\partial z_i}{\partial y^{k-1}_a}",
        jnp.einsum("i,i,ia->a", e, df(z), jax.jacobian(lambda y: W @ y)(y)),
        "y_i = f(z_i)",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i)\, W^k_{ia}",
        jnp.einsum("i,i,ia->a", e, df(z), W),
        "∂z_i/∂y_a = W_ia",
    )
    yield line(
        r"\left(\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i)\, W^k_{ia}\right)_a",
        jnp.stack([sum(e[i] * df(z)[i] * W[i, a] for i in range(n)) for a in range(m)]),
        "for a: for i: as the document would have it calculated",
    )
    yield line(
        r"W^{k\top} \left(\frac{\partial g^{k+1}}{\partial y^k} \odot f'(z^k)\right)",
        W.T @ (e * df(z)),
        "the same sum as a product: i is the row index of W, so W is transposed",
    )
    _, kept = bp.mlp((m, n), bp.rules.tanh, bp.rules.tanh).forward(layers((W,)), y)
    yield line(
        r"\texttt{backproof}",
        bp.layer_step({"W": W, "b": jnp.zeros(n)}, kept[0], e)[1],
        "what this library runs",
    )


# The seed, and what travels


@bp.derivation(
    r"\frac{\partial g^{K+1}}{\partial y^K}",
    items=("S2.8",),
    uses=(of_one_weight, of_one_input),
    args=[WEIGHTS, INPUT],
)
def the_seed(weights, x):
    """The recursion needs g^{K+1} = g(y^K), and of it only the derivative at y^K.

    There is no W^{K+1}, so its derivative does not exist; nothing asks for it. Put a plane ⟨e, y⟩ with the
    same slope e = ∂g/∂y in place of g, and every gradient stays.
    """
    y_K = network(weights, x)
    e = jax.grad(g)(y_K)
    yield line(
        r"\left(\frac{\partial g(y^K)}{\partial W^k}\right)_k",
        jax.grad(lambda weights: g(network(weights, x)))(weights),
        "definition",
    )
    yield line(
        r"\left(\frac{\partial y^K}{\partial W^k}\right)^{\top} \frac{\partial g}{\partial y^K}",
        jax.vjp(lambda weights: network(weights, x), weights)[1](jax.grad(g)(y_K))[0],
        "chain rule at y^K: the seed is ∂g^{K+1}/∂y^K = ∂g/∂y^K",
    )
    yield line(
        r"\left(\frac{\partial \langle e, y^K \rangle}{\partial W^k}\right)_k, \quad e = \frac{\partial"
        r" g}{\partial y^K}",
        jax.grad(lambda weights: jnp.vdot(e, network(weights, x)))(weights),
        "any loss of that slope does as well",
    )
    _, kept = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)
    grads, _ = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).backward(layers(weights), kept, e)
    yield line(r"\texttt{backproof}", tuple(layer["W"] for layer in grads), "what this library runs")
    yield line(
        r"k = 1, \ldots, K", bp.equal(len(grads), len(weights)), "and there is no gradient of a W^{K+1}"
    )


@bp.derivation(
    r"\left(\frac{\partial g^k}{\partial W^k}\right)_k",
    items=("S2.6", "S2.7", "S2.9"),
    uses=(of_one_weight, of_one_input, the_seed),
    args=[WEIGHTS, INPUT],
)
def only_the_error_travels(weights, x):
    """Each layer takes its own cache and the error e^k = ∂g^{k+1}/∂y^k, and hands down e^{k−1}: no more."""
    W_1, W_2, W_3 = weights
    z_1 = W_1 @ x
    z_2 = W_2 @ f_hidden(z_1)
    z_3 = W_3 @ f_hidden(z_2)
    s_3 = jax.grad(g)(f_last(z_3)) * jax.vmap(jax.grad(f_last))(z_3)
    s_2 = (W_3.T @ s_3) * df(z_2)
    s_1 = (W_2.T @ s_2) * df(z_1)
    yield line(
        r"\left(\frac{\partial g(y^K)}{\partial W^k}\right)_k",
        jax.grad(lambda weights: g(network(weights, x)))(weights),
        "definition",
    )
    yield line(
        r"\left(e^k_a f'(z^k_a)\, y^{k-1}_b\right)_k, \quad e^{k-1}_a = \sum_i e^k_i f'(z^k_i) W^k_{ia}",
        (
            jnp.einsum("a,b->ab", s_1, x),
            jnp.einsum("a,b->ab", s_2, f_hidden(z_1)),
            jnp.einsum("a,b->ab", s_3, f_hidden(z_2)),
        ),
        "the two derivatives, from k = K to 1",
    )
    y_K, kept = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)
    step_3, e_2 = bp.layer_step(layers(weights)[2], kept[2], jax.grad(g)(y_K))
    step_2, e_1 = bp.layer_step(layers(weights)[1], kept[1], e_2)
    yield line(
        r"\texttt{backproof}",
        (bp.layer_step(layers(weights)[0], kept[0], e_1)[0]["W"], step_2["W"], step_3["W"]),
        "three steps of this library, with nothing passed on but e",
    )
    yield line(
        r"(W^k, \text{cache}^k, e^k) \mapsto (\partial g / \partial W^k, e^{k-1})",
        bp.holds([*inspect.signature(bp.layer_step).parameters] == ["params_l", "residuals_l", "delta_a"]),
        "a step has no other argument",
    )


# The bias as a neuron


def with_one(y):
    """Return ỹ = [y; 1]: one more neuron, which is always 1."""
    return jnp.concatenate([y, jnp.ones(1)])


def with_bias(W, b):
    """Return W̃ = [W | b], of shape n_k × (n_{k−1} + 1): b is its last column."""
    return jnp.concatenate([W, b[:, None]], axis=1)


@bp.derivation(r"\tilde W \tilde y", items=("S2.10",))
def bias_as_a_column(W: Float[Array, "n m"], b: Float[Array, " n"], y: Float[Array, " m"]):
    """W y + b is linear once y has a component that is always 1. W̃_{j, n_{k−1}+1} = b_j, for each j."""
    yield line(r"W y + b", W @ y + b, "definition")
    yield line(
        r"\sum_{j \le n_{k-1}} W_{ij} y_j + b_i \cdot 1",
        jnp.einsum("ij,j->i", W, y) + b * 1.0,
        "the bias is multiplied by 1",
    )
    yield line(
        r"\sum_{j \le n_{k-1}+1} \tilde W_{ij} \tilde y_j",
        jnp.einsum("ij,j->i", with_bias(W, b), with_one(y)),
        "one sum, with W̃ = [W | b] and ỹ = [y; 1]",
    )
    yield line(
        r"\tilde W \in \mathbb{R}^{n_k \times (n_{k-1} + 1)}",
        bp.holds(with_bias(W, b).shape == (len(b), y.size + 1)),
        "a column more and no row: nothing feeds the constant neuron, and no f acts on it",
    )
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(len(b)).forward({"W": W, "b": b}, y)[0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial g}{\partial \tilde W^1}, \frac{\partial g}{\partial \tilde W^2}",
    items=("S2.10",),
    uses=(bias_as_a_column, of_one_weight, of_one_input),
    args=[bp.array("p d"), bp.array("p"), bp.array("q p"), bp.array("q"), bp.array("d")],
)
def bias_gradients(W_1, b_1, W_2, b_2, x):
    """With the bias in W̃ the document's two derivatives stay as they are; one error is dropped."""

    def loss(W_1, b_1, W_2, b_2):
        return g(f_last(W_2 @ f_hidden(W_1 @ x + b_1) + b_2))

    def augmented(V_1, V_2):
        return g(f_last(V_2 @ with_one(f_hidden(V_1 @ with_one(x)))))

    V_1, V_2 = with_bias(W_1, b_1), with_bias(W_2, b_2)
    z_1 = V_1 @ with_one(x)
    z_2 = V_2 @ with_one(f_hidden(z_1))
    s_2 = jax.grad(g)(f_last(z_2)) * jax.vmap(jax.grad(f_last))(z_2)
    e_1 = (V_2.T @ s_2)[:-1]  # the last component belongs to the constant neuron: nobody is below it
    yield line(
        r"\left[\frac{\partial g}{\partial W^k} \,\middle|\, \frac{\partial g}{\partial b^k}\right]_{k ="
        r" 1, 2}",
        tuple(
            jnp.concatenate([of_W, of_b[:, None]], axis=1)
            for of_W, of_b in (
                jax.grad(loss, argnums=(0, 1))(W_1, b_1, W_2, b_2),
                jax.grad(loss, argnums=(2, 3))(W_1, b_1, W_2, b_2),
            )
        ),
        "definition, with an explicit bias",
    )
    yield line(
        r"\left(\frac{\partial g}{\partial \tilde W^k}\right)_{k = 1, 2}",
        jax.grad(augmented, argnums=(0, 1))(V_1, V_2),
        "the bias is the last column of W̃",
    )
    yield line(
        r"\left(e^k_a f'(z^k_a)\, \tilde y^{k-1}_b\right)_{k = 1, 2}",
        (
            jnp.einsum("a,b->ab", e_1 * df(z_1), with_one(x)),
            jnp.einsum("a,b->ab", s_2, with_one(f_hidden(z_1))),
        ),
        "the document's rule, with ỹ for y; the error of the constant neuron is dropped",
    )
    yield line(
        r"\left[ e^k_a f'(z^k_a)\, y^{k-1}_b \,\middle|\, e^k_a f'(z^k_a) \right]_{k = 1, 2}",
        (
            with_bias(jnp.einsum("a,b->ab", e_1 * df(z_1), x), e_1 * df(z_1)),
            with_bias(jnp.einsum("a,b->ab", s_2, f_hidden(z_1)), s_2),
        ),
        "the last component of ỹ is 1: the last column is ∂g/∂b^k",
    )
    params = ({"W": W_1, "b": b_1}, {"W": W_2, "b": b_2})
    net = bp.mlp((x.size, len(b_1), len(b_2)), bp.rules.tanh, bp.rules.sigmoid)
    y_K, kept = net.forward(params, x)
    yield line(
        r"\texttt{backproof}",
        tuple(
            with_bias(layer["W"], layer["b"])
            for layer in bp.mlp((x.size, len(b_1), len(b_2)), bp.rules.tanh, bp.rules.sigmoid).backward(
                params, kept, jax.grad(g)(y_K)
            )[0]
        ),
        "what this library runs, W and b put side by side",
    )


# Descent

half_squared_error = bp.losses.half_squared_error
LAYERS = ({"W": bp.array("p d"), "b": bp.array("p")}, {"W": bp.array("q p"), "b": bp.array("q")})


@bp.derivation(
    r"\theta - \eta \frac{\partial g^K}{\partial \theta}",
    items=("S2.11",),
    uses=(bias_gradients,),
    args=[LAYERS, INPUT, bp.array("q"), bp.array("")],
)
def descent(theta, x, t, eta):
    """θ ← θ − η ∂g^K/∂θ, with W^k and b^k merged into θ. The loss here is half the squared error to t."""

    def loss(theta):
        y = f_hidden(theta[0]["W"] @ x + theta[0]["b"])
        return jnp.sum((f_last(theta[1]["W"] @ y + theta[1]["b"]) - t) ** 2) / 2

    yield line(
        r"\theta - \eta \frac{\partial g^K}{\partial \theta}",
        jax.tree.map(lambda p, of_p: p - eta * of_p, theta, jax.grad(loss)(theta)),
        "definition",
    )
    net = bp.mlp((x.size, len(theta[0]["b"]), t.size), bp.rules.tanh, bp.rules.sigmoid)
    _, grads = bp.value_and_grad(net, half_squared_error)(theta, x, t)
    merged = [
        with_bias(p["W"], p["b"]) - eta * with_bias(of_p["W"], of_p["b"])
        for p, of_p in zip(theta, grads, strict=True)
    ]
    yield line(
        r"[W^k | b^k] - \eta \left[\frac{\partial g}{\partial W^k} \middle| \frac{\partial g}{\partial"
        r" b^k}\right]",
        tuple({"W": one[:, :-1], "b": one[:, -1]} for one in merged),
        "merged in one matrix, moved, and taken apart",
    )
    y_K, kept = net.forward(theta, x)
    e = half_squared_error.backward(half_squared_error.forward(y_K, t)[1])
    yield line(
        r"\texttt{backproof}",
        bp.descend(net, theta, kept, e, lambda p, of_p: p - eta * of_p)[0],
        "what this library runs, layer by layer",
    )


@bp.derivation(
    r"\theta - \eta \frac{\partial g^K}{\partial \theta}",
    items=("S2.11",),
    uses=(descent,),
    args=[LAYERS, INPUT, bp.array("q"), bp.array("")],
)
def descent_is_optax_sgd(theta, x, t, eta):
    """The document's update is the one that optax calls SGD, bit for bit."""
    net, loss = (
        bp.mlp((x.size, len(theta[0]["b"]), t.size), bp.rules.tanh, bp.rules.sigmoid),
        half_squared_error,
    )
    y_K, kept = net.forward(theta, x)
    ours, _ = bp.descend(
        net, theta, kept, loss.backward(loss.forward(y_K, t)[1]), lambda p, of_p: p - eta * of_p
    )
    optimizer = optax.sgd(eta)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = optimizer.update(bp.value_and_grad(net, loss)(theta, x, t)[1], optimizer.init(theta))
        theirs = optax.apply_updates(theta, updates)
    for k, (mine, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        for leaf in ("W", "b"):
            yield line(
                rf"{leaf}^{k} - \eta \frac{{\partial g}}{{\partial {leaf}^{k}}} = \texttt{{optax.sgd}}",
                bp.holds(mine[leaf] == other[leaf]),
                "every bit",
            )


# Errata


@bp.derivation(
    r"\tilde W \tilde y",
    items=("E2",),
    uses=(bias_as_a_column,),
    args=[bp.array("3 5"), bp.array("3"), bp.array("5")],
    refutes=bp.Refutes(
        line=1,
        erratum="E2(a)",
        cause="contract-raises",
        because="W_{n_{k−1}+1, j} = b names row n_{k−1} + 1 of a matrix that has n_k rows. Where there is no"
        " such row, as for 3 × 5, there is nowhere to write; where there is, it belongs to another unit. The"
        " bias is the last COLUMN: W̃_{j, n_{k−1}+1} = b_j.",
    ),
)
def bias_as_a_row(W, b, y):
    """The extra weight with its indices as printed, the row n_{k−1} + 1, for n_k = 3 and n_{k−1} = 5."""
    yield line(r"W y + b", W @ y + b, "definition")
    rows = list(with_bias(W, jnp.zeros_like(b)))
    rows[y.size] = jnp.full(y.size + 1, b[0])
    yield line(r"\tilde W_{n_{k-1}+1,\, j} = b \quad \forall j", jnp.stack(rows) @ with_one(y), "as printed")


@bp.derivation(
    r"W y + b",
    items=("E2",),
    uses=(bias_as_a_column,),
    refutes=bp.Refutes(
        line=1,
        erratum="E2(b)",
        cause="unknown",
        because="'= b for every j' gives all units one number. That is another model, whose single bias has"
        " the sum of the errors, Σ_j δ_j, for its gradient. Each unit needs a bias of its own, b_j.",
    ),
)
def one_bias_for_all(W: Float[Array, "n m"], b: Float[Array, " n"], y: Float[Array, " m"]):
    """One b for every j."""
    yield line(r"W y + b", W @ y + b, "a bias for each unit")
    yield line(r"W y + b_1 (1, \ldots, 1)^{\top}", W @ y + b[0], "the same b for every j, as printed")


@bp.derivation(r"\frac{\partial g}{\partial \beta}", items=("E2",))
def gradient_of_one_bias(W: Float[Array, "n m"], beta: Float[Array, ""], y: Float[Array, " m"]):
    """The other model, taken at its word: its gradient is the sum of all errors."""
    z = W @ y + beta
    yield line(
        r"\frac{\partial g}{\partial \beta}",
        jax.grad(lambda beta: g(f_last(W @ y + beta)))(beta),
        "definition",
    )
    yield line(
        r"\sum_j e_j f'(z_j) \cdot 1",
        jnp.einsum("i,i,i->", jax.grad(g)(f_last(z)), jax.vmap(jax.grad(f_last))(z), jnp.ones(len(W))),
        "β enters every z_j, with derivative 1",
    )
    spread = {"W": W, "b": jnp.full(len(W), beta)}
    y_K, kept = bp.mlp((y.size, len(W)), bp.rules.tanh, bp.rules.sigmoid).forward((spread,), y)
    yield line(
        r"\sum_j \texttt{backproof}_j",
        bp.layer_step(spread, kept[0], jax.grad(g)(y_K))[0]["b"].sum(),
        "the gradients that this library gives to biases apart, summed",
    )


@bp.derivation(
    r"\frac{\partial g}{\partial W^1}",
    items=("E2", "S2.5"),
    uses=(every_g_has_one_value, total_and_partial),
    args=[WEIGHTS[:2], INPUT],
    refutes=bp.Refutes(
        line=2,
        erratum="E2(f)",
        cause="missing",
        because="'g^k ≡ g^K, only the independent variable differs' is true of values and false of partial"
        " derivatives. g^K(W^K, y^{K−1}) has no argument W^k: with y^{K−1} held fixed its derivative by W^k"
        " is 0. ∂g^K/∂θ has to be read as the total derivative, through y^{K−1}, and that is ∂g^k/∂W^k.",
    ),
)
def the_last_g_differentiated_partially(weights, x):
    """∂g^K/∂θ, read as a partial derivative for a layer below the last; here K = 2 and k = 1."""
    W_1, W_2 = weights
    y_1 = f_hidden(W_1 @ x)
    yield line(
        r"\frac{d g(y^K)}{d W^1}",
        jax.grad(lambda W_1: g(network((W_1, W_2), x)))(W_1),
        "definition: the total derivative",
    )
    yield line(
        r"\frac{\partial g^1(W^1, W^2, y^0)}{\partial W^1}",
        jax.grad(lambda W_1: g_3(W_2, f_hidden(W_1 @ x)))(W_1),
        "the partial derivative of g^1, y^0 held fixed",
    )
    yield line(
        r"\frac{\partial g^K(W^K, y^{K-1})}{\partial W^1}",
        jax.grad(lambda _: g_3(W_2, y_1))(W_1),
        "g^1 ≡ g^K: the partial derivative of g^K, y^1 held fixed",
    )
