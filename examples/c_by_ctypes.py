"""Code in C: a softmax cross-entropy whose gradient is added to a buffer, and the test that keeps it right.

    pytest examples/c_by_ctypes.py

C code often accumulates, as `dz[i] += …`, so that several uses of one array sum up. bp.accumulating calls
such a function with buffers that hold other numbers first. A C compiler must be installed (cc).

    L = Σ_rows (log Σ_k exp(z_k) − z_y),   ∂L/∂z_k = exp(z_k)/Σ exp(z) − [k = y]
"""

import ctypes
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import jax
import jax.numpy as jnp
import numpy as np

import backproof as bp

SOURCE = """
#include <math.h>

/* dz += dloss (softmax(z) - onehot(y)), for b rows of v numbers */
void cross_entropy_backward(const double *z, const int *y, double dloss, double *dz, long b, long v) {
    for (long i = 0; i < b; i++) {
        const double *row = z + i * v;
        double top = row[0], sum = 0;
        for (long k = 1; k < v; k++) top = row[k] > top ? row[k] : top;
        for (long k = 0; k < v; k++) sum += exp(row[k] - top);
        for (long k = 0; k < v; k++) dz[i * v + k] ADDED dloss * (exp(row[k] - top) / sum - (k == y[i]));
    }
}
"""


def compiled(added="+="):
    """Return the compiled library; with `=` for `+=` it has the slip of overwriting its buffer."""
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "loss.c").write_text(SOURCE)
    command = ["cc", "-O2", "-shared", "-fPIC", f"-DADDED={added}", "-o", "loss.so", "loss.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "loss.so"))


def backward_by(library):
    """Return the C function as Python calls it: arguments, then the cotangent, then a buffer for dz."""
    doubles, ints = (np.ctypeslib.ndpointer(dtype, flags="C") for dtype in (np.float64, np.int32))
    function = library.cross_entropy_backward
    function.argtypes = [doubles, ints, ctypes.c_double, doubles, ctypes.c_long, ctypes.c_long]
    function.restype = None

    def backward(z, y, dloss, dz):
        z, y = (np.ascontiguousarray(a, t) for a, t in ((z, np.float64), (y, np.int32)))
        function(z, y, float(dloss), dz, *z.shape)

    return backward


def cross_entropy(z, y):
    """The function itself, in jax.numpy: its autodiff is what the C code is compared with."""
    return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


ARGUMENTS = [bp.array("b v>=1"), bp.integers("b", 0, "v-1")]


def test_the_c_code_adds_the_gradient_to_its_buffer():
    if shutil.which("cc") is None:
        raise unittest.SkipTest("no C compiler (cc)")
    bp.check(of=cross_entropy, vjp=bp.accumulating(backward_by(compiled()), dtype=np.float64), args=ARGUMENTS)


def main():
    if shutil.which("cc") is None:
        print("skipped: there is no C compiler (cc)")
        return
    for added in ("+=", "="):
        report = bp.verify(
            of=cross_entropy,
            vjp=bp.accumulating(backward_by(compiled(added)), dtype=np.float64),
            args=ARGUMENTS,
        )
        print(report, end="\n\n")


if __name__ == "__main__":
    main()
