r"""Document 000: backpropagation in a network with σ on every layer, from the loss to the recursion on δ.

Letters as in the document: layers l = 1 … L; z^l = W^l a^{l−1} + b^l; a^l = σ(z^l); a^0 = x; the loss
J(W, b, x, y) = ½‖a^L − y‖²; δ^l = ∂J/∂z^l. The document never says which σ: what follows needs it to be
differentiable and to act on each component alone, and nothing else. Where one must be taken, several are.

Vectors are arrays of one axis, a matrix W^l has the shape (n_l, n_{l−1}). A Jacobian from `jax.jacobian`
has a row for each output. The document's matrices ∂z^{l+1}/∂z^l have a column for each output: they are
its transpose, and S0.11 says so.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import backproof as bp
from backproof import line, losses, rules

SIGMAS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "softplus": jax.nn.softplus, "sin": jnp.sin}
SHIPPED = {name: getattr(rules, name) for name in SIGMAS}


def sigma(z):
    """σ where the document leaves it open and one is enough: the sigmoid."""
    return jax.nn.sigmoid(z)


def dsigma(z):
    """σ′, of each component alone."""
    return jax.nn.sigmoid(z) * (1 - jax.nn.sigmoid(z))


def J(a, y):
    """½‖a − y‖²."""
    return jnp.sum((a - y) ** 2) / 2


def slope(f, z):
    """f′(z) for a function f of one number, component by component."""
    return jax.vmap(jax.grad(f))(z)


# 1. The loss and the output.


@bp.derivation(r"\frac{\partial J}{\partial a^L} = a^L - y", items=("S0.1",))
def loss_slope(a: Float[Array, " n"], y: Float[Array, " n"]):
    """J = ½‖a^L − y‖². The ½ is there so that the 2 of the square falls away."""
    yield line(r"\frac{\partial}{\partial a^L} \frac12 \|a^L - y\|_2^2", jax.grad(J)(a, y), "definition")
    yield line(r"\frac12 \cdot 2 (a^L - y)", 2 * (a - y) / 2, "the square, component by component")
    yield line(r"a^L - y", a - y, "½ · 2 = 1")
    yield line(
        r"\texttt{half\_squared\_error}",
        losses.half_squared_error.backward(losses.half_squared_error.forward(a, y)[1]),
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial}{\partial a^L} \|a^L - y\|_2^2", items=("S0.1",))
def loss_without_the_half(a: Float[Array, " n"], y: Float[Array, " n"]):
    """Without the ½ every gradient doubles: a convention, and no slip, but one that must be stated."""
    yield line(
        r"\frac{\partial}{\partial a^L}\|a^L - y\|_2^2",
        jax.grad(lambda a: jnp.sum((a - y) ** 2))(a),
        "definition",
    )
    yield line(r"2 (a^L - y)", 2 * (a - y), "the square, component by component")
    yield line(r"2 (a^L - y) \neq a^L - y", bp.differ(2 * (a - y), a - y, somewhere=True), "unless a^L = y")


@bp.derivation(r"a^L = \sigma(W^L a^{L-1} + b^L)", items=("S0.2",))
def output(W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"]):
    """The output, for every σ: nothing of it is used but that it acts on each component alone."""
    z = W @ a_below + b
    yield line(r"\sigma(z^L)", {name: f(z) for name, f in SIGMAS.items()}, "definition")
    yield line(
        r"\sigma\bigl(\textstyle\sum_j W^L_{ij} a^{L-1}_j + b^L_i\bigr)_i",
        {name: jax.vmap(f)(jnp.sum(W * a_below[None, :], axis=1) + b) for name, f in SIGMAS.items()},
        "each component alone",
    )
    yield line(
        r"\texttt{mlp}",
        {name: network((m, n), f).forward(({"W": W, "b": b},), a_below)[0] for name, f, (n, m) in shipped(W)},
        "what this library runs",
    )


def shipped(W):
    """Each name, its shipped rule, and the shape of W."""
    return [(name, rule, W.shape) for name, rule in SHIPPED.items()]


def network(sizes, rule):
    """The shipped network with this σ on every layer."""
    return bp.mlp(sizes, rule, rule)


# 2. The output layer: the base case of the induction.


@bp.derivation(r"\delta^L = (a^L - y) \odot \sigma'(z^L)", items=("S0.3", "S0.9"), uses=(loss_slope,))
def output_delta(z: Float[Array, " n"], y: Float[Array, " n"]):
    """The error at the output, the base case: from the definition to what the shipped backward pass runs."""
    yield line(r"\frac{\partial J}{\partial z^L}", jax.grad(lambda z: J(sigma(z), y))(z), "definition")
    yield line(
        r"\Bigl(\frac{\partial a^L}{\partial z^L}\Bigr)^{\top} \frac{\partial J}{\partial a^L}",
        jax.jacobian(sigma)(z).T @ (sigma(z) - y),
        "chain rule",
    )
    yield line(
        r"\operatorname{diag}(\sigma'(z^L)) (a^L - y)",
        jnp.diag(dsigma(z)) @ (sigma(z) - y),
        "σ acts on each component alone, so its Jacobian is diagonal",
    )
    yield line(
        r"(a^L - y) \odot \sigma'(z^L)", (sigma(z) - y) * dsigma(z), "a diagonal matrix scales components"
    )
    yield line(
        r"\texttt{sigmoid.backward}",
        rules.sigmoid.backward((), rules.sigmoid.forward((), z)[1], sigma(z) - y)[1],
        "what this library runs",
    )


@bp.derivation(r"\delta^L = (a^L - y) \odot \sigma'(z^L)", items=("S0.2", "S0.3"))
def output_delta_for_every_sigma(z: Float[Array, " n"], y: Float[Array, " n"]):
    """The same for σ the sigmoid, tanh, softplus and the sine: the document's proof uses none of them."""
    each = SIGMAS.items()
    yield line(
        r"\frac{\partial J}{\partial z^L}",
        {n: jax.grad(lambda z, f=f: J(f(z), y))(z) for n, f in each},
        "definition",
    )
    yield line(r"(a^L - y) \odot \sigma'(z^L)", {n: (f(z) - y) * slope(f, z) for n, f in each}, "S0.3")
    yield line(
        r"\texttt{backward}",
        {n: SHIPPED[n].backward((), SHIPPED[n].forward((), z)[1], f(z) - y)[1] for n, f in each},
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial W^L} = \delta^L (a^{L-1})^{\top}", items=("S0.4",), uses=(output_delta,)
)
def output_weights(
    W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"], y: Float[Array, " n"]
):
    """The gradient of the last weights. The document leaves out a parenthesis here: see erratum E0(a)."""
    z = W @ a_below + b
    delta = (sigma(z) - y) * dsigma(z)
    yield line(
        r"\frac{\partial J}{\partial W^L}", jax.grad(lambda W: J(sigma(W @ a_below + b), y))(W), "definition"
    )
    yield line(
        r"\sum_i \delta^L_i \frac{\partial z^L_i}{\partial W^L}",
        jnp.einsum("i,ijk->jk", delta, jax.jacobian(lambda W: W @ a_below + b)(W)),
        "chain rule through z^L",
    )
    yield line(
        r"\sum_i \delta^L_i [i = j] a^{L-1}_k",
        jnp.einsum("i,ij,k->jk", delta, jnp.eye(len(b)), a_below),
        "z_i holds row i of W alone, times a^{L−1}",
    )
    yield line(r"\delta^L (a^{L-1})^{\top}", delta[:, None] @ a_below[None, :], "a column times a row")
    yield line(
        r"\texttt{affine.backward}",
        rules.affine(len(b)).backward({"W": W, "b": b}, a_below, delta)[0]["W"],
        "what this library runs",
    )


