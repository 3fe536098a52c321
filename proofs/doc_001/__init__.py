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

Reading notes, for slips of type or wording:

- E1(a): N hidden layers, and indices that run to M: N and M are one number.
- E1(b): x_i is the datum, Latin i; x_ι, Greek ι, is what enters layer ι.
- E1(f): The book's equation numbers moved between printings: 7.24 to 7.26 are the lines above.
"""

import jax
import jax.numpy as jnp

import backproof as bp

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
