"""Members of the kind "the machinery itself": operations with parameters, programs inside, random numbers."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtr
from jax.sharding import PartitionSpec
from member import GOOD, member, pair

import backproof as bp

# Each function uses an operation whose parameters change its meaning; the pullback is written without it.


def padded_and_cropped(x):
    """Put two zeros between entries and one in front, and cut the last entry off."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(1, -1, 2)])


def windows_of_two(x):
    """Return means over pairs of columns; the last pair of an odd number has one entry."""
    total, count = (lax.reduce_window(v, 0.0, lax.add, (1, 2), (1, 2), "SAME") for v in (x, jnp.ones_like(x)))
    return total / count


def back_to_columns(ct, count):
    return jnp.repeat(ct / count, 2, axis=1)


def pairs_back(args, ct):
    (x,) = args
    n = x.shape[1]
    count = jnp.minimum(2, n - 2 * jnp.arange((n + 1) // 2)).astype(x.dtype)
    return (back_to_columns(ct, count)[:, :n],)


def grouped(x, k):
    return lax.conv_general_dilated(
        x, k, (2,), [(1, 2)], lhs_dilation=(2,), rhs_dilation=(3,), feature_group_count=2
    )


def by_matrix(x, k):
    """Return the same convolution as explicit sums over the taps."""
    spread = jnp.zeros((*x.shape[:2], 2 * x.shape[2] - 1), x.dtype).at[:, :, ::2].set(x)
    spread = jnp.pad(spread, ((0, 0), (0, 0), (1, 2)))
    length = (spread.shape[2] - 3 * (k.shape[2] - 1) - 1) // 2 + 1
    half = x.shape[1] // 2
    out = []
    for o in range(k.shape[0]):
        start = half * (o // (k.shape[0] // 2))
        taps = (
            spread[:, start + i, 3 * t : 3 * t + 2 * length - 1 : 2] * k[o, i, t]
            for i in range(half)
            for t in range(k.shape[2])
        )
        out.append(jnp.stack(list(taps)).sum(0))
    return jnp.stack(out, 1)


def looked_up(x, i):
    return x.at[i].get(mode="fill", fill_value=0)


def sorted_by_key(key, x):
    return lax.sort((key, x), num_keys=1)[1]


def sorted_back(args, ct):
    key, x = args
    return None, jnp.zeros_like(x).at[jnp.argsort(key, stable=True)].set(ct)


def products(x):
    return lax.associative_scan(jnp.multiply, x)


def products_back(args, ct):
    (x,) = args
    without = jnp.where(jnp.eye(x.size, dtype=bool), 1, x[None, :])
    return (jnp.triu(jnp.cumprod(without, axis=1)) @ ct,)


def power_spectrum(x):
    return jnp.square(jnp.abs(jnp.fft.fft(x)))


def spectrum_back(args, ct):
    """∂|X_k|²/∂x_j = 2 Re(conj(X_k) e^(−2πijk/n)), by explicit sines and cosines."""
    (x,) = args
    angle = 2 * jnp.pi / x.size * jnp.outer(jnp.arange(x.size), jnp.arange(x.size)).astype(x.dtype)
    even, odd = jnp.cos(angle), jnp.sin(angle)
    return (2 * (even @ (ct * (even @ x)) + odd @ (ct * (odd @ x))),)


def one_of_three(i, x):
    return lax.switch(i, (jnp.sin, jnp.exp, lambda x: x**3), x)


def one_of_three_back(last):
    def back(args, ct):
        i, x = args
        return None, ct * jnp.select([i == 0, i == 1], [jnp.cos(x), jnp.exp(x)], last * x**2)

    return back


def mean_square_on_a_mesh(x):
    mesh = jax.make_mesh((1,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = PartitionSpec("d")
    local = lambda x: lax.psum(jnp.sum(x * x), "d")
    return jax.shard_map(local, mesh=mesh, in_specs=(spec,), out_specs=PartitionSpec())(x)


def dropped(x):
    return jnp.where(jax.random.bernoulli(jax.random.key(3), 0.75, x.shape), x / 0.75, 0)


def dropped_back(scale):
    def back(args, ct):
        return (jnp.where(jax.random.bernoulli(jax.random.key(3), 0.75, ct.shape), ct * scale, 0),)

    return back


def noisy_choice(z):
    return jax.nn.logsumexp(z + jax.random.gumbel(jax.random.key(1), z.shape, z.dtype))


def noisy_choice_back(args, ct):
    (z,) = args
    return (ct * jax.nn.softmax(z + jax.random.gumbel(jax.random.key(1), z.shape, z.dtype)),)


def log_inside_a_square(z):
    """The logarithm where both parts are between ½ and 2, and nothing elsewhere."""
    inside = (jnp.minimum(z.real, z.imag) >= 0.5) & (jnp.maximum(z.real, z.imag) <= 2)
    return jnp.where(inside, jnp.log(z), jnp.nan)


def normal_between(low, high):
    return jax.random.truncated_normal(jax.random.key(0), low, high, (4,), low.dtype)


def normal_between_back(share_of_low):
    """A sample keeps its share of the probability between the bounds as they move."""

    def back(args, ct):
        low, high = args
        z = normal_between(low, high)
        density = jax.scipy.stats.norm.pdf
        share = (ndtr(z) - ndtr(low)) / (ndtr(high) - ndtr(low))
        of_low = density(low) / density(z) * share_of_low(share)
        return (ct * of_low).sum(), (ct * density(high) / density(z) * share).sum()

    return back


FIVE = [bp.array("5", low=-3, high=3)]  # each other size would be compiled anew
VECTOR = [bp.array("n+1", low=-3, high=3)]
MEMBERS = (
    *pair(
        "sum from the end", lambda x: lax.cumsum(x, axis=0, reverse=True), [bp.array("n")],
        right=(lambda _, ct: (jnp.cumsum(ct),), "x_j is in every sum that starts at or before j"),
        wrong=(lambda _, ct: (jnp.cumsum(ct[::-1])[::-1],), "that is the pullback of the sum from the start"),
    ),
    *pair(
        "padding inside and below nothing", padded_and_cropped, VECTOR,
        right=(lambda _, ct: (jnp.pad(ct, (0, 1))[1::3],), "entry j lands at 1 + 3j; the last is cut off"),
        wrong=(lambda args, ct: (jnp.pad(ct, (1, 1))[1::3][: args[0].size],), "it reads one place too early"),
    ),
    *pair(
        "means of pairs with an odd one out", windows_of_two, [bp.array("2 5")],
        right=(pairs_back, "each mean hands 1/count to the entries it was taken of"),
        wrong=(lambda args, ct: (back_to_columns(ct, 2)[:, : args[0].shape[1]],), "the odd one counts once"),
    ),
    *pair(
        "dilated convolution in two groups", grouped, [bp.array("2 2 5"), bp.array("2 1 2")],
        right=(lambda args, ct: jax.vjp(by_matrix, *args)[1](ct), "the same sum, tap by tap"),
    ),
    *pair(
        "look-up beyond the end", looked_up, [bp.array("4"), bp.integers("6", 0, 7)],
        right=(
            lambda args, ct: (jnp.zeros_like(args[0]).at[args[1]].add(ct, mode="drop"), None),
            "an index beyond the end reads a constant",
        ),
        wrong=(
            lambda args, ct: (jnp.zeros_like(args[0]).at[args[1].clip(0, args[0].size - 1)].add(ct), None),
            "it adds to the last entry what reads none",
        ),
    ),
    *pair(
        "sorting by a key", sorted_by_key, [bp.integers("6", 0, 9), bp.array("6")],
        right=(sorted_back, "a permutation is pulled back by its inverse"),
        wrong=(lambda args, ct: (None, ct[jnp.argsort(args[0], stable=True)]), "the permutation itself"),
    ),
    *pair(
        "products by a tree", products, FIVE,
        right=(products_back, "∂y_j/∂x_i is the product of the other factors, also where one is zero"),
    ),
    *pair(
        "power spectrum", power_spectrum, FIVE,
        right=(spectrum_back, "the derivative of |X|² is 2 Re(conj(X) dX)"),
        wrong=(lambda args, ct: (2 * args[0] * ct.sum(),), "Parseval holds only for equal cotangents"),
    ),
    *pair(
        "one of three branches", one_of_three, [bp.integers("", 0, 2), bp.array("n", low=-3, high=3)],
        right=(one_of_three_back(3), "the slopes of sin, exp and x³"),
        wrong=(one_of_three_back(2), "the slope of x³ is 3x²; the other branches are right"),
    ),
    *pair(
        "sum over a mesh of one device", mean_square_on_a_mesh, lambda: [jnp.ones(4)],
        right=(lambda args, ct: (2 * args[0] * ct,), "the sum of squares"),
        wrong=(lambda args, ct: (args[0] * ct,), "half of it"),
    ),
    *pair(
        "dropout with its key inside", dropped, FIVE,
        right=(dropped_back(1 / 0.75), "the same key gives the same mask"),
        wrong=(dropped_back(1.0), "kept entries are scaled by 1/0.75"),
    ),
    *pair(
        "noise of Gumbel inside", noisy_choice, FIVE,
        right=(noisy_choice_back, "the noise is a constant; what is left is a log-sum-exp"),
        wrong=(lambda args, ct: (ct * jax.nn.softmax(args[0]),), "the noise is missing from the weights"),
    ),
    *pair(
        "a normal sample between two bounds", normal_between,
        [bp.array("", low=-2, high=-0.5), bp.array("", low=0.5, high=2)],
        right=(normal_between_back(lambda share: 1 - share), "Φ(z) = (1 − s) Φ(low) + s Φ(high)"),
        wrong=(normal_between_back(lambda share: share), "the lower bound has the share 1 − s"),
    ),
    member(
        "logarithm inside a square of complex numbers", GOOD, "log is analytic there, with slope 1/z",
        of=log_inside_a_square, vjp=lambda args, ct: (ct / args[0],),
        args=[bp.array("n", dtype="complex64", low=0.5, high=2)],
    ),
)  # fmt: skip