@bp.derivation(r"\frac{\partial J}{\partial b^L} = \delta^L", items=("S0.5",), uses=(output_delta,))
def output_bias(
    W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"], y: Float[Array, " n"]
):
    """The gradient of the last bias is the error itself."""
    z = W @ a_below + b
    delta = (sigma(z) - y) * dsigma(z)
    yield line(
        r"\frac{\partial J}{\partial b^L}", jax.grad(lambda b: J(sigma(W @ a_below + b), y))(b), "definition"
    )
    yield line(
        r"\Bigl(\frac{\partial z^L}{\partial b^L}\Bigr)^{\top} \delta^L",
        jax.jacobian(lambda b: W @ a_below + b)(b).T @ delta,
        "chain rule through z^L",
    )
    yield line(r"I \delta^L", jnp.eye(len(b)) @ delta, "b is added, so its Jacobian is the identity")
    yield line(r"\delta^L", delta, "I δ = δ")
    yield line(
        r"\texttt{affine.backward}",
        rules.affine(len(b)).backward({"W": W, "b": b}, a_below, delta)[0]["b"],
        "what this library runs",
    )


@bp.derivation(r"\delta^l \text{ is computed once a layer}", items=("S0.6",))
def shared_factor():
    """∂J/∂z^l is common to both gradients, so it is computed first and once.

    Counted in the traced backward pass of a network of four layers: L − 1 products Wᵀδ, L outer products
    δaᵀ, one Wᵀδ for the input, and σ′ once a layer. (cos is the slope of sin, and stands nowhere else.)
    """
    sizes = (3, 4, 2, 5, 2)
    L = len(sizes) - 1
    net = network(sizes, rules.sin)
    params, x, _ = drawn(sizes)
    residuals = net.forward(params, x)[1]
    traced = str(jax.make_jaxpr(net.backward)(params, residuals, jnp.ones(sizes[-1])))
    yield line(
        r"(L-1) + L + 1",
        bp.equal(traced.count("dot_general["), (L - 1) + L + 1),
        "matrix products in the sweep",
    )
    yield line(r"L", bp.equal(traced.count(" cos "), L), "slopes of σ in the sweep")


