"""A kernel of one's own: an RMS norm in Pallas with its backward pass, and the test that keeps it right.

    pytest examples/pallas_rms_norm.py

On a GPU the kernels are compiled; elsewhere they run in Pallas's interpreter. Each instance of a kernel works
on a block of 8 rows, so the number of rows is specified as a multiple of 8, which is not empty.

    y = x r g,  r = 1/√(mean(x²) + ε)
    x̄ = r (ḡ − x r² mean(x ḡ)),  ḡ = g ȳ;   the gradient of the gain g is Σ x r ȳ over the rows

Source of y: Zhang and Sennrich 2019, Root Mean Square Layer Normalization, arXiv:1910.07467; x̄ follows.
"""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

import backproof as bp

ROWS = 8
EPSILON = 1e-6
INTERPRET = jax.default_backend() != "gpu"


def forward_kernel(x_ref, gain_ref, y_ref, r_ref):
    x = x_ref[...]
    r = jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON)
    y_ref[...] = x * r * gain_ref[...][None]
    r_ref[...] = r


def backward_kernel(x_ref, gain_ref, r_ref, ct_ref, dx_ref, dgain_ref):
    x, r, ct = x_ref[...], r_ref[...], ct_ref[...]
    scaled = gain_ref[...][None] * ct
    dx_ref[...] = r * (scaled - x * r * r * jnp.mean(x * scaled, axis=-1, keepdims=True))
    dgain_ref[...] = jnp.sum(x * r * ct, axis=0, keepdims=True)  # of this block; the caller sums the blocks


def specs(width):
    """Return the blocks of a matrix of rows, of the gain, of one number a row, and of one row a block."""
    return (
        pl.BlockSpec((ROWS, width), lambda i: (i, 0)),
        pl.BlockSpec((width,), lambda _: (0,)),
        pl.BlockSpec((ROWS, 1), lambda i: (i, 0)),
        pl.BlockSpec((1, width), lambda i: (i, 0)),
    )


def run(kernel, rows, ins, outs, shapes):
    return pl.pallas_call(
        kernel, grid=(rows // ROWS,), in_specs=ins, out_specs=outs, out_shape=shapes, interpret=INTERPRET
    )


@jax.custom_vjp
def rms_norm(x, gain):
    return rms_norm_forward(x, gain)[0]


def rms_norm_forward(x, gain):
    rows, width = x.shape
    matrix, vector, column, _ = specs(width)
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype), jax.ShapeDtypeStruct((rows, 1), x.dtype)]
    y, r = run(forward_kernel, rows, [matrix, vector], [matrix, column], shapes)(x, gain)
    return y, (x, gain, r)


def rms_norm_backward(kept, ct, kernel=backward_kernel):
    x, gain, r = kept
    rows, width = x.shape
    matrix, vector, column, row = specs(width)
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype), jax.ShapeDtypeStruct((rows // ROWS, width), x.dtype)]
    ins = [matrix, vector, column, matrix]
    dx, dgain = run(kernel, rows, ins, [matrix, row], shapes)(x, gain, r, ct)
    return dx, dgain.sum(0)


rms_norm.defvjp(rms_norm_forward, rms_norm_backward)


def reference(x, gain):
    """The same function in plain jax.numpy, whose autodiff is what the kernel is compared with."""
    return x / jnp.sqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON) * gain


ARGUMENTS = [bp.array(f"{ROWS}*b>={ROWS} n>=1"), bp.array("n>=1")]


def test_the_kernel_has_the_gradient_of_its_reference():
    bp.check(rms_norm, of=reference, args=ARGUMENTS)


def slipped_kernel(x_ref, gain_ref, r_ref, ct_ref, dx_ref, dgain_ref):
    """Leave r² out of the second term: a slip that a test at |x| = 1 does not see."""
    backward_kernel(x_ref, gain_ref, r_ref, ct_ref, dx_ref, dgain_ref)
    x, r, scaled = x_ref[...], r_ref[...], gain_ref[...][None] * ct_ref[...]
    dx_ref[...] = r * (scaled - x * jnp.mean(x * scaled, axis=-1, keepdims=True))


def main():
    print(bp.verify(rms_norm, of=reference, args=ARGUMENTS))
    slipped = jax.custom_vjp(rms_norm.fun)
    slipped.defvjp(rms_norm_forward, functools.partial(rms_norm_backward, kernel=slipped_kernel))
    print()
    print(bp.verify(slipped, of=reference, args=ARGUMENTS))


if __name__ == "__main__":
    main()
