"""Members of the kind "domains": unused labels, structure among numbers, sizes that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
from member import BAD, GOOD, NEVER_GOOD, member, pair

import backproof as bp

IGNORED = 255


def embedded(table, ids):
    """Return rows of the table, and zeros for the padding index −1."""
    return jnp.where((ids >= 0)[:, None], table[jnp.maximum(ids, 0)], 0)


def embedded_back(table_of):
    return lambda args, ct: (table_of(jnp.zeros_like(args[0]), args[1], ct), None)


def without_padding(zeros, ids, ct):
    return zeros.at[jnp.maximum(ids, 0)].add(jnp.where((ids >= 0)[:, None], ct, 0))


def padding_to_the_last(zeros, ids, ct):
    return zeros.at[ids].add(ct)


def segmentation_loss(z, labels):
    """Return the summed cross entropy of the pixels whose label is not 255."""
    kept = labels != IGNORED
    logp = jax.nn.log_softmax(z)
    picked = jnp.take_along_axis(logp, jnp.where(kept, labels, 0)[:, None], axis=1)[:, 0]
    return -jnp.where(kept, picked, 0).sum()


def segmentation_back(ignores):
    def back(args, ct):
        z, labels = args
        delta = jax.nn.softmax(z) - jax.nn.one_hot(labels, z.shape[1], dtype=z.dtype)
        return ct * jnp.where((labels != IGNORED)[:, None] | (not ignores), delta, 0), None

    return back


LABELLED = lambda: [bp.array("b v+2"), bp.integers("b", 0, "v+1", also=(IGNORED,))]


def grouped_means(x, sizes):
    ids = jnp.searchsorted(jnp.cumsum(sizes), jnp.arange(x.size), side="right")
    total = jnp.zeros(sizes.shape[0], x.dtype).at[ids].add(x, mode="drop")
    return total / jnp.maximum(sizes, 1)


def grouped_means_back(mark):
    """Return the pullback that counts starts of groups to find each entry's group."""

    def back(args, ct):
        x, sizes = args
        starts = jnp.cumsum(sizes) - sizes
        ids = jnp.cumsum(mark(jnp.zeros(x.size, "int32").at[starts])) - 1
        inside = jnp.arange(x.size) < sizes.sum()
        return jnp.where(inside, (ct / jnp.maximum(sizes, 1))[ids], 0).astype(x.dtype), None

    return back


def add_one(places):
    return places.add(1, mode="drop")


def set_one(places):
    return places.set(1, mode="drop")


def permuted_back(args, ct):
    x, order = args
    return jnp.zeros_like(x).at[order].set(ct), None


def area(y, t):
    """Return the area below the points (t, y), t in increasing order."""
    return (jnp.abs(jnp.diff(t)) * (y[1:] + y[:-1])).sum() / 2


def area_back(ends):
    def back(args, ct):
        y, t = args
        step = jnp.diff(t)
        pad = lambda before, after: jnp.pad(before, (0, 1)) + jnp.pad(after, (1, 0))
        slope_y = pad(step, step) / 2
        if not ends and y.size > 2:
            slope_y = slope_y.at[-1].set(slope_y[0])
        both = (y[1:] + y[:-1]) / 2
        return ct * slope_y, ct * pad(-both, both)

    return back


def soft_loss(z, y):
    return -(y * jax.nn.log_softmax(z)).sum()


def of_probabilities(args, ct):
    z, y = args
    return ct * (jax.nn.softmax(z) - y), None


def log_determinant(A):
    return jnp.linalg.slogdet(A)[1]


def quadratic(A, x):
    return x @ jnp.linalg.solve(A, x)


def quadratic_back(factor):
    def back(args, ct):
        A, x = args
        u = jnp.linalg.solve(A, x)
        return -ct * jnp.outer(u, u), factor * ct * u

    return back


def undone(Q, x):
    return jnp.linalg.solve(Q, x)


def undone_back(by_transpose):
    def back(args, ct):
        Q, x = args
        delta_x = (Q if by_transpose else Q.T) @ ct
        return -jnp.outer(delta_x, Q.T @ x), delta_x

    return back


def deviation_of_sample(x):
    return jnp.square(x - x.mean()).sum() / (x.shape[0] - 1)


def refusing(least, slope=jnp.cos):
    def back(args, ct):
        if args[0].shape[0] < least:
            raise ValueError(f"at least {least} rows are needed")
        return (slope(args[0]) * ct,)

    return back