def drawn(sizes, samples=()):
    """Parameters, inputs and targets of a network of these widths, from a fixed seed."""
    rng = np.random.default_rng(0)
    pairs = list(pairwise(sizes))
    params = tuple(
        {"W": jnp.array(rng.normal(size=(n, m)) / m**0.5), "b": jnp.array(rng.normal(size=n))}
        for m, n in pairs
    )
    x, y = (jnp.array(rng.normal(size=(*samples, n))) for n in (sizes[0], sizes[-1]))
    return params, x, y


# 3. The layers below: the step of the induction.

STEP = [bp.array("k n"), bp.array("k"), bp.array("n"), bp.array("k")]  # W^{l+1}, b^{l+1}, z^l, δ^{l+1}


@bp.derivation(r"z^{l+1} = W^{l+1} \sigma(z^l) + b^{l+1}", items=("S0.10",))
def next_z(W: Float[Array, "k n"], b: Float[Array, " k"], z: Float[Array, " n"]):
    """The next z in terms of this one: the only way in which J depends on z^l."""
    a = sigma(z)
    yield line(r"W^{l+1} a^l + b^{l+1}", W @ a + b, "definition of z^{l+1}")
    yield line(r"W^{l+1} \sigma(z^l) + b^{l+1}", W @ sigma(z) + b, "a^l = σ(z^l)")
    yield line(
        r"\texttt{affine}(\texttt{sigmoid})",
        rules.affine(len(b)).forward({"W": W, "b": b}, rules.sigmoid.forward((), z)[0])[0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial z^{l+1}}{\partial z^l} = (W^{l+1})^{\top} \odot (\sigma'(z^l), \dots, \sigma'(z^l))",
    items=("S0.11",),
    uses=(next_z,),
)
def jacobian_of_a_step(W: Float[Array, "k n"], b: Float[Array, " k"], z: Float[Array, " n"]):
    """The Jacobian of one step, (n_l, n_{l+1}): a column for each output, the transpose of `jax.jacobian`.

    The document's n_{l+1} copies of σ′(z^l) are the columns that (W^{l+1})ᵀ is multiplied by.
    """
    yield line(
        r"\Bigl(\frac{\partial z^{l+1}_i}{\partial z^l_j}\Bigr)_{ji}",
        jax.jacobian(lambda z: W @ sigma(z) + b)(z).T,
        "definition, with a column for each output",
    )
    yield line(
        r"\Bigl(W^{l+1} \frac{\partial a^l}{\partial z^l}\Bigr)^{\top}",
        (W @ jax.jacobian(sigma)(z)).T,
        "chain rule; b does not depend on z",
    )
    yield line(
        r"\Bigl(\frac{\partial a^l}{\partial z^l}\Bigr)^{\top} (W^{l+1})^{\top}",
        jax.jacobian(sigma)(z).T @ W.T,
        "(AB)ᵀ = BᵀAᵀ",
    )
    yield line(
        r"\operatorname{diag}(\sigma'(z^l)) (W^{l+1})^{\top}",
        jnp.diag(dsigma(z)) @ W.T,
        "σ acts on each component alone",
    )
    yield line(
        r"(W^{l+1})^{\top} \odot (\sigma'(z^l), \dots, \sigma'(z^l))",
        W.T * jnp.stack([dsigma(z)] * len(b), axis=1),
        "a diagonal matrix on the left scales rows",
    )
    yield line(r"(W^{l+1})^{\top} \odot \sigma'(z^l)", W.T * dsigma(z)[:, None], "one column, broadcast")


