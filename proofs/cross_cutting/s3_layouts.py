"""X.2: layouts, of samples and of Jacobians."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import NET, plain_network, widths


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
