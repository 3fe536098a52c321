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

Reading notes, for slips of type or wording:

- E2(c): The extra neuron is called x_{n_{k−1}+1}; it is the component y^{k−1}_{n_{k−1}+1}.
- E2(d): W^0, …, W^K: weights begin at W^1, for y^0 is the input and no layer makes it.
- E2(e): f^k is ℝ → ℝ and then ℝ^{n_k} → ℝ^{n_k}: the first, applied to every component.
- E2(g): 下表 is 下标, subscript.
"""

import jax
import jax.numpy as jnp

import backproof as bp

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


df = jax.vmap(jax.grad(f_hidden))  # f′, of each component


def with_one(y):
    """Return ỹ = [y; 1]: one more neuron, which is always 1."""
    return jnp.concatenate([y, jnp.ones(1)])


def with_bias(W, b):
    """Return W̃ = [W | b], of shape n_k × (n_{k−1} + 1): b is its last column."""
    return jnp.concatenate([W, b[:, None]], axis=1)