@bp.derivation(
    r"\delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
    items=("S0.9", "S0.12"),
    uses=(jacobian_of_a_step,),
)
def induction_step(
    W: Float[Array, "k n"], b: Float[Array, " k"], z: Float[Array, " n"], y: Float[Array, " k"]
):
    """The step: a true δ^{l+1} gives a true δ^l, whatever stands above; here, the loss of σ(z^{l+1})."""
    z_above = W @ sigma(z) + b
    delta_above = jax.grad(lambda z: J(sigma(z), y))(z_above)  # the induction hypothesis: it is true
    matrix = W.T * dsigma(z)[:, None]  # ∂z^{l+1}/∂z^l of S0.11
    yield line(
        r"\frac{\partial J}{\partial z^l}", jax.grad(lambda z: J(sigma(W @ sigma(z) + b), y))(z), "definition"
    )
    yield line(
        r"\frac{\partial z^{l+1}}{\partial z^l} \frac{\partial J}{\partial z^{l+1}}",
        jax.jacobian(lambda z: W @ sigma(z) + b)(z).T @ delta_above,
        "chain rule through z^{l+1}",
    )
    yield line(
        r"\bigl((W^{l+1})^{\top} \odot (\sigma', \dots, \sigma')\bigr) \delta^{l+1}",
        matrix @ delta_above,
        "S0.11",
    )
    yield line(
        r"(W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
        (W.T @ delta_above) * dsigma(z),
        "rows scaled after the sum or before",
    )
    yield line(
        r"\texttt{affine.backward}, \texttt{sigmoid.backward}",
        rules.sigmoid.backward(
            (), sigma(z), rules.affine(len(b)).backward({"W": W, "b": b}, sigma(z), delta_above)[1]
        )[1],
        "what this library runs",
    )


NETWORK = [
    (
        {"W": bp.array("n m"), "b": bp.array("n")},
        {"W": bp.array("k n"), "b": bp.array("k")},
        {"W": bp.array("q k"), "b": bp.array("q")},
    ),
    bp.array("m"),
    bp.array("q"),
]  # ((W^1, b^1), (W^2, b^2), (W^3, b^3)), x, y


def forward(params, x):
    """[z^1 … z^L] and [a^0 … a^L]."""
    z, a = [], [x]
    for layer in params:
        z.append(layer["W"] @ a[-1] + layer["b"])
        a.append(sigma(z[-1]))
    return z, a


def J_of_z(params, l, z, y):
    """J as a function of z^l, the layers above it run."""
    a = sigma(z)
    for layer in params[l:]:
        a = sigma(layer["W"] @ a + layer["b"])
    return J(a, y)


def true_deltas(params, x, y):
    """(δ^1, …, δ^L), each by autodiff of J in z^l."""
    z, _ = forward(params, x)
    return [jax.grad(lambda v, l=l: J_of_z(params, l, v, y))(z[l - 1]) for l in range(1, len(params) + 1)]


