"""Each primitive of the NumPy table with each of its parameters, and at numbers where libraries differ.

A row is the primitive's name, a function whose program has it, and the arguments.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

RNG = np.random.default_rng(1)
X = RNG.standard_normal((3, 4))
Y = RNG.standard_normal((3, 4))
Z = RNG.standard_normal((2, 3, 4))
C = X + 1j * Y
INTS = RNG.integers(-5, 6, (3, 4))
TIES = np.round(X)
EDGES = np.array([np.nan, np.inf, -np.inf, 1e20, -1e20, -1.5, 300.7, 2.5, 0.0, -0.0])
HALVES = np.array([0.49999999999999994, -0.5, 0.5, 1.5, 2.5, -0.2, 2.0**52 + 1, -(2.0**52) - 1, np.inf])
BYTES = np.array([5, -5, 0, -128, 7], np.int8)
DIVISORS = np.array([0, 0, 0, -1, -2], np.int8)
EMPTY = np.zeros((0, 3))
WEIGHTS = np.array([1.0, 2.0, 3.0])
BATCHED = RNG.integers(-2, 6, (3, 5, 1))  # some out of range
DTYPES = (
    "int8",
    "uint8",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
    "float16",
    "bfloat16",
    "float32",
    "complex64",
)
PROMISED = lax.GatherScatterMode.PROMISE_IN_BOUNDS  # rows break it: XLA reads the nearest, and writes nothing
MODES = (lax.GatherScatterMode.CLIP, lax.GatherScatterMode.FILL_OR_DROP, PROMISED)


def gathered(offset, collapsed, starts, sizes, batch=((), ()), **more):
    numbers = lax.GatherDimensionNumbers(offset, collapsed, starts, *batch)
    return lambda x, i: tuple(lax.gather(x, i, numbers, sizes, mode=mode, **more) for mode in MODES)


def scattered(f, window, inserted, to, batch=((), ()), sizes=None):
    numbers = lax.ScatterDimensionNumbers(window, inserted, to, *batch)
    return lambda x, i, u: tuple(f(x, i, u, numbers, mode=mode) for mode in MODES)


# Two places of each row of a batch, whole rows, and windows that hang over the edge.
PLACES = gathered((), (1,), (1,), (1, 1), ((0,), (0,)))
WINDOWS = gathered((1, 2), (), (0, 1), (2, 2))
TURNED = gathered((0,), (1,), (1,), (3, 1))
CORNERS = np.array([[0, 0], [1, 2], [2, 3], [-1, 0]])
COLUMNS = np.array([[1], [7], [-1]])

SCATTERS = {
    "scatter": lax.scatter, "scatter-add": lax.scatter_add, "scatter-mul": lax.scatter_mul,
    "scatter-max": lax.scatter_max, "scatter-min": lax.scatter_min, "scatter-sub": lax.scatter_sub,
}  # fmt: skip

CONV_X = RNG.standard_normal((2, 4, 5, 6))  # N C H W
CONV_K = RNG.standard_normal((6, 4, 2, 3))  # O I H W
THIRDS = RNG.standard_normal((6, 2, 2, 3))


def conv(strides=(1, 1), padding=((0, 0), (0, 0)), **more):
    return lambda x, k: lax.conv_general_dilated(x, k, strides, padding, **more)


def window(computation, empty, sides=(2, 2), **more):
    settings = {"window_strides": (1, 1), "padding": ((0, 0), (0, 0)), **more}
    return lambda x: lax.reduce_window(x, np.asarray(empty, x.dtype), computation, sides, **settings)


WINDOW_SETTINGS = (
    {}, {"window_strides": (2, 1)}, {"padding": ((1, 0), (2, 1))}, {"base_dilation": (2, 3)},
    {"window_dilation": (2, 2)}, {"padding": "SAME"}, {"sides": (1, 3)}, {"padding": ((1, 2), (0, 1)), "window_dilation": (1, 3), "base_dilation": (2, 1), "window_strides": (2, 2)},
)  # fmt: skip

ROWS = [
    *[("convert_element_type", lambda x, d=d: x.astype(d), x) for d in DTYPES for x in (EDGES, X, INTS.astype(np.int16))],
    ("convert_element_type", lambda x: (lax.convert_element_type(x, jnp.int32), lax.convert_element_type(x, bool)), C),
    ("convert_element_type", lambda x: x.astype(jnp.bfloat16).astype(jnp.int8), EDGES),
    ("round", lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO), HALVES),
    ("round", lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), HALVES),
    ("div", lax.div, BYTES, DIVISORS), ("div", lax.div, np.abs(BYTES).view(np.uint8), np.array([0, 1, 2, 3, 0], np.uint8)),
    ("div", lax.div, np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])), ("div", lax.div, C, C[::-1]),
    ("rem", lax.rem, BYTES, DIVISORS), ("rem", lax.rem, X * 5, Y),
    ("pow", lambda x: lax.pow(x.astype(jnp.float32), np.arange(-2, 10).reshape(3, 4)), X), ("pow", lax.pow, C, C[::-1]),
    ("integer_pow", lambda x: tuple(lax.integer_pow(x, y) for y in (-3, -2, 2, 3, 7)), X),
    ("integer_pow", lambda x: lax.integer_pow(x, 3), INTS), ("integer_pow", lambda x: lax.integer_pow(x, -2), C),
    ("complex", lax.complex, EDGES, EDGES[::-1]), ("complex", lambda x: jax.grad(lambda z: (jnp.imag(z) ** 2 + jnp.real(z)).sum())(x), C), ("conj", lax.conj, X), ("conj", lax.conj, C),
    ("sign", lax.sign, C), ("sign", lax.sign, EDGES), ("abs", lax.abs, C), ("is_finite", lax.is_finite, EDGES),
    ("rsqrt", lax.rsqrt, C), ("logistic", lax.logistic, EDGES * 20), ("log1p", jnp.log1p, C), ("expm1", jnp.expm1, C),
    ("square", lax.square, INTS), ("not", lax.bitwise_not, np.array([True, False])),
    ("max", lax.max, EDGES, EDGES[::-1]), ("min", lax.min, EDGES, EDGES[::-1]), ("max", lax.max, C, C[::-1]),
    ("clamp", lambda x, lo, hi: lax.clamp(lo, x, hi), X, -0.3, 0.2), ("clamp", lambda x, lo, hi: lax.clamp(lo, x, hi), EDGES, -1.0, 2.0),
    ("clamp", lambda x, lo, hi: lax.clamp(lo, x, hi), X, Y - 0.5, Y + 0.5), ("clamp", lambda x: lax.clamp(-2, x, 2), INTS),
    ("select_n", lambda x: lax.select_n(jnp.clip(INTS, -3, 4).astype(jnp.int32), x, 2 * x, 3 * x), X),
    ("select_n", lambda x, y: lax.select_n(jnp.asarray(True), x, y), X, Y),
    ("broadcast_in_dim", lambda x: lax.broadcast_in_dim(x, (3, 2, 4), (0, 2)), X), ("broadcast_in_dim", lambda x: lax.broadcast_in_dim(x[:1], (5, 4), (0, 1)), X),
    ("reshape", lambda x: tuple(lax.reshape(x, s, d) for s in ((24,), (4, 6)) for d in (None, (2, 0, 1), (1, 2, 0))), Z),
    ("transpose", lambda x: tuple(jnp.transpose(x, p) for p in ((2, 0, 1), (1, 0, 2))), Z),
    ("squeeze", lambda x: (lax.squeeze(x[None, :, None], (0, 2)), lax.squeeze(x[None, None], (0,))), X), ("rev", lambda x: (lax.rev(x, (0, 2)), lax.rev(x, (1,))), Z),
    ("slice", lambda x: lax.slice(x, (0, 1, 0), (2, 3, 4), (1, 2, 3)), Z), ("slice", lambda x: lax.slice(x, (1, 1), (1, 3)), X),
    *[("dynamic_slice", lambda x, i: lax.dynamic_slice(x, (i, i), (2, 3)), np.zeros((300, 9)), np.asarray(i)) for i in (np.uint8(3), np.int8(-7), np.int64(2**40))],
    *[("dynamic_update_slice", lambda x, y, i: lax.dynamic_update_slice(x, y, (i, i)), X, Y[:2, :3], np.asarray(i)) for i in (np.uint8(200), np.int8(-7), np.int32(1))],
    ("concatenate", lambda x, y: tuple(lax.concatenate([x, y, x], d) for d in (0, 1)), X, Y), ("split", lambda x: (lax.split(x, (1, 0, 3), 1), lax.split(x, (3, 1), 1), lax.split(x, (2, 1), 0)), X),
    *[("pad", lambda x, c=c: lax.pad(x, 0.5, c), X) for c in (((1, 2, 0), (0, 0, 3)), ((-1, -1, 2), (2, -3, 1)), ((-3, 0, 0), (0, 0, 0)), ((-4, 1, 2), (1, 1, 0)))],
    ("pad", lambda x: lax.pad(x, 0.5, ((2, -1, 3), (0, 1, 0))), EMPTY), ("pad", lambda x: lax.pad(x.astype(jnp.int8), np.int8(7), ((1, 0, 0), (0, 1, 1))), X),
    *[("iota", lambda x, d=d, a=a: lax.broadcasted_iota(d, (300, 3), a) + x.astype(d), 0.0) for d in ("int8", "uint8", "int64", "float32", "bfloat16", "float64", "complex64") for a in (0, 1)],
    *[("dot_general", lambda x, y, n=n: lax.dot_general(x, y, n), Z, Z + 1) for n in ((((2,), (2,)), ((), ())), (((1, 2), (1, 2)), ((0,), (0,))), (((0,), (0,)), ((2, 1), (2, 1))), (((), ()), ((0,), (0,))), (((2, 1), (2, 1)), ((), ())))],
    ("dot_general", lambda x: lax.dot(x, x.T, preferred_element_type=jnp.int32), np.full((2, 3), 100, np.int8)), ("dot_general", lambda x: lax.dot(x, x.T), np.full((2, 3), 100, np.int8)),
    ("dot_general", lambda x: lax.dot(x.astype(jnp.float32), x.T.astype(jnp.float32), preferred_element_type=jnp.float64), np.array([[1e8, 1.0, 3.0]])),
    ("dot_general", lambda x: lax.dot(x.astype(jnp.bfloat16), x.T.astype(jnp.bfloat16), preferred_element_type=jnp.float32), X),
    ("dot_general", lambda x: lax.dot(x, x.T), np.array([[True, True], [False, True]])), ("dot_general", lambda x: lax.dot(x, x.T, precision="highest"), X), ("dot_general", lambda x: lax.dot(x, x.T), C), ("dot_general", lambda x: lax.dot(x, x.T), EMPTY.T),
    *[(f"reduce_{name}", lambda x, f=f, a=a: f(x, axes=a), Z) for name, f in (("sum", lax.reduce_sum), ("prod", lax.reduce_prod), ("max", lax.reduce_max), ("min", lax.reduce_min)) for a in ((0,), (2,), (0, 2), (0, 1, 2), (1, 2))],
    *[(f"reduce_{name}", lambda x, f=f: f(x, axes=(0,)), e) for name, f in (("max", lax.reduce_max), ("min", lax.reduce_min)) for e in (EMPTY, EMPTY.astype(np.int32), EMPTY.astype(bool), EMPTY.astype(np.uint8), EDGES, C)],
    ("reduce_prod", lambda x: lax.reduce_prod(x, axes=(0,)), np.full((9, 2), 3, np.int8)), ("reduce_sum", lambda x: lax.reduce_sum(x, axes=(0,)), EMPTY),
    *[(f"reduce_{name}", lambda x, f=f, e=e: lax.reduce(x, np.asarray(e, x.dtype), f, (0,)), x) for name, f, e in (("and", lax.bitwise_and, -1), ("or", lax.bitwise_or, 0), ("xor", lax.bitwise_xor, 0)) for x in (INTS, INTS[:0])],
    ("reduce_xor", lambda x: lax.reduce(x, False, lax.bitwise_xor, (1,)), INTS > 0), ("reduce_and", lambda x: lax.reduce_and(x, axes=(0, 1)), INTS > 0), ("reduce_or", lambda x: lax.reduce_or(x, axes=(1,)), INTS > 4),
    *[(f"arg{name}", lambda x, f=f, a=a, d=d: f(x, a, d), x) for name, f in (("max", lax.argmax), ("min", lax.argmin)) for a in (0, 1) for d in (jnp.int32, jnp.uint8) for x in (TIES, INTS > 0, np.where(TIES == 0, np.nan, TIES))],
    ("argmax", lambda x: lax.argmax(x.astype(jnp.bfloat16), 0, jnp.int32), X),
    *[(f"cum{name}", lambda x, f=f, a=a, r=r: f(x, axis=a, reverse=r), Z) for name, f in (("sum", lax.cumsum), ("prod", lax.cumprod), ("max", lax.cummax), ("min", lax.cummin), ("logsumexp", lax.cumlogsumexp)) for a in (0, 2) for r in (False, True)],
    ("cumsum", lambda x: lax.cumsum(x, 0), np.full((200, 2), 1, np.int8)), ("cummax", lax.cummax, EDGES), ("cumlogsumexp", lax.cumlogsumexp, np.array([-np.inf, -np.inf, 1.0, np.inf])), ("cumsum", lambda x: lax.cumsum(x, 0), EMPTY),
    *[("sort", lambda x, y, d=d, k=k: lax.sort((x, jnp.abs(y), y), dimension=d, num_keys=k), TIES, np.round(Y)) for d in (0, 1) for k in (1, 2, 3)],
    ("sort", lax.sort, EDGES), ("sort", lambda x: lax.sort(x.astype(jnp.bfloat16)), X), ("sort", lax.sort, C), ("sort", lambda x: lax.sort((x, jnp.arange(10)), is_stable=False), EDGES), ("sort", lax.sort, INTS > 0), ("sort", lambda x: lax.sort(x, dimension=0), EMPTY),
    ("gather", PLACES, X, BATCHED), ("gather", WINDOWS, X, CORNERS), ("gather", gathered((), (0, 1), (0, 1), (1, 1)), X, CORNERS[1]), ("gather", gathered((), (0, 1), (0, 1), (1, 1)), X, CORNERS[3]), ("gather", TURNED, X, COLUMNS), ("gather", gathered((1,), (0,), (0,), (1, 4), fill_value=-7.0), X, COLUMNS),
    ("gather", gathered((1,), (0,), (0,), (1, 4)), INTS, COLUMNS), ("gather", gathered((1,), (0,), (0,), (1, 4)), INTS > 0, COLUMNS), ("gather", gathered((1,), (0,), (0,), (1, 4)), C, COLUMNS), ("gather", gathered((1,), (0,), (0,), (1, 4)), INTS.astype(np.uint8), COLUMNS.astype(np.uint8)),
    ("gather", gathered((0, 2), (1,), (1, 2), (2, 1, 2)), Z, CORNERS), ("gather", lambda x, i: jnp.take_along_axis(x, i, 1), X, np.array([[0, -1], [3, 3], [9, 1]])), ("gather", jax.vmap(lambda x, i: x[i]), X, np.array([1, 3, -1])),
    *[(name, scattered(f, (), (1,), (1,), ((0,), (0,))), X, BATCHED, RNG.standard_normal((3, 5))) for name, f in SCATTERS.items() if name != "scatter"],
    *[(name, scattered(f, (1, 2), (), (0, 1)), X, CORNERS, RNG.standard_normal((4, 2, 2))) for name, f in SCATTERS.items()],
    *[(name, scattered(f, (0,), (1,), (1,)), X, COLUMNS, RNG.standard_normal((3, 3))) for name, f in SCATTERS.items()],
    *[(name, scattered(f, (1,), (0,), (0,)), X, np.array([[1], [1], [1]]), RNG.standard_normal((3, 4))) for name, f in SCATTERS.items() if name != "scatter"],
    ("scatter-add", scattered(lax.scatter_add, (1,), (0,), (0,)), INTS, COLUMNS, INTS[:3]), ("scatter-add", lambda x, i: x.astype(jnp.bfloat16).at[i].add(1), X, np.array([0, 0, 2])),
    *[("conv_general_dilated", f, CONV_X, CONV_K) for f in (conv(), conv((2, 1)), conv(padding=((1, 2), (-1, 3))), conv(padding="SAME"), conv((1, 2), lhs_dilation=(2, 3)), conv(rhs_dilation=(2, 2)), conv((2, 3), ((2, 1), (0, 4)), lhs_dilation=(1, 2), rhs_dilation=(3, 1)))],
    ("conv_general_dilated", conv(feature_group_count=2), CONV_X, THIRDS), ("conv_general_dilated", conv(feature_group_count=2, padding="SAME", rhs_dilation=(1, 2)), CONV_X, THIRDS), ("conv_general_dilated", conv(batch_group_count=2), CONV_X, CONV_K), ("conv_general_dilated", conv(feature_group_count=4), CONV_X, RNG.standard_normal((8, 1, 2, 2))),
    ("conv_general_dilated", conv(dimension_numbers=("NHWC", "HWIO", "NHWC"), padding="SAME"), CONV_X, RNG.standard_normal((2, 3, 6, 7))), ("conv_general_dilated", conv(dimension_numbers=("CHNW", "IOHW", "HWNC")), CONV_X, RNG.standard_normal((2, 7, 2, 3))), ("conv_general_dilated", conv(dimension_numbers=("NHWC", "HWIO", "HNCW")), CONV_X, RNG.standard_normal((2, 3, 6, 7))),
    ("conv_general_dilated", lambda x, k: lax.conv_transpose(x, k, (2, 2), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")), CONV_X, CONV_K), ("conv_general_dilated", jax.vmap(conv(), (None, 0)), CONV_X, np.stack([CONV_K, 2 * CONV_K])), ("conv_general_dilated", conv(), CONV_X[:, :, :1], CONV_K), ("conv_general_dilated", conv(), CONV_X[:0], CONV_K),
    ("conv_general_dilated", lambda x, k: lax.conv_general_dilated(x, k, (1,), "SAME", preferred_element_type=jnp.float32), X[None].astype(jnp.bfloat16), RNG.standard_normal((2, 3, 3)).astype(jnp.bfloat16)), ("conv_general_dilated", jax.grad(lambda x, k: (conv((2, 2), "SAME")(x, k) ** 2).sum(), (0, 1)), CONV_X, CONV_K), ("conv_general_dilated", jax.grad(lambda x, k: (conv(feature_group_count=2)(x, k) ** 2).sum(), (0, 1)), CONV_X, THIRDS),
    *[(f"reduce_window_{name}", window(f, e, **s), X) for name, f, e in (("sum", lax.add, 0), ("max", lax.max, -np.inf), ("min", lax.min, np.inf)) for s in WINDOW_SETTINGS],
    ("reduce_window_max", window(lax.max, np.iinfo(np.int64).min, padding="SAME"), INTS), ("reduce_window_sum", window(lax.add, 0), INTS.astype(np.int8)), ("reduce_window_min", window(lax.min, np.iinfo(np.int64).max, padding="SAME"), INTS), ("reduce_window_sum", window(lax.add, 0), X[:1]),
]  # fmt: skip

# Parameters that no entry knows: JAX itself runs these operations.
LEFT_TO_JAX = [
    ("scatter", lambda x: x.at[np.array([0, 2])].apply(jnp.sin), X),
    ("mul", lambda x: lax.mul(x.astype(jnp.float32), x.astype(jnp.float32), out_dtype=jnp.float64), X),
]  # fmt: skip
