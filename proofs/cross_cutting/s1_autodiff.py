"""X.1: by hand is autodiff."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

import backproof as bp
from backproof import line

from . import NET, plain_network, widths


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
