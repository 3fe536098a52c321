"""Members of the kind "kinks and ties": what is a subgradient there, and what only looks like one."""

import jax
import jax.numpy as jnp
from member import GOOD, member, pair

import backproof as bp

SMALL = [bp.array("n", low=-4, high=4)]
ROWS = [bp.array("4 3", low=-4, high=4)]


def by_slope(slope):
    return lambda args, ct: (ct * slope(*args),)


def at(x, place, value, otherwise):
    return jnp.where(x == place, value, otherwise)


def pinball(x):
    """Return the loss of the quantile 0.25."""
    return jnp.maximum(0.25 * x, -0.75 * x)


def pinball_slope(at_zero):
    return lambda x: at(x, 0, at_zero, jnp.where(x > 0, 0.25, -0.75))


def huber_slope(x):
    return jnp.clip(x, -1, 1)


def huber(x):
    return jnp.where(jnp.abs(x) <= 1, x * x / 2, jnp.abs(x) - 0.5)


def hard_swish_slope(at_three):
    def slope(x):
        inner = jnp.where(x < -3, 0, jnp.where(x > 3, 1, (2 * x + 3) / 6))
        return at(x, 3, at_three, inner)

    return slope


SELU = 1.0507009873554805, 1.6732632423543772


def selu_slope(at_zero):
    scale, alpha = SELU
    return lambda x: at(x, 0, at_zero, scale * jnp.where(x > 0, 1, alpha * jnp.exp(x)))


def split(x):
    """Return max(x, 0) − max(−x, 0), which is x."""
    return jax.nn.relu(x) - jax.nn.relu(-x)


def hinge(x, y):
    return jnp.maximum(0, 1 - x * y)


def hinge_back(slope_at_tie):
    def back(args, ct):
        x, y = args
        margin = 1 - x * y
        active = jnp.where(margin == 0, slope_at_tie, margin > 0)
        return -ct * active * y, -ct * active * x

    return back


def tied(x):
    return x == x.max(-1, keepdims=True)


def first_of_tied(x):
    return jax.nn.one_hot(x.argmax(-1), x.shape[-1], dtype=x.dtype)


def first_against_last(x):
    """Return 2 for the first of tied entries and −1 for the last; their sum is 1, but they lie in no hull."""
    n = x.shape[-1]
    last = jax.nn.one_hot(n - 1 - x[..., ::-1].argmax(-1), n, dtype=x.dtype)
    return 2 * first_of_tied(x) - last


def by_weights(weights):
    return lambda args, ct: (weights(args[0]) * ct[..., None],)


def pool_of_two(x):
    return jnp.maximum(x[:, :-1], x[:, 1:])


def pool_of_two_back(share):
    """Return the pullback that gives `share` of a tied window to each of its two entries."""

    def back(args, ct):
        (x,) = args
        left = jnp.where(x[:, :-1] == x[:, 1:], share, x[:, :-1] > x[:, 1:]).astype(x.dtype)
        right = jnp.where(x[:, :-1] == x[:, 1:], share, x[:, :-1] < x[:, 1:]).astype(x.dtype)
        return (jnp.pad(ct * left, ((0, 0), (0, 1))) + jnp.pad(ct * right, ((0, 0), (1, 0))),)

    return back


