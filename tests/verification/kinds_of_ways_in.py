"""Members of the kind "ways in": NumPy, static arguments of any type, trees, sparse arrays, rules."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import sparse
from member import BAD, GOOD, QUICK, Member, member, pair

import backproof as bp

# NumPy on one side or on both.


def smoothed(x):
    """Return means of neighbours along a row, in a loop."""
    x = np.asarray(x)
    out = np.zeros_like(x)
    for j in range(x.shape[1]):
        out[:, j] = x[:, max(j - 1, 0) : j + 2].mean(axis=1)
    return out


def smoothed_back(count):
    def back(args, ct):
        x, ct = np.asarray(args[0]), np.asarray(ct)
        out = np.zeros_like(x)
        for j in range(x.shape[1]):
            window = slice(max(j - 1, 0), j + 2)
            out[:, window] += ct[:, j : j + 1] / count(x[:, window].shape[1])
        return (out,)

    return back


def kept(x):
    """Return the sum of the positive entries, in a loop that decides entry by entry."""
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] > 0:
            total = total + x[i]
    return total


def kept_grad(at_zero):
    def grad(x):
        out = np.zeros_like(x)
        for i in range(x.shape[0]):
            out[i] = 1.0 if x[i] > 0 else at_zero if x[i] == 0 else 0.0
        return out

    return grad


def said_to_be_numpy(slope):
    """Return the call that verifies a pullback of sin with this slope, run on the host."""
    back = lambda args, ct: (slope(args[0]) * ct,)
    return lambda: bp.verify(of=jnp.sin, vjp=bp.host(back), args=TABLE, **QUICK)


def energy(W, x):
    return np.sum(np.tanh(x @ W) ** 2)


def energy_grad(factor):
    def grad(W, x):
        a = np.tanh(x @ W)
        return x.T @ (factor * a * (1 - a**2))

    return grad


def solved_back(args, ct):
    A, b = (np.asarray(a) for a in args)
    u = np.linalg.solve(A.T, np.asarray(ct))
    return -np.outer(u, np.linalg.solve(A, b)), u


def scan_of_rows(h, x):
    return jax.lax.scan(lambda h, x: (jnp.tanh(h + x),) * 2, h, x)[1]


def scan_of_rows_back(args, ct):
    """Backpropagation through time as a student writes it: NumPy, a loop, arrays filled in place."""
    h, x = (np.asarray(a) for a in args)
    states = [h]
    for row in x:
        states.append(np.tanh(states[-1] + row))
    delta, delta_x = np.zeros_like(h), np.zeros_like(x)
    for t in reversed(range(len(x))):
        delta_x[t] = (delta + np.asarray(ct)[t]) * (1 - states[t + 1] ** 2)
        delta = delta_x[t]
    return delta, delta_x


def forgetting_the_start(args, ct):
    delta, delta_x = scan_of_rows_back(args, ct)
    return 0 * delta, delta_x


# Arguments that are not arrays.


def reduced(kind, x, scale):
    return scale * (x.mean() if kind == "mean" else x.sum())


def with_reduction(factor):
    fn = jax.custom_vjp(lambda x, kind, scale: reduced(kind, x, scale), nondiff_argnums=(1, 2))

    def backward(kind, scale, like, ct):
        share = like.size if kind == "mean" else 1
        return (jnp.full_like(like, factor * scale * ct / max(share, 1)),)

    fn.defvjp(lambda x, kind, scale: (reduced(kind, x, scale), x), backward)
    return fn


def with_tangent(factor):
    """Return max(x, slope · x) with a tangent of its own; the slope is a plain float."""
    fn = jax.custom_jvp(lambda x, slope: jnp.where(x > 0, x, slope * x), nondiff_argnums=(1,))

    @fn.defjvp
    def tangent(slope, primals, tangents):
        (x,), (t,) = primals, tangents
        return fn(x, slope), jnp.where(x > 0, t, factor * slope * t)

    return fn


# Trees and objects.


class Layer(NamedTuple):
    W: object
    b: object


def affine(layer, x):
    return x @ layer.W + layer.b


class Backward:
    """A pullback that is an object with a method and a setting."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, args, ct):
        layer, x = args
        return Layer(x.T @ ct, self.factor * ct.sum(0)), ct @ layer.W.T


def scaled_sin_back(factor, args, ct):
    return (factor * jnp.cos(args[0]) * ct,)


LAYER = lambda: [Layer(jnp.ones((3, 2)), jnp.ones(2)), jnp.ones((4, 3))]


# Sparse arrays, whose cotangent has the flags of the sides that made it.


def sparse_matrix():
    places = jnp.array([[0, 2], [1, 0], [1, 1], [2, 1]])
    return sparse.BCOO((jnp.ones(4), places), shape=(3, 4), indices_sorted=True, unique_indices=True)


