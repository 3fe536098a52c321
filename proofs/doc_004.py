r"""Document 004: the loop over epochs, batches and levels.

    each epoch:
        each batch:
            each level n = N … 1, from the top down:
                1. ∂L/∂ω^n = ∂L/∂x^{n+1} · ∂x^{n+1}/∂ω^n      for the update of this level
                2. ∂L/∂x^n = ∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n      left for the level below
                update   ω^n ← ω^n − η ∂L/∂ω^n,   b^n ← b^n − η ∂L/∂b^n

x^1 is the input, x^{N+1} the output, x^{n+1} = f(ω^n x^n + b^n); the superscript counts levels. In code
`omega_2` is ω^2 and `dx_3` is ∂L/∂x^3. f is tanh, and the sigmoid at the top; L may be any loss.
"""

import itertools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

READING_NOTES = {
    "E4(a)": "ω and w are one letter, the weights.",
    "E4(b)": "误差, error, is the loss L itself, not a derivative of it.",
    "E4(h)": "The superscript n counts levels; nothing is raised to a power.",
}

f, f_top = jnp.tanh, jax.nn.sigmoid

# Levels 1, 2, 3 of widths d → p → q → r.
LEVELS = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
    {"W": bp.array("r q"), "b": bp.array("r")},
)
INPUT, TARGET, RATE = bp.array("d"), bp.array("r"), bp.array("")

half_squared_error = bp.losses.half_squared_error


def level(f):
    """Return (ω^n and b^n, x^n) ↦ x^{n+1} = f(ω^n x^n + b^n)."""
    return lambda layer, x: f(layer["W"] @ x + layer["b"])


def output(levels, x):
    """Return x^{N+1} of x^1."""
    for layer in levels[:-1]:
        x = level(f)(layer, x)
    return level(f_top)(levels[-1], x)


def L_of(levels, x, t):
    """Return a loss of the output, here half the squared error to t."""
    return jnp.sum((output(levels, x) - t) ** 2) / 2


def network(levels):
    """Return the library's network of these levels."""
    return bp.mlp(
        (levels[0]["W"].shape[1], *(layer["b"].size for layer in levels)), bp.rules.tanh, bp.rules.sigmoid
    )


# One level


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^n}, \frac{\partial L}{\partial b^n}, \frac{\partial L}{\partial x^n}",
    items=("S4.1", "S4.4"),
)
def both_derivatives(
    omega: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], dx_above: Float[Array, " m"]
):
    """Both derivatives of a level come from its own forward map x^{n+1} = f(ω^n x^n + b^n).

    `dx_above` is ∂L/∂x^{n+1}, for any loss. The document writes f(w^n x^n) and uses ∂L/∂b^n without deriving
    it; b^n belongs inside f, and its derivative is the middle one here.
    """
    z = omega @ x + b
    df = jax.vmap(jax.grad(f))(z)
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial x^{n+1}}{\partial (\omega^n, b^n, x^n)}",
        jax.vjp(lambda omega, b, x: f(omega @ x + b), omega, b, x)[1](dx_above),
        "definition: chain rule at x^{n+1}",
    )
    yield line(
        r"\sum_i \frac{\partial L}{\partial x^{n+1}_i} \frac{\partial x^{n+1}_i}{\partial \omega^n_{jk}},\;"
        r" \sum_i \frac{\partial L}{\partial x^{n+1}_i} \frac{\partial x^{n+1}_i}{\partial b^n_j},\;"
        r" \sum_i \frac{\partial L}{\partial x^{n+1}_i} \frac{\partial x^{n+1}_i}{\partial x^n_k}",
        (
            jnp.einsum("i,ijk->jk", dx_above, jax.jacobian(lambda omega: f(omega @ x + b))(omega)),
            dx_above @ jax.jacobian(lambda b: f(omega @ x + b))(b),
            dx_above @ jax.jacobian(lambda x: f(omega @ x + b))(x),
        ),
        "∂L/∂x^{n+1} as a row, times each Jacobian",
    )
    yield line(
        r"\sum_i \frac{\partial L}{\partial x^{n+1}_i} f'(z_i)"
        r" \left(\delta_{ij} x^n_k,\; \delta_{ij},\; \omega^n_{ik}\right)",
        (
            jnp.einsum("i,i,ij,k->jk", dx_above, df, jnp.eye(b.size), x),
            jnp.einsum("i,i,ij->j", dx_above, df, jnp.eye(b.size)),
            jnp.einsum("i,i,ik->k", dx_above, df, omega),
        ),
        "f acts on each component of z = ω x + b",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z)\right) (x^n)^{\top},\;"
        r" \frac{\partial L}{\partial x^{n+1}} \odot f'(z),\;"
        r" (\omega^n)^{\top} \left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z)\right)",
        ((dx_above * df)[:, None] @ x[None, :], dx_above * df, omega.T @ (dx_above * df)),
        "δ_ij leaves i = j; the third sum runs over the rows of ω",
    )
    layer = {"W": omega, "b": b}
    _, kept = bp.mlp((x.size, b.size), bp.rules.tanh, bp.rules.tanh).forward((layer,), x)
    grads, dx = bp.layer_step(layer, kept[0], dx_above)
    yield line(
        r"\texttt{backproof}",
        (bp.layer_step(layer, kept[0], dx_above)[0]["W"], grads["b"], dx),
        "one step of this library: it has no other input",
    )