def middle(x):
    n = x.size
    return jnp.sort(x)[(n - 1) // 2] / 2 + jnp.sort(x)[n // 2] / 2


def middle_back(both):
    def back(args, ct):
        (x,) = args
        order = jnp.argsort(x)
        places = ((x.size - 1) // 2, x.size // 2) if both else (x.size // 2,) * 2
        return (jnp.zeros_like(x).at[order[jnp.array(places)]].add(ct / 2),)

    return back


def lower_quartile(x):
    return jnp.quantile(x, 0.25)


def lower_quartile_back(weights):
    """Return the pullback for six entries: the quartile lies at place 1¼ of 0 … 5."""

    def back(args, ct):
        (x,) = args
        places = jnp.argsort(x)[1:3]
        return (jnp.zeros_like(x).at[places].set(ct * jnp.array(weights, x.dtype)),)

    return back


def onto_ball(x):
    return x / jnp.maximum(1, jnp.sqrt(jnp.square(x).sum()))


def onto_ball_back(project):
    def back(args, ct):
        (x,) = args
        norm = jnp.linalg.norm(x)
        safe = jnp.maximum(norm, 1)
        along = x / safe * jnp.vdot(x / safe, ct) if project else 0
        return (jnp.where(norm > 1, (ct - along) / safe, ct),)

    return back


def soft_threshold(x):
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - 0.5, 0)


def above_mean(x):
    """Return how far entries lie above their mean; rounding of the mean decides where all are equal."""
    return jax.nn.relu(x - x.mean())


def above_mean_back(args, ct):
    (x,) = args
    active = jnp.where(x > x.sum() / x.size, ct, 0)
    return (active - active.sum() / x.size,)


def above_mean_back_without_mean(args, ct):
    (x,) = args
    return (jnp.where(x > x.sum() / x.size, ct, 0),)


def clipped(x):
    return jnp.clip(x, -1, 1)


def clip_slope(at_bound):
    return lambda x: jnp.where(jnp.abs(x) == 1, at_bound, jnp.abs(x) < 1)


def two_best(z):
    """Return the two largest logits of each row as weights, and zeros for the rest."""
    best, places = jax.lax.top_k(z, 2)
    rows = jnp.arange(z.shape[0])[:, None]
    return jnp.zeros_like(z).at[rows, places].set(jax.nn.softmax(best, axis=-1))


def two_best_back(renormalised):
    def back(args, ct):
        (z,) = args
        w = two_best(z)
        return (w * (ct - renormalised * (w * ct).sum(-1, keepdims=True)),)

    return back


MEMBERS = (
    *pair(
        "pinball loss", pinball, SMALL,
        right=(by_slope(pinball_slope(0.0)), "0 lies between −0.75 and 0.25"),
        wrong=(by_slope(pinball_slope(0.75)), "0.75 lies beyond 0.25"),
    ),
    *pair(
        "Huber loss", huber, SMALL,
        right=(by_slope(huber_slope), "x inside, ±1 outside; continuous at ±1"),
        wrong=(by_slope(lambda x: at(jnp.abs(x), 1, 0.5, huber_slope(x))), "at ±1 both sides have slope ±1"),
    ),
    *pair(
        "hard swish", jax.nn.hard_swish, [bp.array("n", low=-6, high=6)],
        right=(by_slope(hard_swish_slope(1.0)), "1 is the slope on the right of 3"),
        wrong=(by_slope(hard_swish_slope(0.0)), "at 3 the slopes are 1.5 and 1"),
    ),
    *pair(
        "elu at zero", jax.nn.elu, SMALL,
        right=(by_slope(lambda x: jnp.where(x > 0, 1, jnp.exp(x))), "both sides have slope 1 at 0"),
        wrong=(by_slope(lambda x: at(x, 0, 0, jnp.where(x > 0, 1, jnp.exp(x)))), "0 is not that slope"),
    ),
    *pair(
        "selu at zero", jax.nn.selu, SMALL,
        right=(by_slope(selu_slope(SELU[0])), "the slope on the right"),
        wrong=(by_slope(selu_slope(0.0)), "the slopes at 0 are 1.05 and 1.76"),
    ),
    *pair(
        "x|x| at zero", lambda x: x * jnp.abs(x), SMALL,
        right=(by_slope(lambda x: 2 * jnp.abs(x)), "|h|h/h tends to 0"),
        wrong=(by_slope(lambda x: at(x, 0, 1, 2 * jnp.abs(x))), "differentiable at 0 with slope 0"),
    ),
    *pair(
        "the identity in two halves", split, SMALL,
        right=(by_slope(jnp.ones_like), "the function is x, though autodiff says 0 at 0"),
        wrong=(by_slope(lambda x: (x != 0).astype(x.dtype)), "x has slope 1 at 0"),
    ),
    *pair(
        "hinge loss", hinge, [bp.array("n", low=-3, high=3), bp.array("n", low=-3, high=3)],
        right=(hinge_back(0.0), "0 is one of the two slopes at the margin"),
        wrong=(hinge_back(2.0), "twice the slope on one side is beyond both"),
    ),
    *pair(
        "largest entry, ties shared", lambda x: x.max(-1), ROWS,
        right=(by_weights(lambda x: tied(x) / tied(x).sum(-1, keepdims=True)), "a mean of the tied units"),
        wrong=(by_weights(lambda x: tied(x).astype(x.dtype)), "their sum grows with the number of ties"),
    ),
    *pair(
        "largest entry, first of ties", lambda x: x.max(-1), ROWS,
        right=(by_weights(first_of_tied), "one of the tied units"),
        wrong=(by_weights(first_against_last), "weights 2 and −1 add up to 1, but are no mean of units"),
    ),
    *pair(
        "pooling of overlapping pairs", pool_of_two, [bp.array("4 4", low=-4, high=4)],
        right=(pool_of_two_back(0.5), "half each at a tie"),
        wrong=(pool_of_two_back(1.0), "a tied window hands its cotangent out twice"),
    ),
    *pair(
        "median", middle, [bp.array("n+1", low=-4, high=4)],
        right=(middle_back(True), "half for each of the two in the middle"),
        wrong=(middle_back(False), "of an even number, only the upper one"),
    ),
    *pair(
        "lower quartile", lower_quartile, [bp.array("6", low=-4, high=4)],
        right=(lower_quartile_back((0.75, 0.25)), "¾ and ¼ for the two entries around place 1¼"),
        wrong=(lower_quartile_back((0.25, 0.75)), "the nearer one counts more"),
    ),
    *pair(
        "projection onto a ball", onto_ball, [bp.array("4", low=-2, high=2)],
        right=(onto_ball_back(True), "outside, the part along x is removed; inside, the identity"),
        wrong=(onto_ball_back(False), "the part along x is kept"),
    ),
    *pair(
        "soft threshold", soft_threshold, SMALL,
        right=(by_slope(lambda x: (jnp.abs(x) >= 0.5).astype(x.dtype)), "1 beyond ½, 0 within, either at ½"),
        wrong=(by_slope(lambda x: jnp.sign(x) * (jnp.abs(x) > 0.5)), "sign(x)² is 1, sign(x) is not"),
    ),
    *pair(
        "excess over the mean", above_mean, [bp.array("5", low=-4, high=4)],
        right=(above_mean_back, "continuous: where entries equal their mean, both slopes are subgradients"),
        wrong=(above_mean_back_without_mean, "the mean depends on x too"),
    ),
    *pair(
        "clip at its bounds", clipped, SMALL,
        right=(by_slope(clip_slope(1.0)), "0 and 1 are the slopes at a bound"),
        wrong=(by_slope(clip_slope(-1.0)), "−1 is neither, nor between"),
    ),
    *pair(
        "router of the two best", two_best, [bp.array("2 4", low=-4, high=4)],
        right=(two_best_back(1), "a softmax of the two that were chosen"),
        wrong=(two_best_back(0), "the weights add up to 1, which couples them"),
    ),
    member(
        "sum of magnitudes, with slopes ½ at zeros", GOOD, "each may have its own slope between −1 and 1",
        of=lambda x: jnp.abs(x).sum(), vjp=by_slope(lambda x: at(x, 0, 0.5, jnp.sign(x))), args=SMALL,
    ),
)  # fmt: skip
