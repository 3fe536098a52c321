"""All batches."""

import itertools

import jax
import jax.numpy as jnp
import optax

import backproof as bp
from backproof import line

from . import INPUT, LEVELS, RATE, TARGET, L_of, half_squared_error, network
from .s3_one_batch import sweep

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