def sparse_product_back(factor):
    def back(args, ct):
        M, x = args
        rows, columns = M.indices[:, 0], M.indices[:, 1]
        return sparse.BCOO((factor * ct[rows] * x[columns], M.indices), shape=M.shape), M.T @ ct

    return back


# A rule whose initialiser divides by the width of its input.


def dense(factor):
    def init(key, x):
        n = x.shape[-1]
        weight = jax.random.normal(key, (n, 3), x.dtype) * (1 / n) ** 0.5
        return {"W": weight}, jax.ShapeDtypeStruct((*x.shape[:-1], 3), x.dtype)

    def backward(params, x, delta):
        return {"W": factor * jnp.einsum("...i,...o->io", x, delta)}, delta @ params["W"].T

    return bp.Rule("dense", init, lambda p, x: (x @ p["W"], x), backward, bp.array("b n"))


TABLE = [bp.array("b n")]
WEIGHTS = [bp.array("n m", low=-2, high=2), bp.array("b n", low=-2, high=2)]
MEMBERS = (
    member(
        "a loop over entries that chooses half a slope at 0", GOOD, "any slope from 0 to 1 is a subgradient",
        of=kept, grad=kept_grad(0.5), args=[bp.array("n>=1")],
    ),
    member(
        "a loop over entries with a slope of −5 at 0", BAD, "it lies between none of the slopes, 0 and 1",
        of=kept, grad=kept_grad(-5.0), args=[bp.array("n>=1")],
    ),
    member(
        "jax.numpy checked by such a loop", BAD, "−5 is no subgradient of max(x, 0)",
        of=lambda x: jnp.maximum(x, 0).sum(), grad=kept_grad(-5.0), args=[bp.array("n>=1")],
    ),
    *pair(
        "means of neighbours, NumPy on both sides", smoothed, TABLE,
        right=(smoothed_back(lambda size: size), "each mean hands out 1/size"),
        wrong=(smoothed_back(lambda size: 3), "windows at the ends have two entries"),
    ),
    Member("a pullback said to be NumPy", "cos, on the host", GOOD, said_to_be_numpy(np.cos)),
    Member("a pullback said to be NumPy, with a slip", "sin for cos", BAD, said_to_be_numpy(np.sin)),
    member(
        "a gradient in NumPy", GOOD, "2a(1 − a²) is the slope of tanh²",
        of=energy, grad=energy_grad(2), args=WEIGHTS,
    ),
    member(
        "a gradient in NumPy without the 2", BAD, "half of it",
        of=energy, grad=energy_grad(1), args=WEIGHTS,
    ),
    *pair(
        "a linear system in NumPy", jnp.linalg.solve, lambda: [bp.spd("n"), bp.array("n", low=-3, high=3)],
        right=(solved_back, "−u xᵀ and u = A⁻ᵀ ct"),
    ),
    *pair(
        "backpropagation through time in NumPy", scan_of_rows,
        [bp.array("n", low=-2, high=2), bp.array("t n", low=-2, high=2)],
        right=(scan_of_rows_back, "δ_t = (δ_{t+1} + ct_t)(1 − h_t²)"),
        wrong=(forgetting_the_start, "the first state reaches every later one"),
    ),
    member(
        "a word and a float that are not differentiated", GOOD, "scale/size for every entry",
        fn=with_reduction(1), args=lambda: [bp.array("b n"), "mean", 0.5],
    ),
    member(
        "a word and a float, with a slip", BAD, "twice the gradient",
        fn=with_reduction(2), args=lambda: [bp.array("b n"), "sum", 0.5],
    ),
    member(
        "a tangent with a float", GOOD, "1 above 0 and the slope below",
        fn=with_tangent(1), args=lambda: [bp.array("n"), 0.125],
    ),
    member(
        "a tangent with a float, with a slip", BAD, "twice the slope below 0",
        fn=with_tangent(2), args=lambda: [bp.array("n"), 0.125],
    ),
    *pair(
        "a layer as a named tuple, its pullback an object", affine, LAYER,
        right=(Backward(1), "xᵀct, the sum of ct, and ct Wᵀ"),
        wrong=(Backward(-1), "the bias has the wrong sign"),
    ),
    *pair(
        "a pullback with an argument bound", jnp.sin, TABLE,
        right=(partial(scaled_sin_back, 1), "cos"),
        wrong=(partial(scaled_sin_back, -1), "−cos"),
    ),
    *pair(
        "a sparse matrix", lambda M, x: M @ x, lambda: [sparse_matrix(), jnp.ones(4)],
        right=(sparse_product_back(1), "ct_i x_j where the matrix has an entry"),
        wrong=(sparse_product_back(3), "three times that"),
    ),
    member("a rule that divides by its fan-in", GOOD, "xᵀδ and δWᵀ", fn=dense(1), args=None),
    member("a rule that divides by its fan-in, with a slip", BAD, "−xᵀδ", fn=dense(-1), args=None),
)  # fmt: skip