# The chain


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^n}",
    items=("S4.2",),
    uses=(both_derivatives,),
    args=[LEVELS, INPUT, TARGET],
)
def chain(levels, x_1, t):
    """The document's chain, with three levels above ω^1: n = 1, n + 3 = 4 = N + 1.

    A product of Jacobians may be bracketed anywhere. From the left, each factor meets a row, ∂L/∂x, and no
    product of two matrices is ever formed: a vjp at each level.
    """
    one, two, three = levels
    x_2 = level(f)(one, x_1)
    x_3 = level(f)(two, x_2)
    x_4 = level(f_top)(three, x_3)
    dx_4 = x_4 - t  # ∂L/∂x^4
    J_4 = jax.jacobian(lambda x: level(f_top)(three, x))(x_3)  # ∂x^4/∂x^3
    J_3 = jax.jacobian(lambda x: level(f)(two, x))(x_2)  # ∂x^3/∂x^2
    J_2 = jax.jacobian(lambda omega: level(f)({"W": omega, "b": one["b"]}, x_1))(one["W"])  # ∂x^2/∂ω^1
    yield line(
        r"\frac{\partial L}{\partial \omega^1}",
        jax.grad(lambda omega: L_of(({"W": omega, "b": one["b"]}, two, three), x_1, t))(one["W"]),
        "definition",
    )
    yield line(
        r"\frac{\partial L}{\partial x^2} \frac{\partial x^2}{\partial \omega^1}",
        jnp.einsum("i,ijk->jk", jax.grad(lambda x: L_of((two, three), x, t))(x_2), J_2),
        "chain rule at x^2",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^3} \frac{\partial x^3}{\partial x^2}\right)"
        r" \frac{\partial x^2}{\partial \omega^1}",
        jnp.einsum("i,ijk->jk", jax.grad(lambda x: L_of((three,), x, t))(x_3) @ J_3, J_2),
        "chain rule at x^3",
    )
    yield line(
        r"\left(\left(\frac{\partial L}{\partial x^4} \frac{\partial x^4}{\partial x^3}\right)"
        r" \frac{\partial x^3}{\partial x^2}\right) \frac{\partial x^2}{\partial \omega^1}",
        jnp.einsum("i,ijk->jk", ((dx_4 @ J_4) @ J_3), J_2),
        "chain rule at x^4; bracketed from the loss: rows times matrices",
    )
    yield line(
        r"\frac{\partial L}{\partial x^4} \left(\left(\frac{\partial x^4}{\partial x^3}"
        r" \frac{\partial x^3}{\partial x^2}\right) \frac{\partial x^2}{\partial \omega^1}\right)",
        jnp.einsum("i,ijk->jk", dx_4, jnp.einsum("ab,bjk->ajk", J_4 @ J_3, J_2)),
        "bracketed from the other end: the same number, by products of matrices",
    )
    pull_4 = jax.vjp(lambda x: level(f_top)(three, x), x_3)[1]
    pull_3 = jax.vjp(lambda x: level(f)(two, x), x_2)[1]
    pull_2 = jax.vjp(lambda omega: level(f)({"W": omega, "b": one["b"]}, x_1), one["W"])[1]
    yield line(
        r"\mathrm{vjp}_{\omega^1}(\mathrm{vjp}_{x^2}(\mathrm{vjp}_{x^3}(\partial L/\partial x^4)))",
        pull_2(pull_3(pull_4(dx_4)[0])[0])[0],
        "each row times a Jacobian, without the Jacobian",
    )
    yield line(
        r"\texttt{backproof}",
        bp.value_and_grad(network(levels), half_squared_error)(levels, x_1, t)[1][0]["W"],
        "what this library runs",
    )


