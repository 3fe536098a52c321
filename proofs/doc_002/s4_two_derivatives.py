"""The two derivatives of one layer."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import df, f_hidden, f_last, g, layers
from .s1_notation import f_acts_on_each_component


def g_above(V, y):
    """Return g^{k+1}(W^{k+1}, …, y^k), with one more layer standing for all that lie above."""
    return g(f_last(V @ y))


@bp.derivation(
    r"\frac{\partial g^k}{\partial W^k_{ab}}",
    items=("S2.6",),
    uses=(f_acts_on_each_component,),
    of=lambda W, V, y: g_above(V, f_hidden(W @ y)),
)
def of_one_weight(W: Float[Array, "n m"], V: Float[Array, "q n"], y: Float[Array, " m"]):
    """The derivative of g^k by the entry (a, b) of W^k. `y` is y^{k−1}, `V` is W^{k+1}."""
    n, m = W.shape
    z = W @ y
    e = jax.grad(g_above, argnums=1)(V, f_hidden(z))  # ∂g^{k+1}/∂y^k
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} \frac{\partial y^k_i}{\partial W^k_{ab}}",
        jnp.einsum("i,iab->ab", e, jax.jacobian(lambda W: f_hidden(W @ y))(W)),
        "chain rule: g^k hears W^k only through y^k",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i) \frac{\partial z_i}{\partial W^k_{ab}}",
        jnp.einsum("i,i,iab->ab", e, df(z), jax.jacobian(lambda W: W @ y)(W)),
        "y_i = f(z_i)",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i)\, \delta_{ia}\, y^{k-1}_b",
        jnp.einsum("i,i,ia,b->ab", e, df(z), jnp.eye(n), y),
        "z_i = Σ_j W_ij y_j, so ∂z_i/∂W_ab = δ_ia y_b",
    )
    yield line(
        r"\frac{\partial g^{k+1}}{\partial y^k_a} f'(z_a)\, y^{k-1}_b",
        jnp.einsum("a,a,b->ab", e, df(z), y),
        "δ_ia leaves the one term i = a",
    )
    yield line(
        r"\left(\frac{\partial g^{k+1}}{\partial y^k_a} f'(z_a)\, y^{k-1}_b\right)_{ab}",
        jnp.stack([jnp.stack([e[a] * df(z)[a] * y[b] for b in range(m)]) for a in range(n)]),
        "for a: for b: as the document would have it calculated",
    )
    _, kept = bp.mlp((m, n), bp.rules.tanh, bp.rules.tanh).forward(layers((W,)), y)
    yield line(
        r"\texttt{backproof}",
        bp.layer_step({"W": W, "b": jnp.zeros(n)}, kept[0], e)[0]["W"],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial g^k}{\partial y^{k-1}_a}",
    items=("S2.7",),
    uses=(f_acts_on_each_component,),
    of=lambda y, W, V: g_above(V, f_hidden(W @ y)),
)
def of_one_input(W: Float[Array, "n m"], V: Float[Array, "q n"], y: Float[Array, " m"]):
    """The derivative of g^k by component a of y^{k−1}: the error that is handed down."""
    n, m = W.shape
    z = W @ y
    e = jax.grad(g_above, argnums=1)(V, f_hidden(z))  # ∂g^{k+1}/∂y^k
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} \frac{\partial y^k_i}{\partial y^{k-1}_a}",
        jnp.einsum("i,ia->a", e, jax.jacobian(lambda y: f_hidden(W @ y))(y)),
        "chain rule: every y_i hears y_a, so the sum stays",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i) \frac{\partial z_i}{\partial y^{k-1}_a}",
        jnp.einsum("i,i,ia->a", e, df(z), jax.jacobian(lambda y: W @ y)(y)),
        "y_i = f(z_i)",
    )
    yield line(
        r"\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i)\, W^k_{ia}",
        jnp.einsum("i,i,ia->a", e, df(z), W),
        "∂z_i/∂y_a = W_ia",
    )
    yield line(
        r"\left(\sum_i \frac{\partial g^{k+1}}{\partial y^k_i} f'(z_i)\, W^k_{ia}\right)_a",
        jnp.stack([sum(e[i] * df(z)[i] * W[i, a] for i in range(n)) for a in range(m)]),
        "for a: for i: as the document would have it calculated",
    )
    yield line(
        r"W^{k\top} \left(\frac{\partial g^{k+1}}{\partial y^k} \odot f'(z^k)\right)",
        W.T @ (e * df(z)),
        "the same sum as a product: i is the row index of W, so W is transposed",
    )
    _, kept = bp.mlp((m, n), bp.rules.tanh, bp.rules.tanh).forward(layers((W,)), y)
    yield line(
        r"\texttt{backproof}",
        bp.layer_step({"W": W, "b": jnp.zeros(n)}, kept[0], e)[1],
        "what this library runs",
    )