def step_jacobian(layer, z):
    """∂z^{l+1}/∂z^l by autodiff, a row for each output."""
    return jax.jacobian(lambda v: layer["W"] @ sigma(v) + layer["b"])(z)


@bp.derivation(
    r"\delta^l = \frac{\partial J}{\partial z^L} \frac{\partial z^L}{\partial z^{L-1}} \cdots "
    r"\frac{\partial z^{l+1}}{\partial z^l}",
    items=("S0.7",),
    args=NETWORK,
)
def product_of_jacobians(params, x, y):
    """The error of the first of three layers as a product along the chain: a row vector from the left."""
    z, a = forward(params, x)
    delta_L = (a[-1] - y) * dsigma(z[-1])
    yield line(r"\frac{\partial J}{\partial z^1}", true_deltas(params, x, y)[0], "definition")
    yield line(
        r"\delta^3 \Bigl(\frac{\partial z^3}{\partial z^2} \frac{\partial z^2}{\partial z^1}\Bigr)",
        delta_L @ (step_jacobian(params[2], z[1]) @ step_jacobian(params[1], z[0])),
        "chain rule",
    )
    yield line(
        r"\Bigl(\delta^3 \frac{\partial z^3}{\partial z^2}\Bigr) \frac{\partial z^2}{\partial z^1}",
        (delta_L @ step_jacobian(params[2], z[1])) @ step_jacobian(params[1], z[0]),
        "bracketed from the left: vectors only",
    )
    yield line(r"\texttt{deltas}", shipped_deltas(params, x, y)[0], "what this library runs")


def shipped_deltas(params, x, y):
    """(δ^1, …, δ^L) by the shipped recursion."""
    sizes = (params[0]["W"].shape[1], *(layer["W"].shape[0] for layer in params))
    a, residuals = network(sizes, rules.sigmoid).forward(params, x)
    return bp.deltas(params, residuals, a - y)


def shipped_gradient(params, x, y):
    """The gradients of all layers by the shipped backward pass."""
    sizes = (params[0]["W"].shape[1], *(layer["W"].shape[0] for layer in params))
    net = network(sizes, rules.sigmoid)
    a, residuals = net.forward(params, x)
    return net.backward(params, residuals, a - y)[0]


@bp.derivation(
    r"\frac{\partial J}{\partial W^l} = \delta^l (a^{l-1})^{\top}, \;"
    r"\frac{\partial J}{\partial b^l} = \delta^l",
    items=("S0.8",),
    args=NETWORK,
    uses=(output_weights, output_bias),
)
def every_layer(params, x, y):
    """At every layer the gradients are those of the last one, with that layer's δ and input."""
    _, a = forward(params, x)
    yield line(
        r"\frac{\partial J}{\partial W^l}, \frac{\partial J}{\partial b^l}",
        jax.grad(lambda p: J(forward(p, x)[1][-1], y))(params),
        "definition",
    )
    yield line(
        r"\delta^l (a^{l-1})^{\top}, \; \delta^l",
        tuple(
            {"W": d[:, None] @ below[None, :], "b": d}
            for d, below in zip(true_deltas(params, x, y), a[:-1], strict=True)
        ),
        "z^l = W^l a^{l−1} + b^l, as in S0.4 and S0.5",
    )
    yield line(r"\texttt{mlp.backward}", shipped_gradient(params, x, y), "what this library runs")


@bp.derivation(
    r"\delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
    items=("S0.9", "S0.12"),
    args=NETWORK,
    uses=(output_delta, induction_step),
)
def recursion(params, x, y):
    """Base case and step together: every δ of three layers, from the top."""
    z, a = forward(params, x)
    delta_3 = (a[-1] - y) * dsigma(z[-1])
    delta_2 = (params[2]["W"].T @ delta_3) * dsigma(z[1])
    yield line(
        r"\Bigl(\frac{\partial J}{\partial z^l}\Bigr)_{l = 1, 2, 3}",
        tuple(true_deltas(params, x, y)),
        "definition",
    )
    yield line(
        r"(W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l), \; l = 2, 1",
        ((params[1]["W"].T @ delta_2) * dsigma(z[0]), delta_2, delta_3),
        "the base case, then the step twice",
    )
    yield line(r"\texttt{deltas}", shipped_deltas(params, x, y), "what this library runs")


