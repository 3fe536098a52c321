"""Members of the kind "reach of runs": loops over blocks, errors now and then, the leaf that is named."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from member import BAD, GOOD, member, pair

import backproof as bp


def in_blocks(v, size, fill):
    """Return v cut into blocks of `size`, the last one filled up."""
    short = -v.size % size
    return jnp.pad(v, (0, short), constant_values=fill).reshape(-1, size)


def suffix_sums(carried, size):
    """Return the pullback of a running sum, block by block from the end."""

    def back(args, ct):
        def step(carry, block):
            sums = jnp.cumsum(block[::-1])[::-1]
            return (carry + sums[0] if carried else sums[0]), sums + carry

        _, sums = lax.scan(step, jnp.zeros((), ct.dtype), in_blocks(ct, size, 0), reverse=True)
        return (sums.reshape(-1)[: ct.size],)

    return back


def online_softmax(rescaled, size):
    """Return the pullback of log-sum-exp, whose total is found block by block under a running maximum."""

    def back(args, ct):
        (x,) = args

        def step(carry, block):
            top, total = carry
            higher = jnp.maximum(top, block.max())
            kept = total * jnp.exp(top - higher) if rescaled else total
            return (higher, kept + jnp.exp(block - higher).sum()), None

        blocks = in_blocks(x, size, -jnp.inf)
        start = (blocks[0].max(), jnp.zeros((), x.dtype))
        (top, total), _ = lax.scan(step, start, blocks)
        return (ct * jnp.exp(x - top) / total,)

    return back


def halves(ct, leaf, wrong):
    """Return pairwise sums by halving; from a full tree of `leaf` entries on, one term may be lost."""
    n = ct.shape[0]
    if n <= leaf:
        return ct.sum(0)
    left, right = halves(ct[: n // 2], leaf, wrong), halves(ct[n // 2 :], leaf, wrong)
    return left + right - (ct[n // 2] if wrong else 0)


def cosine_on_the_host(spoilt):
    """Return the pullback of sin that NumPy runs; of runs number 0, 1, …, those `spoilt` lose an entry."""
    count = itertools.count()

    def run(x, ct):
        out = np.array(np.cos(x) * ct, dtype=np.asarray(x).dtype)
        if spoilt(next(count)) and out.size:
            out.flat[-1] += 1
        return out

    def back(args, ct):
        (x,) = args
        return (
            jax.pure_callback(run, jax.ShapeDtypeStruct(x.shape, x.dtype), x, ct, vmap_method="sequential"),
        )

    return back


def slip_in_a_callback(args, ct):
    x, y = args
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    doubled = jax.pure_callback(
        lambda x, ct: np.asarray(2 * np.cos(x) * ct, x.dtype), shape, x, ct[0], vmap_method="sequential"
    )
    return doubled, -jnp.sin(y) * ct[1]


LONG = [bp.array("t", low=-3, high=3)]
MEMBERS = (
    *pair(
        "running sum in blocks of 64", jnp.cumsum, LONG,
        right=(suffix_sums(True, 64), "every later cotangent reaches an entry"),
        wrong=(suffix_sums(False, 64), "the carry holds one block: wrong from the third on"),
    ),
    *pair(
        "log-sum-exp in blocks of 128", jax.nn.logsumexp, [bp.array("t+1", low=-3, high=3)],
        right=(online_softmax(True, 128), "the total is rescaled when the maximum grows"),
        wrong=(online_softmax(False, 128), "from the second block on, the total mixes two scales"),
    ),
    *pair(
        "sum by halves from 96 terms on", lambda x, b: x + b, [bp.array("t n"), bp.array("n")],
        right=(lambda args, ct: (ct, halves(ct, 96, False)), "any order of summation is right"),
        wrong=(lambda args, ct: (ct, halves(ct, 96, True)), "a term is lost where the tree branches"),
    ),
    member(
        "one run of seven is wrong", BAD, "an entry is off by 1 in every seventh run",
        of=jnp.sin, vjp=cosine_on_the_host(lambda i: i % 7 == 6), args=[bp.array("n")],
        repeats=50, hides=("batching", "contract-"),
    ),
    member(
        "one run of fifty is wrong", BAD, "an entry is off by 1 in every fiftieth run",
        of=jnp.sin, vjp=cosine_on_the_host(lambda i: i % 50 == 49), args=[bp.array("n")], repeats=300,
    ),
    member(
        "a callback that counts its runs", GOOD, "what it returns depends on its arguments alone",
        of=jnp.sin, vjp=cosine_on_the_host(lambda i: False), args=[bp.array("n")], repeats=50,
    ),
    member(
        "a callback's slip stays in its leaf", BAD, "only the cotangent of x is doubled",
        of=lambda x, y: (jnp.sin(x), jnp.cos(y)), vjp=slip_in_a_callback,
        args=[bp.array("n"), bp.array("m")], says=("result[0]",), hides=("result[1]", "contract-"),
    ),
)  # fmt: skip
