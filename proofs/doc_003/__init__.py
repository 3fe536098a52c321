r"""Document 003: TestNet, one sample, every component written out.

TestNet has 3 inputs, 4 hidden units and 2 outputs. Layer 0 is the input; L = 2.

    z^(1) = W^(1) a^(0) + b^(1),   a^(1) = relu(z^(1)),   z^(2) = W^(2) a^(1) + b^(2)
    p(y = k) = h(z^(2))_k = exp(z^(2)_k) / Σ exp(z^(2)),    J = −Σ_k 1(y = k) ln p(y = k)

W^(l)_ij leads from unit j of layer l − 1 to unit i of layer l. 1(·) is one where its condition holds and
zero elsewhere. The gate of this document is 1(z ≥ 0), open at zero, where document 001 has it shut: `relu`
below is the function that autodiff gives that slope, and the library calls it `relu_with(1.0)`.

In code `z_2` is z^(2); `y` counts the classes from 0. Formulas that the text has lost are read from the
sentences around them and from the course notes that it follows (cs231n, "Backpropagation, Intuitions").

Reading notes, for slips of type or wording:

- E3(c): In the Jacobian of a^(l) the entry ∂a^(1)_1/∂z^(l)_n is ∂a^(l)_1/∂z^(l)_n.
- E3(h): · stands once for the product entry by entry, which is * everywhere else.
- E3(j): φJ/φW is ∂J/∂W.
- E3(k): Underscores were lost: a^{(l)}{1} is a^{(l)}_1.
"""

import jax.numpy as jnp

import backproof as bp

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


# A point that is given rather than drawn: a number that can only be 1.
ONE = bp.array("", low=1, high=1)

TESTNET = (
    {"W": bp.array("4 3"), "b": bp.array("4")},
    {"W": bp.array("2 4"), "b": bp.array("2")},
)

DATUM, LABEL = bp.array("3"), bp.integers("", 0, 1)

SCORES, CLASS = bp.array("K"), bp.integers("", 0, "K-1")


def of_weight(loss, W, x, y, activation=bp.rules.identity):
    """Return ∂J/∂W of one layer without bias, at the number x."""
    W = jnp.asarray(W)
    net = bp.mlp(W.shape[::-1], activation, last=activation)
    return bp.value_and_grad(net, loss)(({"W": W, "b": jnp.zeros(len(W))},), jnp.array([x]), y)[1][0]["W"]
