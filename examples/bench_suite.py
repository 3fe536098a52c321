"""Measures a suite of some forty rules under the pytest plugin: the first run, and one with programs kept.

The rules are the shipped catalogue, as if it were the user's own, and six rules in the form that users write.
Seconds of the processor are printed next to those of the clock, since other work on the machine slows the
latter more.

    python examples/bench_suite.py [-n PROCESSES]
"""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

PROJECT = """
[tool.backproof]
modules = ["backproof.catalogue", "my_kernels"]
"""
KERNELS = '''
"""Six rules as their authors write them: annotated, with the backward pass by hand."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_vjp
def layer_norm(x: Float[Array, "b n"], gain: Float[Array, " n"], shift: Float[Array, " n"]):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


def layer_norm_bwd(kept, ct):
    x, gain = kept
    centred = x - x.mean(-1, keepdims=True)
    deviation = jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    hat, g = centred / deviation, ct * gain
    dx = (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) / deviation
    return dx, (ct * hat).sum(0), ct.sum(0)


layer_norm.defvjp(lambda x, gain, shift: (layer_norm(x, gain, shift), (x, gain)), layer_norm_bwd)


@jax.custom_vjp
def swiglu(x: Float[Array, "b n"], y: Float[Array, "b n"]):
    return jax.nn.silu(x) * y


def swiglu_bwd(kept, ct):
    x, y = kept
    s = jax.nn.sigmoid(x)
    return ct * y * s * (1 + x * (1 - s)), ct * x * s


swiglu.defvjp(lambda x, y: (swiglu(x, y), (x, y)), swiglu_bwd)


@jax.custom_vjp
def log_softmax(x: Float[Array, "b n>=1"]):
    return x - jax.nn.logsumexp(x, -1, keepdims=True)


log_softmax.defvjp(
    lambda x: (log_softmax(x), x), lambda x, ct: (ct - jax.nn.softmax(x, -1) * ct.sum(-1, keepdims=True),)
)


@jax.custom_vjp
def linear(x: Float[Array, "b n"], w: Float[Array, "n m"]):
    return x @ w


linear.defvjp(lambda x, w: (x @ w, (x, w)), lambda kept, ct: (ct @ kept[1].T, kept[0].T @ ct))


@jax.custom_jvp
def square(x: Float[Array, " n"]):
    return x * x


@square.defjvp
def square_jvp(primals, tangents):
    return primals[0] ** 2, 2 * primals[0] * tangents[0]


@jax.custom_vjp
def cosine(x: Float[Array, " n"]):
    return jnp.cos(x)


cosine.defvjp(lambda x: (jnp.cos(x), x), lambda x, ct: (-jnp.sin(x) * ct,))
'''


def main(processes: int = 2) -> None:
    """Run the suite twice in a fresh project, and print what each run took."""
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder)
        (project / "pyproject.toml").write_text(PROJECT)
        (project / "my_kernels.py").write_text(KERNELS)
        for run in ("first run", "second run"):
            clock, processor = time.perf_counter(), used()
            command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes)]
            said = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
            seconds = f"{time.perf_counter() - clock:.0f} s, of the processor {used() - processor:.0f} s"
            print(f"{run}: {seconds}; {said.stdout.splitlines()[-1]}")
            if said.returncode:
                sys.exit(said.stdout + said.stderr)
    print(f"{processes} processes on {os.cpu_count()} cores")


def used() -> float:
    """Return the seconds of the processor that ended processes of this one have used."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=2, help="processes; default: %(default)s")
    main(parser.parse_args().n)
