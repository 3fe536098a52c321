"""One layer further: its z, its Jacobian by this z, and what the document says of the columns of W."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line, rules

from . import dsigma, sigma


@bp.derivation(
    r"z^{l+1} = W^{l+1} \sigma(z^l) + b^{l+1}",
    items=("S0.10",),
    ships=lambda W, b, z: rules.affine(len(b)).forward({"W": W, "b": b}, rules.sigmoid.forward((), z)[0])[0],
)
def next_z(W: Float[Array, "k n"], b: Float[Array, " k"], z: Float[Array, " n"]):
    """The next z in terms of this one: the only way in which J depends on z^l."""
    a = sigma(z)
    yield line(r"W^{l+1} a^l + b^{l+1}", W @ a + b, "definition of z^{l+1}")
    yield line(r"W^{l+1} \sigma(z^l) + b^{l+1}", W @ sigma(z) + b, "a^l = σ(z^l)")


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
