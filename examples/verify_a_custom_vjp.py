"""Is my custom gradient right? A function with a rule of its own, first with a slip and then mended.

python examples/verify_a_custom_vjp.py
"""

import jax
import jax.numpy as jnp

import backproof as bp


# log Σ exp(x) over the last axis, with a backward pass of its own.
@jax.custom_vjp
def logsumexp(x):
    top = x.max(-1, keepdims=True)
    return (jnp.log(jnp.exp(x - top).sum(-1, keepdims=True)) + top)[..., 0]


def forward(x):
    return logsumexp(x), x


# The gradient is softmax(x); the slip: the softmax runs over the batch instead of the last axis.
def backward_with_a_slip(x, ct):
    return (jax.nn.softmax(x, axis=0) * ct[..., None],)


def backward(x, ct):
    return (jax.nn.softmax(x, axis=-1) * ct[..., None],)


def main():
    # What the argument may be: rows of length n, b of them. Sizes and values are backproof's to choose.
    args = [bp.array("b n")]

    logsumexp.defvjp(forward, backward_with_a_slip)
    report = bp.verify(logsumexp, args=args)
    print(report)  # the verdict, the entry that is wrong, and the smallest example that shows it

    logsumexp.defvjp(forward, backward)
    print()
    print(bp.verify(logsumexp, args=args))

    # In a test file one line is enough: it raises bp.GradientError unless the gradient is right.
    bp.check(logsumexp, args=args)


if __name__ == "__main__":
    main()