# 4. The algorithm, and what holds of every gradient.


def summed_gradient(params, X, Y):
    """Σ_i δ^{i,l} (a^{i,l−1})ᵀ and Σ_i δ^{i,l}, sample by sample, as the algorithm says."""
    total = jax.tree.map(jnp.zeros_like, params)
    for x, y in zip(X, Y, strict=True):
        z, a = forward(params, x)
        delta = (a[-1] - y) * dsigma(z[-1])
        grads = []
        for l in range(len(params), 0, -1):
            grads.append({"W": jnp.outer(delta, a[l - 1]), "b": delta})
            if l > 1:
                delta = (params[l - 1]["W"].T @ delta) * dsigma(z[l - 2])
        total = jax.tree.map(jnp.add, total, tuple(grads[::-1]))
    return total


def batch_algorithm(params, X, Y, alpha, most, epsilon):
    """The document's algorithm, as its reference gives it: parameters, iterations, whether it stopped."""
    for iteration in range(1, most + 1):
        changes = jax.tree.map(lambda g: alpha * g, summed_gradient(params, X, Y))
        params = jax.tree.map(jnp.subtract, params, changes)
        if all(float(jnp.max(jnp.abs(change))) < epsilon for change in jax.tree.leaves(changes)):
            return params, iteration, True
    return params, most, False


@bp.derivation(r"W^l \leftarrow W^l - \alpha \sum_i \delta^{i,l} (a^{i,l-1})^{\top}", items=("S0.13",))
def batch_descent():
    """Descent on the whole batch until every change of every W and b is below ε, or MAX is reached."""
    sizes, alpha = (3, 4, 2), 0.25
    params, X, Y = drawn(sizes, (5,))
    net = network(sizes, rules.sigmoid)

    def run(most, epsilon, loss=losses.half_squared_error, rate=alpha):
        return bp.batch_descent(
            net, loss, X, Y, learning_rate=rate, max_iterations=most, epsilon=epsilon, params=params
        )

    yield line(
        r"\frac{\partial}{\partial \theta} \sum_i J(x_i, y_i)",
        jax.grad(lambda p: sum(J(forward(p, x)[1][-1], y) for x, y in zip(X, Y, strict=True)))(params),
        "definition",
    )
    yield line(
        r"\sum_i \delta^{i,l} (a^{i,l-1})^{\top}, \; \sum_i \delta^{i,l}",
        summed_gradient(params, X, Y),
        "S0.8 for each sample",
    )
    by_hand, iterations, stopped = batch_algorithm(params, X, Y, alpha, 3, 0.0)
    outcome = run(3, 0.0)
    yield line(
        r"\theta_3",
        bp.equal(by_hand, outcome.params),
        "three iterations of the algorithm are three of the library",
    )
    yield line(
        r"\text{MAX reached: not converged}",
        bp.holds(np.array([iterations == 3, not stopped, not outcome.converged])),
        "no change is below 0",
    )
    _, iterations, stopped = batch_algorithm(params, X, Y, alpha, 60, 0.05)
    outcome = run(60, 0.05)
    yield line(
        r"\text{every change} < \epsilon",
        bp.holds(
            np.array([stopped, outcome.converged, 1 < iterations < 60, outcome.iterations == iterations])
        ),
        "both stop by themselves, after as many iterations",
    )
    mean = run(3, 0.0, losses.mean(losses.half_squared_error), len(X) * alpha).params
    yield line(
        r"\alpha \to m \alpha", bp.equal(mean, by_hand), "the mean with m times the rate walks the same path"
    )


@bp.derivation(r"\operatorname{rank} \frac{\partial J}{\partial W^l} \le 1", items=("S0.14",), args=NETWORK)
def rank_of_one_sample(params, x, y):
    """One sample adds one outer product, so every 2 × 2 minor of ∂J/∂W^l is zero."""
    grads = shipped_gradient(params, x, y)
    products = [jnp.einsum("ij,kl->ijkl", g["W"], g["W"]) for g in grads]
    yield line(
        r"g_{ij} g_{kl} = g_{il} g_{kj}",
        bp.equal(products, [jnp.einsum("ijkl->ilkj", p) for p in products]),
        "g = δ aᵀ",
    )


