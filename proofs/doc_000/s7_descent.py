"""The algorithm: descent along the gradient of all samples, until every change is below a threshold."""

import jax
import jax.numpy as jnp
import numpy as np

import backproof as bp
from backproof import line, losses, rules

from . import J, drawn, dsigma, forward, network


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
