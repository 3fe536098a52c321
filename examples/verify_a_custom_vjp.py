"""Is my custom gradient right? This script checks a custom_vjp, first with a slip in it and then mended.

python examples/verify_a_custom_vjp.py
"""

import jax
import jax.numpy as jnp

import backproof as bp


# This function is log Σ exp(x) over the last axis, with a backward pass of its own.
@jax.custom_vjp
def logsumexp(x):
    top = x.max(-1, keepdims=True)
    return (jnp.log(jnp.exp(x - top).sum(-1, keepdims=True)) + top)[..., 0]


def forward(x):
    return logsumexp(x), x


# The gradient is softmax(x). The slip is that the softmax runs over the batch instead of the last axis.
def backward_with_a_slip(x, ct):
    return (jax.nn.softmax(x, axis=0) * ct[..., None],)


def backward(x, ct):
    return (jax.nn.softmax(x, axis=-1) * ct[..., None],)


def main():
    # The argument has b rows of length n. backproof chooses the sizes and the values.
    args = [bp.array("b n")]

    logsumexp.defvjp(forward, backward_with_a_slip)
    report = bp.verify(logsumexp, args=args)
    print(report)  # the verdict, the entry that is wrong, and the smallest example that shows it

    logsumexp.defvjp(forward, backward)
    print()
    print(bp.verify(logsumexp, args=args))

    # In a test file this line is enough: it raises bp.GradientError unless the gradient is right.
    bp.check(logsumexp, args=args)


if __name__ == "__main__":
    main()