# One batch: the sweep over the levels, with the update inside


@bp.derivation(
    r"\omega^n - \eta \frac{\partial L}{\partial \omega^n}, b^n - \eta \frac{\partial L}{\partial b^n}",
    items=("S4.1", "S4.3"),
    uses=(both_derivatives,),
    args=[LEVELS, INPUT, TARGET, RATE],
)
def sweep(levels, x_1, t, eta):
    """From the top down: both derivatives of a level, and then its update.

    The update may stand inside the sweep because derivative 2 has been taken before it: the level below
    hears of ω^n only through ∂L/∂x^n, and that was formed with the old ω^n. So the sweep equals the step
    that takes all derivatives first and updates afterwards.
    """
    one, two, three = levels
    x_2 = level(f)(one, x_1)
    x_3 = level(f)(two, x_2)

    def moved(layer, gradient):
        return {leaf: layer[leaf] - eta * gradient[leaf] for leaf in ("W", "b")}

    yield line(
        r"\left(\omega^n - \eta \frac{\partial L}{\partial \omega^n},\;"
        r" b^n - \eta \frac{\partial L}{\partial b^n}\right)_{n = 1 \ldots N}",
        jax.tree.map(lambda p, dp: p - eta * dp, levels, jax.grad(L_of)(levels, x_1, t)),
        "definition: all derivatives, and then all updates",
    )
    dx_4 = output(levels, x_1) - t
    d_three, dx_3 = jax.vjp(level(f_top), three, x_3)[1](dx_4)
    new_three = moved(three, d_three)
    d_two, dx_2 = jax.vjp(level(f), two, x_2)[1](dx_3)
    new_two = moved(two, d_two)
    d_one, _ = jax.vjp(level(f), one, x_1)[1](dx_2)
    yield line(
        r"\frac{\partial L}{\partial \omega^n},\; \frac{\partial L}{\partial x^n},\;"
        r" \omega^n \leftarrow \omega^n - \eta \frac{\partial L}{\partial \omega^n}"
        r" \quad \text{for } n = N \ldots 1",
        (moved(one, d_one), new_two, new_three),
        "the document's loop, in the order in which it lists the steps",
    )
    yield line(
        r"\omega^n - \eta \frac{\partial L}{\partial b^n} (x^n)^{\top},\;"
        r" b^n - \eta \frac{\partial L}{\partial b^n}",
        tuple(
            moved(layer, {"W": d_layer["b"][:, None] @ x[None, :], "b": d_layer["b"]})
            for layer, d_layer, x in ((one, d_one, x_1), (two, d_two, x_2), (three, d_three, x_3))
        ),
        "a level's two gradients share one factor",
    )
    _, kept = network(levels).forward(levels, x_1)
    yield line(
        r"\texttt{backproof}",
        bp.descend(network(levels), levels, kept, dx_4, lambda p, dp: p - eta * dp)[0],
        "what this library runs: each level updated in the sweep",
    )


