"""NumPy code by hand, NumPy code on both sides, and what is reported about either."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import backproof as bp
from agreement import assert_agrees
from backproof.verification import Verdict
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.claims.numpy_in_jax import numpy_in_jax

pytestmark = pytest.mark.as_user
N, BN, NM = bp.array("n"), bp.array("b n"), bp.array("n m")
BN1 = bp.array("b n+1")


def verified(of, args, **how):
    return bp.verify(of=of, args=args, **{"examples": 30, "dtypes": (), **how})


def dense(x, w):
    return jnp.tanh(x @ w)


def dense_back(args, ct, slip=1.0):
    x, w = (np.asarray(a) for a in args)
    d = np.array(ct)
    d *= 1 - slip * np.tanh(x @ w) ** 2
    dx = np.zeros_like(x)
    for i in range(w.shape[1]):
        dx += np.outer(d[:, i], w[:, i])
    return dx, x.T @ d


@pytest.mark.smoke
def test_a_pullback_in_numpy_is_found_and_called_on_the_host():
    report = verified(dense, [BN, NM], vjp=dense_back, dtypes=("float32",))
    assert report.verdict is Verdict.AGREES
    assert any("NumPy code: it is called on the host" in note for note in report.notes)
    report = verified(dense, [BN, NM], vjp=functools.partial(dense_back, slip=1.001))
    assert report.verdict is Verdict.WRONG


def test_a_mask_in_numpy_gives_a_subgradient_at_kinks():
    def masked(args, ct):
        d = np.array(ct)
        d[args[0] <= 0] = 0
        return (d,)

    report = verified(lambda x: jnp.maximum(x, 0), [BN], vjp=masked, dtypes=("float32",))
    assert report.verdict in (Verdict.AGREES, Verdict.SUBGRADIENT)


def test_a_gradient_and_a_tangent_may_be_numpy_code():
    loss = lambda x: jnp.sum(jnp.sin(x))
    assert verified(loss, [N], grad=lambda x: np.cos(x)).verdict is Verdict.AGREES
    assert verified(loss, [N], grad=lambda x: -np.cos(x)).verdict is Verdict.WRONG
    assert verified(jnp.sin, [N], jvp=lambda a, t: np.cos(a[0]) * t[0]).verdict is Verdict.AGREES
    assert verified(jnp.sin, [N], jvp=lambda a, t: np.cos(t[0]) * a[0]).verdict is Verdict.WRONG


def test_numpy_code_that_writes_into_its_arguments_is_found():
    def in_place(args, ct):
        ct *= np.cos(args[0])
        return (ct,)

    report = verified(jnp.sin, [N], vjp=in_place)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-mutates")
    assert "it changes its direction in place" in report.explanation


def test_what_numpy_code_raises_is_reported_in_its_own_words():
    def refuses(args, ct):
        if args[0].size > 1:
            raise ValueError("no such size")
        return (np.cos(args[0]) * ct,)

    report = verified(jnp.sin, [N], vjp=refuses)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-raises")
    assert "ValueError: no such size" in report.explanation


@pytest.mark.parametrize(
    ("cause", "form"),
    [
        ("contract-tree", lambda g: (g, g)),
        ("contract-shape", lambda g: (g.sum(),)),
        ("contract-dtype", lambda g: (g.astype(int),)),
        ("contract-dtype", lambda g: (g + 0j,)),
    ],
)
def test_the_form_of_a_numpy_result_is_held_to_the_contract(cause, form):
    report = verified(jnp.sin, [N], vjp=lambda args, ct: form(np.cos(args[0]) * ct))
    assert (report.verdict, report.cause) == (Verdict.WRONG, cause)


def test_a_float64_result_of_numpy_is_as_good_as_one_in_float32():
    report = verified(jnp.sin, [N], vjp=lambda a, ct: (np.float64(np.cos(a[0])) * ct,), dtypes=("float32",))
    assert report.verdict is Verdict.AGREES


def test_code_that_jax_can_trace_is_called_on_the_host_where_the_caller_says_so():
    report = verified(jnp.sin, [N], vjp=bp.host(lambda a, ct: (ct * (1 - 2 * (a[0] > 0)),)))
    assert report.verdict is Verdict.WRONG
    assert any("NumPy code" in note for note in report.notes)


def test_what_is_no_array_of_numbers_is_said_to_be_none():
    objects = lambda a, ct: (
        np.array([c * math.cos(v) for c, v in zip(ct, a[0], strict=True)], dtype=object),
    )
    report = verified(np.sin, [N], vjp=objects)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-raises")
    assert "array of Python objects" in report.explanation
    with pytest.raises(bp.UsageError, match=r"must return arrays of real numbers.* dtype object"):
        verified(lambda x: np.array([math.sin(v) for v in x], dtype=object), [N], vjp=objects)


def test_a_function_in_numpy_that_raises_is_a_usage_error():
    def raising(x):
        raise KeyError(np.asarray(x).shape)

    with pytest.raises(bp.UsageError, match=r"raising at float\d+\[1\]: .* must run .* KeyError"):
        verified(raising, [N], vjp=lambda a, ct: (ct,))


def test_code_of_jax_that_cannot_be_traced_is_no_numpy_code():
    def branching(args, ct):
        return (jnp.where(ct.sum() > 0, 1.0, -1.0) if ct.sum() > 0 else jnp.cos(args[0]) * ct,)

    report = verified(jnp.sin, [N], vjp=branching)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-raises")
    assert not is_numpy_code(branching, ValueError("no rows"))


# Functions in NumPy, each with its pullback in NumPy and a slip in it.
def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def softmax_back(args, ct, slip):
    s = softmax(args[0])
    return (s * (ct - slip * (ct * s).sum(axis=1, keepdims=True)),)


def convolved(x):
    kernel, out = np.array([1.0, 2.0, -1.0]), np.zeros(x.shape[0] + 2)
    for i in range(x.shape[0]):
        out[i : i + 3] += x[i] * kernel
    return out


def convolved_back(args, ct, slip):
    kernel, dx = np.array([1.0, 2.0, -slip]), np.zeros_like(args[0])
    for i in range(len(dx)):
        dx[i] = ct[i : i + 3] @ kernel
    return (dx,)


def leaky(x):
    out = x.copy()
    out[x < 0] *= 0.1
    return out


def leaky_back(args, ct, slip):
    return (np.where(args[0] < 0, 0.1 * slip * ct, ct),)


def cross_entropy(z, y):
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -logp[np.arange(len(y)), y].mean()


def cross_entropy_back(args, ct, slip):
    p, y = softmax(args[0]), args[1]
    p[np.arange(len(y)), y] -= slip
    return ct * p / len(y), None


def recurrent(x):
    h, hs = np.zeros(3), []
    for t in range(len(x)):
        h = np.tanh(h + x[t])
        hs.append(h)
    return np.stack(hs) if hs else np.zeros((0, 3))


def recurrent_back(args, ct, slip):
    hs, dx, carry = recurrent(args[0]), np.zeros_like(args[0]), np.zeros(3)
    for t in range(len(hs))[::-1]:
        carry = (slip * carry + ct[t]) * (1 - hs[t] ** 2)
        dx[t] = carry
    return (dx,)


def gathered(x, i):
    return np.einsum("bn,bn->b", x[i], np.sin(x[i]))


def gathered_back(args, ct, slip):
    x, i = args
    dx = np.zeros_like(x)
    np.add.at(dx, i, ct[:, None] * (np.sin(x[i]) + slip * x[i] * np.cos(x[i])))
    return dx, None


def solved(a, b):
    return np.linalg.solve(a @ a.T + 3 * np.eye(a.shape[0]), b)


def solved_back(args, ct, slip):
    a, b = args
    m = a @ a.T + 3 * np.eye(a.shape[0])
    u = np.linalg.solve(m.T, ct)
    g = -np.outer(u, np.linalg.solve(m, b))
    return (g + slip * g.T) @ a, u


def viewed(x):
    out = np.zeros((2, x.shape[0]))
    row = out[0]
    row[:] = x * 2
    out[1] = row + scipy.special.expit(x)
    return out


def viewed_back(args, ct, slip):
    s = scipy.special.expit(args[0])
    return (2 * ct[0] + ct[1] * (2 + slip * s * (1 - s)),)


def summed(x):
    total = 0.0
    for v in x:
        total = total + math.exp(v) * math.sin(v)
    return total


def summed_back(args, ct, slip):
    return (np.array([ct * math.exp(v) * (math.sin(v) + slip * math.cos(v)) for v in args[0]]),)


IN_NUMPY = {
    "softmax": (softmax, softmax_back, [BN1]),
    "convolved": (convolved, convolved_back, [bp.array("n+1")]),
    "leaky": (leaky, leaky_back, [BN]),
    "cross_entropy": (cross_entropy, cross_entropy_back, [bp.array("b+1 v+1"), bp.integers("b+1", 0, "v")]),
    "recurrent": (recurrent, recurrent_back, [bp.array("t 3")]),
    "gathered": (gathered, gathered_back, [bp.array("v+1 n"), bp.integers("b", 0, "v")]),
    "solved": (solved, solved_back, [bp.array("n n", low=-3, high=3), bp.array("n", low=-3, high=3)]),
    "viewed": (viewed, viewed_back, [N]),
    "summed": (summed, summed_back, [bp.array("n+1", low=-5, high=5)]),
}


@pytest.mark.parametrize("name", IN_NUMPY)
def test_numpy_on_both_sides_is_judged(name):
    of, back, args = IN_NUMPY[name]
    right = verified(of, args, vjp=lambda a, ct: back(a, ct, 1.0), examples=8)
    assert right.ok, str(right)
    wrong = verified(of, args, vjp=lambda a, ct: back(a, ct, 0.9), examples=8)
    assert wrong.verdict is Verdict.WRONG, str(wrong)


def branching(x):
    out = np.zeros_like(x)
    for i in range(len(x)):
        if x[i] > 0:
            out[i] = x[i] ** 2
    return out


def stopping(x):
    total, k = 0.0, 0
    while k < len(x) and total < 2.0:
        total, k = total + np.exp(x[k]), k + 1
    return total


def stopping_back(args, ct, slip):
    x, d, total, k = args[0], np.zeros_like(args[0]), 0.0, 0
    while k < len(x) and total < 2.0:
        d[k] = slip * ct * math.exp(x[k])
        total, k = total + math.exp(x[k]), k + 1
    return (d,)


def largest(x):
    return max(x[0], x[1]) * x[int(np.argmax(x))]


def largest_back(args, ct, slip):
    x, d = args[0], np.zeros_like(args[0])
    d[0 if x[0] >= x[1] else 1] += slip * x.max()
    d[np.argmax(x)] += max(x[0], x[1])
    return (ct * d,)


DECIDING = {
    "branching": (branching, lambda a, ct, slip: (np.where(a[0] > 0, slip * 2 * a[0] * ct, 0),), [N]),
    "stopping": (stopping, stopping_back, [bp.array("n", low=-4, high=4)]),
    "largest": (largest, largest_back, [bp.array("3")]),
}


@pytest.mark.long
@pytest.mark.parametrize("name", DECIDING)
def test_numpy_code_that_decides_by_values_is_judged_along_each_path(name):
    of, back, args = DECIDING[name]
    right = verified(of, args, vjp=lambda a, ct: back(a, ct, 1.0), examples=8)
    assert right.ok, str(right)
    assert any("decides by values" in note for note in right.notes)
    wrong = verified(of, args, vjp=lambda a, ct: back(a, ct, 0.9), examples=8)
    assert wrong.verdict is Verdict.WRONG, str(wrong)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.concatenate([x[:1], np.diff(x)]).cumsum(),
        lambda x: np.add.reduce(np.multiply.outer(x, x), axis=1),
        lambda x: np.clip(x, a_min=-1, a_max=1) + np.full_like(x, 2.0) + np.asarray([x[0], 1.0, x[2]]),
        lambda x: np.array([np.sort(x)[i] for i in range(3)], dtype=float).astype(np.float64),
        lambda x: x / np.linalg.norm(x) + np.ones(3) @ np.diag(x),
        lambda x: np.stack([v for _, v in np.ndenumerate(x)])[[2, 0, 1]],
        lambda x: np.vstack([x, 2 * x]).T[:, 1].reshape(3, 1).mean(axis=1),
        lambda x: np.where(x > 0, x, np.expm1(x)) * (x[x > 0].sum()),
    ],
)
def test_numpy_code_run_on_arrays_of_jax_has_the_same_values(function):
    x = np.array([0.5, -1.5, 2.0])
    assert_agrees(numpy_in_jax(function), lambda _: jnp.asarray(function(x)), x)