@bp.derivation(
    r"y = a^L \Rightarrow \frac{\partial J}{\partial \theta} = 0", items=("S0.14",), args=NETWORK[:2]
)
def zero_at_the_target(params, x):
    """At the target there is nothing to learn: every gradient is zero."""
    grads = shipped_gradient(params, x, forward(params, x)[1][-1])
    yield line(
        r"\frac{\partial J}{\partial \theta} = 0",
        bp.equal(grads, jax.tree.map(jnp.zeros_like, grads)),
        "a^L − y = 0",
    )


@bp.derivation(
    r"\langle W^l, \partial J/\partial W^l \rangle + \langle b^l, \partial J/\partial b^l \rangle",
    items=("S0.14",),
    args=NETWORK,
)
def balance(params, x, y):
    """Each layer balances its parameters against its z, for any σ: a check that needs no oracle."""
    z, a = forward(params, x)
    deltas = shipped_deltas(params, x, y)
    yield line(
        r"\langle W^l, \partial J/\partial W^l \rangle + \langle b^l, \partial J/\partial b^l \rangle",
        [
            jnp.sum(p["W"] * g["W"]) + jnp.sum(p["b"] * g["b"])
            for p, g in zip(params, shipped_gradient(params, x, y), strict=True)
        ],
        "the shipped gradients",
    )
    yield line(
        r"\langle W^l a^{l-1} + b^l, \delta^l \rangle",
        [jnp.sum((p["W"] @ below + p["b"]) * d) for p, below, d in zip(params, a[:-1], deltas, strict=True)],
        "⟨W, δ aᵀ⟩ = ⟨W a, δ⟩",
    )
    yield line(
        r"\langle z^l, \delta^l \rangle",
        [jnp.sum(v * d) for v, d in zip(z, deltas, strict=True)],
        "definition of z^l",
    )


# 5. Where the document errs. Each is a derivation that must fail, at the line and for the reason given.


@bp.derivation(
    r"(a^L - y) \odot \sigma'(z^L) (a^{L-1})^{\top}",
    items=("E0",),
    refutes=bp.Refutes(
        1,
        "E0(a)",
        "contract-shape",
        "The product needs a parenthesis, and columns: ((a − y) ⊙ σ′) aᵀ. On arrays of one axis ᵀ does "
        "nothing and the product is an inner one: a scalar where the lengths agree, an error elsewhere.",
    ),
)
def missing_parenthesis(
    W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"], y: Float[Array, " n"]
):
    """The document's ∂J/∂W^L, read literally on vectors."""
    z = W @ a_below + b
    yield line(
        r"\frac{\partial J}{\partial W^L}", jax.grad(lambda W: J(sigma(W @ a_below + b), y))(W), "definition"
    )
    yield line(
        r"(a^L - y) \odot \sigma'(z^L) (a^{L-1})^{\top}",
        (sigma(z) - y) * dsigma(z) @ a_below.T,
        "as the document writes it",
    )
    yield line(
        r"\bigl((a^L - y) \odot \sigma'(z^L)\bigr) (a^{L-1})^{\top}",
        jnp.outer((sigma(z) - y) * dsigma(z), a_below),
        "with the parenthesis, and a column times a row",
    )


@bp.derivation(r"(a^L - y) \odot \sigma'(z^L) (a^{L-1})^{\top}", items=("E0",))
def missing_parenthesis_on_columns(
    W: Float[Array, "n m"], b: Float[Array, "n 1"], a_below: Float[Array, "m 1"], y: Float[Array, "n 1"]
):
    """On columns the slip does no harm: (a − y) is broadcast along the row that σ′ aᵀ has made."""
    z = W @ a_below + b
    yield line(
        r"\frac{\partial J}{\partial W^L}", jax.grad(lambda W: J(sigma(W @ a_below + b), y))(W), "definition"
    )
    yield line(
        r"\bigl((a^L - y) \odot \sigma'(z^L)\bigr) (a^{L-1})^{\top}",
        ((sigma(z) - y) * dsigma(z)) @ a_below.T,
        "S0.4",
    )
    yield line(
        r"(a^L - y) \odot \bigl(\sigma'(z^L) (a^{L-1})^{\top}\bigr)",
        (sigma(z) - y) * (dsigma(z) @ a_below.T),
        "a column scales rows, before or after",
    )