@bp.derivation(r"\frac{\partial L}{\partial x^1}", items=("S4.1",), args=[LEVELS, INPUT, TARGET])
def nobody_needs_the_last_one(levels, x_1, t):
    """The loop ends with ∂L/∂x^1, which no level below uses: it is the derivative by the input."""
    yield line(r"\frac{\partial L}{\partial x^1}", jax.grad(L_of, argnums=1)(levels, x_1, t), "definition")
    x_2 = level(f)(levels[0], x_1)
    dx_2 = jax.grad(lambda x: L_of(levels[1:], x, t))(x_2)
    yield line(
        r"(\omega^1)^{\top} \left(\frac{\partial L}{\partial x^2} \odot f'(z^1)\right)",
        levels[0]["W"].T @ (dx_2 * (1 - x_2**2)),
        "derivative 2 of level 1, with tanh′ = 1 − tanh²",
    )
    x_4, kept = network(levels).forward(levels, x_1)
    yield line(
        r"\texttt{backproof}",
        network(levels).backward(levels, kept, x_4 - t)[1],
        "returned beside the gradients",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^1}",
    items=("S4.3",),
    uses=(sweep,),
    args=[bp.array("", low=1, high=1), bp.array("", low=0.25, high=1)],
)
def smallest_network_updated_first(one, eta):
    """ω^1 = ω^2 = x = 1, t = 0, no f, no b: the smallest network in which the order of the steps shows.

    ∂L/∂ω^1 is 1. With ω^2 updated before its second use it would be 1 − η: ½ at η = ½, and 0 at η = 1.
    """
    omega_1, omega_2, x, dx_3 = one, one, one, one * one * one  # ∂L/∂x^3 = x^3 − t = 1
    d_omega_2 = dx_3 * (omega_1 * x)
    yield line(
        r"\frac{\partial}{\partial \omega^1} \tfrac12 (\omega^2 \omega^1 x)^2",
        jax.grad(lambda omega_1: (omega_2 * omega_1 * x) ** 2 / 2)(omega_1),
        "definition",
    )
    yield line(
        r"\frac{\partial L}{\partial x^3} \omega^2 x",
        dx_3 * omega_2 * x,
        "both derivatives of level 2, then its update",
    )
    layer = {"W": one[None, None], "b": jnp.zeros(1)}
    _, kept = bp.mlp((1, 1, 1), bp.rules.identity).forward((layer, layer), jnp.ones(1))
    new, _ = bp.descend(
        bp.mlp((1, 1, 1), bp.rules.identity), (layer, layer), kept, dx_3[None], lambda p, dp: p - eta * dp
    )
    yield line(
        r"\texttt{backproof}",
        (omega_1 - new[0]["W"][0, 0]) / eta,
        "read off the step that this library takes",
    )
    yield line(
        r"\frac{\partial L}{\partial x^3} \left(\omega^2 - \eta \frac{\partial L}{\partial \omega^2}\right) x"
        r" = 1 - \eta",
        bp.equal(dx_3 * (omega_2 - eta * d_omega_2) * x, 1 - eta),
        "W already updated: derivative 2 of level 2 is taken with the new ω^2",
    )
    yield line(
        r"1 - \eta \neq 1",
        bp.differ(dx_3 * (omega_2 - eta * d_omega_2) * x, dx_3 * omega_2 * x),
        "so the order matters, for every η",
    )


# All batches

SMALL = ({"W": bp.array("4 2"), "b": bp.array("4")}, {"W": bp.array("3 4"), "b": bp.array("3")})


@bp.derivation(
    r"\text{after an epoch}",
    items=("S4.5",),
    uses=(sweep,),
    args=[SMALL, bp.array("3 2"), bp.array("3 3"), RATE],
)
def an_epoch(levels, xs, ts, eta):
    """Three batches of one sample: the loop of the document is a scan of plain SGD, as optax has it."""

    def descended(levels, x, t):
        return jax.tree.map(lambda p, dp: p - eta * dp, levels, jax.grad(L_of)(levels, x, t))

    yield line(
        r"\theta \leftarrow \theta - \eta \frac{\partial L_i}{\partial \theta} \quad i = 1, 2, 3",
        descended(descended(descended(levels, xs[0], ts[0]), xs[1], ts[1]), xs[2], ts[2]),
        "definition, one batch after the other",
    )
    yield line(
        r"\texttt{scan}",
        jax.lax.scan(lambda theta, batch: (descended(theta, *batch), None), levels, (xs, ts))[0],
        "a loop with one state",
    )
    optimizer = optax.sgd(eta)

    def step(state, batch):
        theta, memory = state
        with jax.numpy_dtype_promotion("standard"):
            updates, memory = optimizer.update(jax.grad(L_of)(theta, *batch), memory, theta)
            return (optax.apply_updates(theta, updates), memory), None

    yield line(
        r"\texttt{scan}(\texttt{optax.sgd}(\eta))",
        jax.lax.scan(step, (levels, optimizer.init(levels)), (xs, ts))[0][0],
        "the same step under its public name",
    )

    def in_sweep(theta, batch):
        x, t = batch
        y, kept = network(theta).forward(theta, x)
        return bp.descend(network(theta), theta, kept, y - t, lambda p, dp: p - eta * dp)[0], None

    yield line(
        r"\texttt{scan}(\texttt{backproof})",
        jax.lax.scan(in_sweep, levels, (xs, ts))[0],
        "what this library runs, updating inside each sweep",
    )


