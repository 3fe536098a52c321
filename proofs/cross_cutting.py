r"""Across the documents: what any of their backward passes must satisfy, and where they differ by choice.

The network is that of all five: z^l = W^l a^{l−1} + b^l, a^l = σ(z^l), and δ^l = ∂J/∂z^l. The letters are
those of the library.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

NET = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
)


def widths(params):
    """Return n_0, n_1, …, n_L."""
    return (params[0]["W"].shape[1], *(layer["b"].size for layer in params))


def plain_network(sigma, last):
    """Return (params, x) ↦ a^L, for one sample, as the documents write it."""

    def output(params, x):
        for layer in params[:-1]:
            x = sigma(layer["W"] @ x + layer["b"])
        return last(params[-1]["W"] @ x + params[-1]["b"])

    return output


# X.1: by hand is autodiff


@bp.derivation(
    r"\left(\frac{\partial J}{\partial W^l}, \frac{\partial J}{\partial b^l}\right)_l",
    items=("X.1",),
    args=[NET, bp.array("B d"), bp.array("B q")],
)
def by_hand_is_autodiff(params, x, delta_y):
    """In float64 the pass by hand and autodiff are one, for a batch and any cotangent."""
    output = plain_network(jnp.tanh, jax.nn.sigmoid)
    net = bp.mlp(widths(params), bp.rules.tanh, bp.rules.sigmoid)
    yield line(
        r"\frac{\partial}{\partial \theta} \langle \delta_y, a^L \rangle",
        jax.grad(lambda params: jnp.sum(delta_y * jax.vmap(lambda x: output(params, x))(x)))(params),
        "definition: J with the given slope at the output",
    )
    a_1 = jnp.tanh(x @ params[0]["W"].T + jnp.ones((len(x), 1)) * params[0]["b"][None, :])
    a_2 = jax.nn.sigmoid(a_1 @ params[1]["W"].T + jnp.ones((len(x), 1)) * params[1]["b"][None, :])
    delta_2 = delta_y * a_2 * (1 - a_2)
    delta_1 = (delta_2 @ params[1]["W"]) * (1 - a_1**2)
    yield line(
        r"\delta^L = \delta_y \odot \sigma'(z^L),\; \delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot"
        r" \sigma'(z^l)",
        (
            {"W": delta_1.T @ x, "b": delta_1.sum(axis=0)},
            {"W": delta_2.T @ a_1, "b": delta_2.sum(axis=0)},
        ),
        "the recursion on δ, with samples in rows",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(params), bp.rules.tanh, bp.rules.sigmoid).backward(
            params, net.forward(params, x)[1], delta_y
        )[0],
        "what this library runs",
    )


@bp.derivation(r"\text{float32}", items=("X.1",), uses=(by_hand_is_autodiff,))
def float32_stays_within_its_rounding():
    """In float32, on the CPU at full precision, the pass stays within 32 eps of the largest entry of a leaf.

    Measured against the same pass in float64. `jax.test_util.check_grads` would let through 2e-3, five
    hundred times as much. And autodiff in float32 is no truth: at z = 20 its σ′ is 0 as ours is.
    """
    rng = np.random.default_rng(0)
    eps = float(np.finfo(np.float32).eps)
    for sizes in ((2, 5, 1, 3),):
        net = bp.mlp(sizes, bp.rules.tanh, bp.rules.sigmoid)
        pass_by_hand = jax.jit(
            lambda params, x, delta_y, net=net: net.backward(params, net.forward(params, x)[1], delta_y)[0]
        )
        params = tuple(
            {"W": rng.normal(size=(n, m)).astype("f4"), "b": rng.normal(size=n).astype("f4")}
            for m, n in pairwise(sizes)
        )
        x, delta_y = (rng.normal(size=(3, n)).astype("f4") for n in (sizes[0], sizes[-1]))
        with jax.default_matmul_precision("highest"):
            narrow = jax.tree.leaves(pass_by_hand(params, x, delta_y))
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, x, delta_y))
        truth = jax.tree.leaves(pass_by_hand(*wide))
        worst = max(
            float(np.max(np.abs(np.asarray(a, np.float64) - b)) / np.max(np.abs(b)))
            for a, b in zip(narrow, truth, strict=True)
        )
        yield line(
            rf"\text{{float32}}, \; n = {sizes}",
            bp.holds(all(leaf.dtype == np.float32 for leaf in narrow)),
            "nothing is widened on the way",
        )
        yield line(
            r"\frac{|\text{float32} - \text{float64}|}{\max |\text{float64}|} \le 32\, \epsilon",
            bp.at_most(worst, 32 * eps),
            f"widths {sizes}",
        )
    z = jnp.full(1, 20.0, "float32")
    by_hand = bp.rules.sigmoid.backward((), bp.rules.sigmoid.forward((), z)[1], jnp.ones_like(z))[1]
    yield line(r"\sigma'(20) = 0 \text{ in float32}", bp.equal(by_hand[0], 0.0), "1 − a cancels")
    yield line(
        r"\text{and so for autodiff}", bp.equal(jax.grad(jax.nn.sigmoid)(z[0]), 0.0), "the truth is 2.06e−9"
    )


# X.2: conventions


@bp.derivation(r"\mathrm{relu}'", items=("X.2",))
def slope_at_zero(z: Float[Array, " n"], delta_a: Float[Array, " n"]):
    """The slope of relu at zero, 0, ½ or 1: three ways to write it, three rules, equal elsewhere."""
    for slope, relu, rule in (
        (0.0, jax.nn.relu, bp.rules.relu),
        (0.5, lambda z: jnp.maximum(z, 0.0), bp.rules.relu_with(0.5)),
        (1.0, lambda z: jnp.where(z >= 0, z, 0.0), bp.rules.relu_with(1.0)),
    ):
        by_hand = rule.backward((), rule.forward((), z)[1], delta_a)[1]
        yield line(
            rf"\texttt{{{rule.name}}}",
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


@bp.derivation(r"\text{columns, rows}", items=("X.2",), args=[NET, bp.array("B d"), bp.array("B q")])
def layout(params, X, D):
    """Columns or rows: with samples in rows and W of n_in × n_out, dW is turned over, db is not."""

    def turned(layers):
        return tuple({"W": layer["W"].T, "b": layer["b"]} for layer in layers)

    def loss(rows):
        one = jnp.ones((len(X), 1))
        a = jnp.tanh(X @ rows[0]["W"] + one * rows[0]["b"][None, :])
        return jnp.sum(D * (a @ rows[1]["W"] + one * rows[1]["b"][None, :]))

    net = bp.mlp(widths(params), bp.rules.tanh)
    yield line(
        r"\frac{\partial J}{\partial W_{\text{row}}}", jax.grad(loss)(turned(params)), "definition, in rows"
    )
    yield line(
        r"\left(\frac{\partial J}{\partial W_{\text{col}}}\right)^{\top}",
        turned(
            jax.grad(
                lambda params: jnp.sum(
                    D * jax.vmap(lambda x: plain_network(jnp.tanh, lambda z: z)(params, x))(X)
                )
            )(params)
        ),
        "in columns, turned over",
    )
    yield line(
        r"\texttt{backproof}^{\top}",
        turned(bp.mlp(widths(params), bp.rules.tanh).backward(params, net.forward(params, X)[1], D)[0]),
        "what this library runs has W of n_out × n_in",
    )


@bp.derivation(r"\text{numerator, denominator}", items=("X.2",), args=[NET, bp.array("d"), bp.array("q")])
def jacobian_layout(params, x, delta_y):
    """Numerator or denominator: a row on the left of the one, a column on the right of the other."""
    output = plain_network(jnp.tanh, jnp.tanh)
    net = bp.mlp(widths(params), bp.rules.tanh, bp.rules.tanh)
    yield line(
        r"\frac{\partial J}{\partial x}", jax.vjp(lambda x: output(params, x), x)[1](delta_y)[0], "definition"
    )
    yield line(
        r"\delta_y^{\top} \frac{\partial a_i}{\partial x_j}",
        delta_y @ jax.jacobian(lambda x: output(params, x))(x),
        "numerator layout: a row for each output",
    )
    yield line(
        r"\frac{\partial a_j}{\partial x_i} \delta_y",
        jax.jacobian(lambda x: output(params, x))(x).T @ delta_y,
        "denominator layout: a row for each input",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(params), bp.rules.tanh, bp.rules.tanh).backward(
            params, net.forward(params, x)[1], delta_y
        )[1],
        "what this library runs; it forms neither",
    )


@bp.derivation(r"\nabla \left(-\sum_k t_k \ln p_k\right)", items=("X.2", "X.4"))
def targets(z: Float[Array, " K"], t: Float[Array, " K"]):
    """Targets normalised or not: p Σ t − t is right for both, and is p − t where Σ t = 1."""
    dense = bp.losses.softmax_cross_entropy_dense
    p = jax.nn.softmax(z)
    yield line(
        r"\nabla \left(-\sum_k t_k \ln p_k\right)",
        jax.grad(lambda z: -jnp.sum(t * jax.nn.log_softmax(z)))(z),
        "definition",
    )
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


# X.3: mistakes, each on the smallest network that shows it; the gate at zero, for relu alone, is in doc_001


def slope(z):
    """Return σ′(z) of the sigmoid."""
    a = jax.nn.sigmoid(z)
    return a * (1 - a)


def swept(params, x, y, slip=None):
    """Return (∂J/∂W^l, ∂J/∂b^l) of half the squared error, for samples in rows, with at most one slip."""
    rows = jnp.ones((len(x), 1))
    z, a = [], [x]
    for layer in params:
        z.append(a[-1] @ layer["W"].T + rows * layer["b"][None, :])
        a.append(jax.nn.sigmoid(z[-1]))
    delta = (a[-1] - y) * slope(z[-1])
    if slip == "sign":
        delta = -delta
    if slip == "factor 2":
        delta = 2 * delta
    if slip == "missing outer slope":
        delta = a[-1] - y
    if slip == "dropped cotangent":
        delta = slope(z[-1])
    deltas = [delta]
    for l in range(len(params) - 1, 0, -1):
        W = params[l]["W"]
        if slip == "W updated first":
            W = W - 0.5 * deltas[0].T @ a[l]
        through = deltas[0] @ (W.T if slip == "missing transpose" else W)
        at = {"slope at a": a[l], "slope of the wrong layer": z[l]}.get(slip, z[l - 1])
        deltas.insert(0, through if slip == "missing hidden slope" else through * slope(at))
    below = [x, *z[:-1]] if slip == "z for a" else a[:-1]
    grads = [{"W": d.T @ v, "b": d.sum(axis=0)} for d, v in zip(deltas, below, strict=True)]
    if slip == "mean of b only":
        grads = [{**g, "b": g["b"] / len(x)} for g in grads]
    if slip == "shared bias":
        grads = [{**g, "b": jnp.full_like(g["b"], g["b"].sum())} for g in grads]
    return tuple(grads)


def shipped(params, x, y):
    """Return the gradients of half the squared error, as this library takes them."""
    net = bp.mlp(widths(params), bp.rules.sigmoid, bp.rules.sigmoid)
    return bp.value_and_grad(net, bp.losses.half_squared_error)(params, x, y)[1]


def drawn(batch, *sizes):
    """Return what the parameters, the input and the target of a network of these sizes may be."""
    params = tuple({"W": bp.array(f"{n} {m}"), "b": bp.array(f"{n}")} for m, n in pairwise(sizes))
    return [params, bp.array(f"{batch} {sizes[0]}"), bp.array(f"{batch} {sizes[-1]}")]


@bp.derivation(r"n = 1, 1", items=("X.3",), args=drawn(1, 1, 1))
def slips_seen_by_one_unit(params, x, y):
    """One weight, one bias, one sample: enough to see these four."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    for slip in ("sign", "factor 2", "missing outer slope", "dropped cotangent"):
        yield line(
            rf"\nabla J \neq \text{{{slip}}}",
            bp.differ(shipped(params, x, y), swept(params, x, y, slip), somewhere=True),
            "by one thing",
        )


