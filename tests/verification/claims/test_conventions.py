"""Backward passes in the conventions of courses and of C code are judged as they are."""

import ctypes
import inspect
import shutil
import subprocess

import course_layers as course
import jax
import numpy as np
import pytest

import backproof as bp

pytestmark = pytest.mark.as_user
QUICK = {"examples": 40}


@pytest.mark.parametrize("name", sorted(course.LAYERS))
def test_a_right_layer_of_a_course_is_accepted(name):
    forward, backward, _, args = course.LAYERS[name]
    assert bp.verify(of=forward, vjp=bp.cached(forward, backward), args=args, **QUICK).ok


def line_of_the_slip(function):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if "# slip" in line)


@pytest.mark.parametrize("name", sorted(course.LAYERS))
def test_the_slip_in_a_layer_is_found_and_its_line_is_among_those_named(name):
    forward, _, slipped, args = course.LAYERS[name]
    report = bp.verify(of=forward, vjp=bp.cached(forward, slipped), args=args, **QUICK)
    assert report.verdict == "WRONG"
    if name == "conv":  # its loops are too long to be taken apart
        assert report.blame is None
    elif name != "relu":  # the gate by dout is a condition, of which only the result that it makes is named
        assert line_of_the_slip(slipped) in report.blame.lines


def kept(x):
    out = np.tanh(x)
    return out, out


def badly_back(dout, out):
    half = out * 0.731  # what is kept is right; no single edit mends how it is used
    return (dout * (1 - half) * 1.37,)


def test_no_line_of_the_forward_pass_is_named_for_a_slip_in_the_backward_pass():
    report = bp.verify(of=kept, vjp=bp.cached(kept, badly_back), args=[bp.array("n")], **QUICK)
    lines, first = inspect.getsourcelines(badly_back)
    assert report.verdict == "WRONG"
    assert set(report.blame.lines) <= set(range(first, first + len(lines)))


@pytest.mark.parametrize("name", sorted(course.LOSSES))
def test_a_loss_that_returns_its_gradient_is_judged(name):
    right, slipped = course.LOSSES[name]

    def verified(loss):
        parts = {"of": lambda x, y: loss(x, y)[0], "grad": lambda x, y: loss(x, y)[1]}
        return bp.verify(**parts, args=course.LABELLED, **QUICK)

    assert verified(right).ok
    report = verified(slipped)
    assert report.verdict == "WRONG"
    assert line_of_the_slip(slipped) in report.blame.lines


def test_the_replay_of_a_cached_pass_runs():
    forward, _, slipped, args = course.LAYERS["affine"]
    found = bp.verify(of=forward, vjp=bp.cached(forward, slipped), args=args, **QUICK).counterexample
    assert "backproof.cached(affine_forward, affine_with_a_mean)(args, cotangent)" in found.replay
    exec(f"{found.repro}\n{found.replay}", vars(course) | {"np": np, "jax": jax})


def test_a_forward_pass_without_a_cache_is_an_error():
    passes = bp.cached(lambda x: x * 2, lambda dout, cache: dout)
    with pytest.raises(bp.UsageError, match="must return \\(out, cache\\)"):
        passes((np.ones(2),), np.ones(2))


def affine(x, w):
    return x @ w


def adding(x, w, ct, dx, dw):
    dx += ct @ w.T
    dw += x.T @ ct


def overwriting(x, w, ct, dx, dw):
    dx += ct @ w.T
    dw[...] = x.T @ ct


def adding_twice(x, w, ct, dx, dw):
    dx += 2 * ct @ w.T
    dw += x.T @ ct


MATRICES = [bp.array("b n"), bp.array("n m")]


def test_a_pass_that_adds_to_its_buffers_is_accepted():
    report = bp.verify(of=affine, vjp=bp.accumulating(adding), args=MATRICES, **QUICK)
    assert report.verdict == "AGREES"


def test_a_pass_that_overwrites_its_buffers_is_found():
    report = bp.verify(of=affine, vjp=bp.accumulating(overwriting), args=MATRICES, **QUICK)
    assert (report.verdict, report.cause) == ("WRONG", "contract-raises")
    assert "does not add to buffer 1" in str(report)


def test_a_pass_that_adds_what_is_wrong_is_found():
    report = bp.verify(of=affine, vjp=bp.accumulating(adding_twice), args=MATRICES, **QUICK)
    assert report.verdict == "WRONG"
    assert report.counterexample.leaf == "[0]"


def squared(x, ct, dx):
    dx += 2 * x * ct


def cubed(x, ct, dx):
    dx += 3 * x * ct


@pytest.mark.parametrize("dtype", [None, np.float32])
def test_code_in_one_precision_is_judged_to_its_digits(dtype):
    square, args = lambda x: x**2, [bp.array("n")]
    assert bp.verify(of=square, vjp=bp.accumulating(squared, dtype=dtype), args=args, **QUICK).ok
    report = bp.verify(of=square, vjp=bp.accumulating(cubed, dtype=dtype), args=args, **QUICK)
    assert (report.verdict, report.cause) == ("WRONG", "factor")


def test_what_is_no_array_is_told():
    passes = bp.accumulating(adding)
    with pytest.raises(bp.UsageError, match="must take arrays, but found a dict"):
        passes(({"w": np.ones(2)},), np.ones(2))


C_CODE = """
void tanh_backward(long n, const double *x, const double *ct, double *dx) {
    for (long i = 0; i < n; i++) { double a = TANH(x[i]); dx[i] += ct[i] * (1 - a * a); }
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")
@pytest.mark.parametrize(("function", "ok"), [("tanh", True), ("sin", False)])
def test_a_function_of_c_is_judged_through_ctypes(tmp_path, function, ok):
    source = "#include <math.h>\n" + C_CODE.replace("TANH", function)
    (tmp_path / "code.c").write_text(source, encoding="utf-8")
    library = tmp_path / "code.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, tmp_path / "code.c", "-lm"], check=True)
    in_c = ctypes.CDLL(str(library)).tanh_backward
    pointer = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
    in_c.argtypes, in_c.restype = [ctypes.c_long, pointer, pointer, pointer], None

    def tanh_backward(x, ct, dx):
        in_c(x.size, x, ct, dx)

    passes = bp.accumulating(tanh_backward, dtype=np.float64)
    report = bp.verify(of=np.tanh, vjp=passes, args=[bp.array("b n")], **QUICK)
    assert report.ok is ok, str(report)