@bp.derivation(
    r"(1, 2),\; (2, 1)",
    items=("S4.5",),
    uses=(an_epoch,),
    args=[({"W": bp.array("1 1"), "b": bp.array("1")},), bp.array("2 1"), bp.array("2 1")],
)
def order_of_batches(levels, xs, ts):
    """The order of batches matters: each starts where the one before it ended. One unit shows it, η = 1."""

    def epoch(order):
        theta = levels
        for i in order:
            net = network(theta)
            y, kept = net.forward(theta, xs[i])
            theta, _ = bp.descend(net, theta, kept, y - ts[i], lambda p, dp: p - dp)
        return theta

    yield line(
        r"(1, 2) \neq (2, 1)",
        bp.differ(epoch((0, 1)), epoch((1, 0)), somewhere=True),
        "two batches of one sample",
    )


@bp.derivation(
    r"\theta - \eta \frac{\partial L}{\partial \theta}",
    items=("S4.5",),
    uses=(sweep,),
    args=[LEVELS, INPUT, TARGET, RATE],
)
def order_of_levels(levels, x_1, t, eta):
    """Where all derivatives are taken first, the levels may be updated in any order: to the last bit."""
    grads = bp.value_and_grad(network(levels), half_squared_error)(levels, x_1, t)[1]

    def updated(order):
        new = list(levels)
        for n in order:
            new[n - 1] = jax.tree.map(lambda p, dp: p - eta * dp, new[n - 1], grads[n - 1])
        return jax.tree.leaves(new)

    for order in itertools.permutations((1, 2, 3)):
        same = [jnp.all(a == b) for a, b in zip(updated(order), updated((3, 2, 1)), strict=True)]
        yield line(
            rf"n = {order[0]}, {order[1]}, {order[2]}",
            bp.holds(jnp.stack(same)),
            "the same bits as from the top down",
        )


@bp.derivation(
    r"\frac{\partial}{\partial \omega} \sum_i L_i",
    items=("S4.1", "E4"),
    args=[LEVELS[:1], bp.array("B d"), bp.array("B p")],
)
def reduction_of_a_batch(levels, xs, ts):
    """E4(g): for each batch, says the document, and not whether its samples are summed or averaged.

    It is a convention: the two gradients differ by the factor B, for every leaf alike, so that η for the sum
    is η/B for the mean. This library sums unless it is asked for the mean.
    """
    yield line(
        r"\frac{\partial}{\partial \omega} \sum_i L_i",
        jax.grad(lambda levels: jnp.sum(jax.vmap(lambda x, t: L_of(levels, x, t))(xs, ts)))(levels),
        "definition: summed",
    )
    yield line(
        r"B\, \frac{\partial}{\partial \omega} \frac{1}{B} \sum_i L_i",
        jax.tree.map(
            lambda leaf: len(xs) * leaf,
            jax.grad(lambda levels: jnp.mean(jax.vmap(lambda x, t: L_of(levels, x, t))(xs, ts)))(levels),
        ),
        "averaged, times B",
    )
    net = bp.mlp((xs.shape[1], ts.shape[1]), bp.rules.tanh, bp.rules.sigmoid)
    mean = bp.value_and_grad(net, bp.losses.mean(half_squared_error))(levels, xs, ts)[1]
    yield line(
        r"\texttt{backproof}",
        bp.value_and_grad(net, half_squared_error)(levels, xs, ts)[1],
        "what this library runs: the sum",
    )
    yield line(
        r"B \cdot \texttt{backproof.losses.mean}",
        bp.equal(
            jax.tree.map(lambda leaf: len(xs) * leaf, mean),
            bp.value_and_grad(net, half_squared_error)(levels, xs, ts)[1],
        ),
        "and the mean, where it is asked for",
    )


# Errata