@bp.derivation(r"n = 1, 1; B = 2", items=("X.3",), args=drawn(2, 1, 1))
def a_mean_of_b_alone(params, x, y):
    """Two samples: W summed and b averaged."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    yield line(
        r"\nabla J \neq \text{mean of b only}",
        bp.differ(shipped(params, x, y), swept(params, x, y, "mean of b only"), somewhere=True),
        "by one thing",
    )


@bp.derivation(r"n = 1, 2", items=("X.3",), args=drawn(1, 1, 2))
def a_shared_bias(params, x, y):
    """Two outputs: one bias for both."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    yield line(
        r"\nabla J \neq \text{shared bias}",
        bp.differ(shipped(params, x, y), swept(params, x, y, "shared bias"), somewhere=True),
        "by one thing",
    )


@bp.derivation(r"n = 1, 1, 1", items=("X.3",), args=drawn(1, 1, 1, 1))
def slips_seen_by_two_units(params, x, y):
    """One unit after the other: what can go wrong between two layers."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    for slip in (
        "z for a",
        "W updated first",
        "missing hidden slope",
        "slope at a",
        "slope of the wrong layer",
    ):
        yield line(
            rf"\nabla J \neq \text{{{slip}}}",
            bp.differ(shipped(params, x, y), swept(params, x, y, slip), somewhere=True),
            "by one thing",
        )


@bp.derivation(r"n = 1, 2, 2", items=("X.3",), args=drawn(1, 1, 2, 2))
def a_missing_transpose(params, x, y):
    """Two and two: W for Wᵀ fits, for W is square, and shows where W is not symmetric."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    yield line(
        r"\nabla J \neq \text{missing transpose}",
        bp.differ(shipped(params, x, y), swept(params, x, y, "missing transpose"), somewhere=True),
        "by one thing",
    )