@bp.derivation(
    r"\frac{\partial z^{l+1}}{\partial z^l}",
    items=("E0",),
    refutes=bp.Refutes(
        1,
        "E0(b)",
        "transpose",
        "“Each column vector of the weight matrix” is true of the columns of Wᵀ, the rows of W. Taken of W "
        "itself, σ′(z^l) has the wrong length, or scales the wrong axis if W is square.",
    ),
)
def columns_of_the_weights(W: Float[Array, "k n"], b: Float[Array, " k"], z: Float[Array, " n"]):
    """The sentence below S0.11, read literally."""
    yield line(
        r"\frac{\partial z^{l+1}}{\partial z^l}",
        jax.jacobian(lambda z: W @ sigma(z) + b)(z).T,
        "definition, a column for each output",
    )
    yield line(
        r"\bigl(W^{l+1}_{\cdot j} \odot \sigma'(z^l)\bigr)_j^{\top}",
        (W * dsigma(z)[:, None]).T,
        "every column vector of W ⊙ σ′(z^l)",
    )
    yield line(
        r"\bigl(W^{l+1}_{i \cdot} \odot \sigma'(z^l)\bigr)_i^{\top}",
        (W * dsigma(z)[None, :]).T,
        "every row vector of W ⊙ σ′(z^l)",
    )


@bp.derivation(
    r"\delta^l = \delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l}",
    items=("E0",),
    refutes=bp.Refutes(
        1,
        "E0(c)",
        "transpose",
        "With the matrix of S0.11, which has a column for each output, the factors stand in the wrong order: "
        "an error where n_l ≠ n_{l+1}, and silently wrong where W is square.",
    ),
)
def factors_in_the_wrong_order(
    W: Float[Array, "k n"], z: Float[Array, " n"], delta_above: Float[Array, " k"]
):
    """The document's first form of the recursion, with its own matrix put in."""
    matrix = W.T * dsigma(z)[:, None]
    yield line(
        r"\frac{\partial J}{\partial z^l}",
        jax.grad(lambda z: delta_above @ (W @ sigma(z)))(z),
        "definition, for J linear in z^{l+1}",
    )
    yield line(
        r"\delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l}",
        delta_above @ matrix,
        "as the document writes it",
    )
    yield line(
        r"\frac{\partial z^{l+1}}{\partial z^l} \delta^{l+1}", matrix @ delta_above, "the matrix first"
    )


@bp.derivation(r"\delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l} \neq \delta^l", items=("E0",))
def the_documents_counterexample():
    """W = [[1, 2], [0, 1]], z = 0, δ = (1, 0) for σ the sigmoid: (¼, 0) in place of (¼, ½)."""
    W, z, delta = jnp.array([[1.0, 2.0], [0.0, 1.0]]), jnp.zeros(2), jnp.array([1.0, 0.0])
    matrix = W.T * dsigma(z)[:, None]
    truth = jax.grad(lambda z: delta @ (W @ sigma(z)))(z)
    yield line(r"\delta^l", truth, "definition")
    yield line(r"\frac{\partial z^{l+1}}{\partial z^l} \delta^{l+1}", matrix @ delta, "the matrix first")
    yield line(r"(\tfrac14, \tfrac12)", bp.equal(truth, jnp.array([0.25, 0.5])), "its value")
    yield line(
        r"(\tfrac14, 0)",
        bp.equal(delta @ matrix, jnp.array([0.25, 0.0])),
        "the value of the document's order",
    )
    yield line(
        r"\delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l} \neq \delta^l",
        bp.differ(delta @ matrix, truth),
        "so the order matters",
    )