@bp.derivation(
    r"\frac{\partial L}{\partial b^n}",
    items=("E4", "S4.1"),
    uses=(both_derivatives,),
    refutes=bp.Refutes(
        line=2,
        erratum="E4(c)",
        cause="missing",
        because="∂L/∂b^n is used in the update and derived nowhere. Read with the document's own forward"
        " map, f(w^n x^n), it is 0 and no bias would ever move. With b^n inside f it is ∂L/∂x^{n+1} ⊙"
        " f′(z^n): the factor that ∂L/∂ω^n has anyway.",
    ),
)
def derivative_of_the_bias(
    omega: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], dx_above: Float[Array, " m"]
):
    """∂L/∂b^n, from a forward map that has a b and from the one that the document prints."""
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial f(\omega^n x^n + b^n)}{\partial b^n}",
        jax.vjp(lambda b: f(omega @ x + b), b)[1](dx_above)[0],
        "definition",
    )
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \odot f'(z^n)",
        dx_above * (1 - f(omega @ x + b) ** 2),
        "with tanh′ = 1 − tanh²",
    )
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial f(w^n x^n)}{\partial b^n}",
        jax.vjp(lambda _: f(omega @ x), b)[1](dx_above)[0],
        "with x^{n+1} = f(w^n x^n), as printed",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^n}",
    items=("E4", "S4.4"),
    uses=(both_derivatives,),
    refutes=bp.Refutes(
        line=2,
        erratum="E4(d)",
        cause="wrong-value",
        because="L = f(w^n x^n) leaves out b^n and all levels above n. Without b^n the slope f′ is taken at"
        " another z, and every derivative changes wherever b ≠ 0. What is meant is x^{n+1} = f(ω^n x^n +"
        " b^n), with L further up.",
    ),
)
def forward_map_without_the_bias(
    omega: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], dx_above: Float[Array, " m"]
):
    """The forward map as the document's note prints it."""
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial f(\omega^n x^n + b^n)}{\partial \omega^n}",
        jax.vjp(lambda omega: f(omega @ x + b), omega)[1](dx_above)[0],
        "definition",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^{n+1}} \odot f'(\omega^n x^n + b^n)\right) (x^n)^{\top}",
        jnp.outer(dx_above * (1 - f(omega @ x + b) ** 2), x),
        "with tanh′ = 1 − tanh²",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^{n+1}} \odot f'(w^n x^n)\right) (x^n)^{\top}",
        jnp.outer(dx_above * (1 - f(omega @ x) ** 2), x),
        "with f(w^n x^n), as printed",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial x^n}",
    items=("E4", "S4.1"),
    args=[bp.array("4 3"), bp.array("4"), bp.array("3"), bp.array("4")],
    uses=(both_derivatives,),
    refutes=bp.Refutes(
        line=2,
        erratum="E4(e)",
        cause="contract-raises",
        because="∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n in this order wants a row on the left. Gradients are kept as"
        " columns, like the x they belong to, and then the product is (∂x^{n+1}/∂x^n)ᵀ ∂L/∂x^{n+1}. As"
        " printed it holds for numbers, and for rows.",
    ),
)
def a_column_on_the_left(omega, b, x, dx_above):
    """∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n, with ∂L/∂x^{n+1} a column, n_{n+1} × 1, as x^{n+1} is."""
    jacobian = jax.jacobian(lambda x: f(omega @ x + b))(x)
    yield line(
        r"\frac{\partial L}{\partial x^n}",
        jax.vjp(lambda x: f(omega @ x + b), x)[1](dx_above)[0][:, None],
        "definition, as a column",
    )
    yield line(
        r"\left(\frac{\partial x^{n+1}}{\partial x^n}\right)^{\top} \frac{\partial L}{\partial x^{n+1}}",
        jacobian.T @ dx_above[:, None],
        "for columns",
    )
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \cdot \frac{\partial x^{n+1}}{\partial x^n}",
        dx_above[:, None] @ jacobian,
        "as printed",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial x^n}",
    items=("E4", "S4.3"),
    uses=(both_derivatives, smallest_network_updated_first),
    args=[bp.array("m n"), bp.array("m"), bp.array("n"), bp.array("m"), bp.array("", low=0.1, high=1)],
    refutes=bp.Refutes(
        line=2,
        erratum="E4(f)",
        cause="surplus",
        because="'Used at once for the update of this level' invites updating ω^n before derivative 2 is"
        " taken. Then W is already updated: ∂L/∂x^n is formed with the new ω^n, and every level below"
        " descends along something else. With ω^1 = ω^2 = x = 1, t = 0, η = ½ the derivative 1 becomes ½."
        " Take both derivatives first.",
    ),
)
def updated_before_its_second_use(omega, b, x, dx_above, eta):
    """The update moved between derivative 1 and derivative 2."""
    yield line(
        r"\frac{\partial L}{\partial x^n}",
        jax.vjp(lambda x: f(omega @ x + b), x)[1](dx_above)[0],
        "definition",
    )
    dz = dx_above * (1 - f(omega @ x + b) ** 2)
    yield line(
        r"(\omega^n)^{\top} \left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z^n)\right)",
        omega.T @ dz,
        "derivative 2, with ω^n as it was going forward",
    )
    yield line(
        r"\left(\omega^n - \eta \frac{\partial L}{\partial \omega^n}\right)^{\top}"
        r" \left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z^n)\right)",
        (omega - eta * jnp.outer(dz, x)).T @ dz,
        "W already updated",
    )