def wrong_from_five(x):
    return jnp.cos(x) * (1 if x.shape[0] < 5 else 2)


def by_parity(x, i):
    return jnp.where(i % 2 == 0, jnp.sin(x), jnp.exp(x))


def by_parity_back(i_of):
    def back(args, ct):
        x, i = args
        return ct * jnp.where(i_of(i) % 2 == 0, jnp.cos(x), jnp.exp(x)), None

    return back


def kept_mean(x, keep):
    return jnp.where(keep, x, 0).sum() / jnp.maximum(keep.sum(), 1)


def kept_mean_back(count):
    return lambda args, ct: (jnp.where(args[1], ct, 0) / count(args[1].sum()), None)


def approximated(near):
    """Return the pullback of tanh that takes slope 1 where `near(x)`."""
    return lambda args, ct: (ct * jnp.where(near(args[0]), 1, 1 - jnp.square(jnp.tanh(args[0]))),)


def near_zero(x):
    return abs(x) < 0.01


ROW = [bp.array("n", low=-3, high=3)]
PERMUTED = np.random.default_rng(0).permutation(6)
MEMBERS = (
    member(
        "a permutation and its inverse, both given as examples", frozenset({"INCONCLUSIVE"}),
        "the rule is right where the two belong together, and varied each on its own they do not",
        says=("draw them together",), of=lambda x, p, inverse: 2 * x[p],
        vjp=lambda args, ct: (2 * ct[args[2]], None, None),
        args=lambda: (np.arange(0.5, 6), PERMUTED, np.argsort(PERMUTED)),
    ),
    member(
        "a permutation taken for its inverse", BAD, "the rule is wrong at the given integers",
        of=lambda x, p, inverse: 2 * x[p], vjp=lambda args, ct: (2 * ct[args[1]], None, None),
        args=lambda: (np.arange(0.5, 6), PERMUTED, np.argsort(PERMUTED)),
    ),
    *pair(
        "look-up with padding", embedded, lambda: [bp.array("v+1 h"), bp.integers("m", 0, "v", also=(-1,))],
        right=(embedded_back(without_padding), "padding reads no row"),
        wrong=(embedded_back(padding_to_the_last), "index −1 is the last row"),
    ),
    *pair(
        "pixels without a label", segmentation_loss, LABELLED,
        right=(segmentation_back(True), "an ignored pixel adds a constant"),
        wrong=(segmentation_back(False), "one_hot(255) is 0, so that softmax itself is left"),
    ),
    member(
        "labels beyond the classes are in the bounds", NEVER_GOOD, "where a label exists, ct is doubled",
        of=lambda z, i: jnp.where(i < z.shape[0], jnp.take(jax.nn.log_softmax(z), i, mode="clip"), jnp.nan),
        vjp=lambda args, ct: (2 * ct * (jnp.eye(args[0].size)[args[1]] - jax.nn.softmax(args[0])), None),
        args=[bp.array("v+1"), bp.integers("", 0, "v+900")],
    ),
    *pair(
        "means of groups, some of them empty", grouped_means,
        lambda: [bp.array("m"), bp.partition("g+1", of="m")],
        right=(grouped_means_back(add_one), "groups that start at one place are all counted"),
        wrong=(grouped_means_back(set_one), "of groups that start at one place, one is counted"),
    ),
    member(
        "means of groups, sizes from an example", NEVER_GOOD, "it is wrong where a group is empty",
        of=grouped_means, vjp=grouped_means_back(set_one),
        args=lambda: (jnp.ones(6), jnp.array([2, 1, 3], "int32")),
    ),
    *pair(
        "reordering", lambda x, order: x[order], lambda: [bp.array("n"), bp.permutation("n")],
        right=(permuted_back, "each place is read once, so that set is enough"),
        wrong=(lambda args, ct: (ct[args[1]], None), "right only for exchanges of pairs"),
    ),
    *pair(
        "area over increasing times", area, lambda: [bp.array("n+2"), bp.increasing("n+2")],
        right=(area_back(True), "|Δt| is Δt in increasing order"),
        wrong=(area_back(False), "the last weight is half the last step, not half the first"),
    ),
    *pair(
        "cross entropy of probabilities", soft_loss, lambda: [bp.array("n+1"), bp.simplex("n+1")],
        right=(of_probabilities, "p − y, since y adds up to 1"), argnums=0,
    ),
    member(
        "cross entropy of any weights", BAD, "the gradient is Σy · p − y",
        of=soft_loss, vjp=of_probabilities, argnums=0, args=[bp.array("n+1"), bp.array("n+1", low=0, high=1)],
    ),
    *pair(
        "cross entropy of unit vectors", soft_loss, lambda: [bp.array("b v+1"), bp.one_hot("b v+1")],
        right=(of_probabilities, "each row of y adds up to 1"),
        wrong=(lambda args, ct: (ct * (jax.nn.softmax(args[0], axis=0) - args[1]), None), "the other axis"),
        argnums=0,
    ),
    *pair(
        "log determinant of a covariance", log_determinant, lambda: [bp.spd("n")],
        right=(lambda args, ct: (ct * jnp.linalg.inv(args[0]),), "A⁻ᵀ is A⁻¹ where A is symmetric"),
        wrong=(lambda args, ct: (ct * jnp.linalg.inv(args[0]) / 2,), "half of it"),
    ),
    *pair(
        "quadratic form of a covariance", quadratic, lambda: [bp.spd("n"), bp.array("n", low=-3, high=3)],
        right=(quadratic_back(2), "−uuᵀ and 2u, u = A⁻¹x"),
        wrong=(quadratic_back(1), "x stands twice in the form"),
    ),
    *pair(
        "undoing a rotation", undone, lambda: [bp.orthogonal("n"), bp.array("n", low=-3, high=3)],
        right=(undone_back(True), "Q⁻ᵀ is Q"),
        wrong=(undone_back(False), "Q⁻ᵀ is not Qᵀ"),
    ),
    *pair(
        "variance of two or more", deviation_of_sample, lambda: [bp.array("n>=2", low=-3, high=3)],
        right=(lambda args, ct: (2 * ct * (args[0] - args[0].mean()) / (args[0].size - 1),), "n − 1 in both"),
        wrong=(lambda args, ct: (2 * ct * (args[0] - args[0].mean()) / args[0].size,), "n for n − 1"),
    ),
    *pair(
        "three rows or more", jnp.sin, lambda: [bp.array("b>=3 n")],
        right=(refusing(3), "fewer were not declared"),
        wrong=(refusing(3, wrong_from_five), "twice the slope from five rows on"),
    ),
    member(
        "rows that the function needs too", GOOD, "at b = 0 there is no value whose gradient could be wrong",
        of=lambda x: x.max(0), vjp=lambda args, ct: (jax.vjp(lambda x: x.max(0), *args)[1](ct)),
        args=[bp.array("b n", low=-3, high=3)],
    ),
    member(
        "a refusal of no columns", BAD, "sin of no numbers exists, and so does its gradient",
        of=jnp.sin, vjp=lambda args, ct: (jnp.cos(args[0]) * ct + 0 * args[0].max(),),
        args=[bp.array("b+1 n")], says=("n = 0",), hides=(),
    ),
    *pair(
        "parity of an integer", by_parity, [*ROW, bp.integers("", 0, 3)],
        right=(by_parity_back(lambda i: i), "sin for even ones, exp for odd ones"),
        wrong=(by_parity_back(lambda i: jnp.minimum(i, 2)), "at 3 it takes the branch of 2"),
    ),
    member(
        "one integer of sixty", NEVER_GOOD, "at 53 it takes the branch of 52; to agree, 53 must be judged",
        of=by_parity, vjp=by_parity_back(lambda i: jnp.where(i == 53, 52, i)),
        args=[*ROW, bp.integers("", 0, 59)],
    ),
    *pair(
        "mean of what a mask keeps", kept_mean, [*ROW, bp.array("n", dtype="bool")],
        right=(kept_mean_back(lambda n: jnp.maximum(n, 1)), "0 where nothing is kept"),
        wrong=(kept_mean_back(lambda n: n), "0/0 where nothing is kept, and the mean is constant"),
    ),
    member(
        "a region that is declared", frozenset({"DECLARED"}), "the rest of it is right",
        of=jnp.tanh, vjp=approximated(near_zero), args=ROW, declared={"x": ("guard", near_zero)},
    ),
    member(
        "more than the region that is declared", BAD, "slope 1 up to |x| = ½, declared up to 0.01",
        of=jnp.tanh, vjp=approximated(lambda x: abs(x) < 0.5), args=ROW, declared={"x": ("guard", near_zero)},
    ),
)  # fmt: skip