# X.4: inputs at which passes go wrong


@bp.derivation(
    r"\frac{\partial J}{\partial W}, \frac{\partial J}{\partial b}",
    items=("X.4",),
    args=[bp.array("n"), bp.array("n")],
)
def ties_and_signed_zeros(z, delta_a):
    """At zeros of either sign every smooth rule has autodiff's slope, and relu is shut."""
    zero = 0 * z  # +0 and −0, by the sign of z
    for rule, function in (
        (bp.rules.sigmoid, jax.nn.sigmoid),
        (bp.rules.tanh, jnp.tanh),
        (bp.rules.softplus, jax.nn.softplus),
        (bp.rules.sin, jnp.sin),
        (bp.rules.relu, jax.nn.relu),
    ):
        yield line(
            rf"\texttt{{{rule.name}}} \text{{ at }} \pm 0",
            bp.equal(
                rule.backward((), rule.forward((), zero)[1], delta_a)[1],
                jax.vjp(function, zero)[1](delta_a)[0],
            ),
            "by hand and by autodiff",
        )


@bp.derivation(r"p - 1(y)", items=("X.4",), args=[bp.array("K"), bp.integers("", 0, "K-1")])
def saturated_scores(z, y):
    """Scores far apart: the error of the logits stays that of log_softmax."""
    cross_entropy = bp.losses.softmax_cross_entropy
    yield line(
        r"\nabla_z \left(-\ln p_y(100 z)\right)",
        jax.grad(
            lambda z: (
                -jnp.sum(jnp.where(jnp.arange(z.size, dtype=y.dtype) == y, jax.nn.log_softmax(100 * z), 0.0))
            )
        )(z),
        "definition",
    )
    yield line(
        r"100 \cdot \texttt{backproof}",
        100 * cross_entropy.backward(cross_entropy.forward(100 * z, y)[1]),
        "what this library runs",
    )


