"""A torch.autograd.Function: its hand-written backward pass, judged as any other. It needs torch.

    pytest examples/pytorch_function.py

`pullback_of` is all that is needed: it calls the function and its backward pass on tensors, in the precision
of the arguments, and gives the result back as NumPy arrays. The function itself is written in jax.numpy.
"""

import unittest

import jax
import numpy as np

import backproof as bp

try:
    import torch
except ImportError:
    torch = None


def pullback_of(function):
    """Return the pullback of a torch function with one output, for bp.verify(of=…, vjp=…).

    Args:
        function: a function of tensors, such as the `apply` of a `torch.autograd.Function`.
    """

    def pullback(args, ct):
        tensors = [torch.from_numpy(np.array(arg)) for arg in args]
        for tensor in tensors:
            tensor.requires_grad_(tensor.is_floating_point() or tensor.is_complex())
        output = function(*tensors)
        output.backward(torch.from_numpy(np.array(ct, dtype=output.detach().numpy().dtype)))
        return tuple(None if tensor.grad is None else tensor.grad.numpy() for tensor in tensors)

    return bp.host(pullback)


def function_of(slip):
    """Return a SiLU gate, x σ(x) y, whose backward pass may have a slip."""

    class Gate(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * torch.sigmoid(x) * y

        @staticmethod
        def backward(ctx, ct):
            x, y = ctx.saved_tensors
            s = torch.sigmoid(x)
            slope = s * (1 + x) if slip else s * (1 + x * (1 - s))
            return ct * y * slope, ct * x * s

    return Gate.apply


def gate(x, y):
    return jax.nn.silu(x) * y


ARGUMENTS = [bp.array("b n"), bp.array("b n")]


def test_the_backward_pass_of_the_gate_is_right():
    if torch is None:
        raise unittest.SkipTest("torch is not installed")
    bp.check(of=gate, vjp=pullback_of(function_of(slip=False)), args=ARGUMENTS)


def main():
    if torch is None:
        print("skipped: torch is not installed (pip install torch)")
        return
    for slip in (False, True):
        print(bp.verify(of=gate, vjp=pullback_of(function_of(slip)), args=ARGUMENTS), end="\n\n")


if __name__ == "__main__":
    main()
