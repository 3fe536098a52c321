"""Numerics."""

import jax
import jax.numpy as jnp
import numpy as np

import backproof as bp
from backproof import line

from . import cross_entropy, h, indicator
from .s05_loss import softmax
from .s07_residual import output_residual


@bp.derivation(r"\text{softmax in float32}", items=("S3.19",), uses=(softmax, output_residual))
def literal_formulas_in_float32():
    """The formulas are right over the reals and fail in float32; p − 1(y) at a stable p does not."""

    @jax.jit
    def run(z, far, p, y):
        """Return what each formula gives, in one compiled program."""
        return {
            "literal": h(z),
            "softmax": bp.rules.softmax.forward((), z)[0],
            "factors": -p / p,
            "chain": (-p / p) @ (jnp.diag(p) - jnp.outer(p, p)),
            "collapsed": p - indicator(y, p),
            "by softmax": jax.grad(lambda z: -jnp.sum(p * jnp.log(jax.nn.softmax(z))))(far),
            "by log_softmax": jax.grad(lambda z: -jax.nn.log_softmax(z)[0])(far),
            "shipped": cross_entropy.backward(cross_entropy.forward(far, y)[1]),
        }

    p = np.array([1, 0], "float32")
    zero = np.zeros(2, "float32")
    with jax.enable_x64(False):
        got = run(np.array([89, 0], "float32"), np.array([200, 0], "float32"), p, np.int32(0))
    got = {name: np.asarray(value) for name, value in got.items()}
    yield line(
        r"\text{float32}",
        bp.holds(all(value.dtype == np.float32 for value in got.values())),
        "nothing is widened on the way",
    )
    yield line(
        r"h(89, 0)_1 = \infty/\infty", bp.holds(np.isnan(got["literal"][0])), "e^89 is above every float32"
    )
    yield line(
        r"\texttt{backproof}: h(89, 0) = (1, 0)",
        bp.equal(got["softmax"], p),
        "with the maximum taken off first",
    )
    yield line(
        r"-\frac{1(y=2)}{p(y=2)} = \frac{0}{0}",
        bp.holds(np.isnan(got["factors"][1])),
        "the chain rule, term by term, divides by the probability of the absent class",
    )
    yield line(
        r"-\sum_i \frac{1(y=i)}{p_i} \frac{\partial p_i}{\partial z} = \text{nan}",
        bp.holds(np.any(np.isnan(got["chain"]))),
        "and all of the sum with it",
    )
    yield line(r"p - 1(y) = 0", bp.equal(got["collapsed"], zero), "collapsed, nothing divides")
    yield line(
        r"\nabla(-\sum t \ln \mathrm{softmax}) = \text{nan}",
        bp.holds(np.any(np.isnan(got["by softmax"]))),
        "autodiff goes the same way, with a stable softmax too",
    )
    yield line(
        r"\nabla(-\mathrm{log\_softmax}) = 0",
        bp.equal(got["by log_softmax"], zero),
        "unless the logarithm is taken before the quotient",
    )
    yield line(
        r"\texttt{backproof} = 0", bp.equal(got["shipped"], zero), "this library's is the collapsed form"
    )
    residuals = jax.eval_shape(cross_entropy.forward, jnp.zeros(3), jnp.array(0))[1]
    program = str(jax.make_jaxpr(cross_entropy.backward)(residuals))
    yield line(
        r"\texttt{div}, \texttt{log}, \texttt{exp} \notin \texttt{backproof}",
        bp.holds(not any(f" {name} " in program for name in ("div", "log", "exp"))),
        "its backward pass neither divides nor takes a logarithm",
    )