@bp.derivation(r"\delta_y = 1", items=("X.4",), args=[NET[:1], bp.array("B d"), bp.array("B p")])
def never_a_cotangent_of_ones(params, x, delta_y):
    """A pass that forgets its cotangent is right when that is all ones; a random one shows it."""
    (layer,) = params
    a = jax.nn.sigmoid(x @ layer["W"].T + jnp.ones((len(x), 1)) * layer["b"][None, :])
    forgetful = ({"W": (a * (1 - a)).T @ x, "b": (a * (1 - a)).sum(axis=0)},)
    net = bp.mlp(widths(params), bp.rules.sigmoid, bp.rules.sigmoid)

    def shipped(delta_y):
        return net.backward(params, net.forward(params, x)[1], delta_y)[0]

    yield line(r"\delta_y = 1", bp.equal(shipped(jnp.ones_like(delta_y)), forgetful), "nothing is seen")
    yield line(
        r"\delta_y \text{ random}", bp.differ(shipped(delta_y), forgetful, somewhere=True), "it is seen"
    )


@bp.derivation(
    r"n = 1, B = 1", items=("X.4",), args=[bp.array("1 1"), bp.array("1"), bp.array("1 1"), bp.array("1 1")]
)
def sizes_of_one(W, b, x, delta):
    """One input, one output, one sample: every product is a number, and nothing is lost by squeezing."""
    yield line(
        r"\frac{\partial J}{\partial W}",
        jax.grad(lambda W: jnp.sum(delta * (x @ W.T + b[None, :])))(W),
        "definition",
    )
    yield line(r"\delta x", delta * x, "numbers")
    for batch in ((), (1,), (3, 1)):
        net = bp.mlp((1, 1), bp.rules.tanh)
        a, kept = net.forward(({"W": W, "b": b},), jnp.ones((*batch, 1)))
        grads, delta_x = net.backward(({"W": W, "b": b},), kept, a)
        yield line(
            rf"\text{{batch }} {batch}",
            bp.holds(a.shape == delta_x.shape == (*batch, 1) and grads[0]["W"].shape == (1, 1)),
            "shapes are kept",
        )
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(1).backward({"W": W, "b": b}, x, delta)[0]["W"],
        "what this library runs",
    )
