"""The claim about growth for two classes and no biases: true of a wrong class, and false of three classes."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import LABEL, ONE, cross_entropy, gate_open, indicator, of_weight, one_if, relu
from .s12_general_form import general_form
from .s13_growth import factor_at_a_fixed_residual


def bare(W_1, W_2, x):
    """Return z^(2) of a network of two layers without biases."""
    return W_2 @ relu(W_1 @ x)


def missing(z, y):
    """Return 1 − p(y), for two classes: the probability of the other one."""
    away = jnp.vdot(1 - 2 * indicator(y, z), z)  # the score of the other class less that of y
    return 1 / (1 + jnp.exp(-away))


def stable_J(z, y):
    """Return J with the logarithm taken before the quotient: c x may be large."""
    return -jnp.vdot(indicator(y, z), jax.nn.log_softmax(z))


BARE = [bp.array("n m"), bp.array("2 n"), bp.array("m"), LABEL]


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(l)}} \text{ at } c x",
    items=("S3.18",),
    uses=(general_form, factor_at_a_fixed_residual),
    args=[*BARE, bp.array("", low=1, high=100)],
)
def misclassified_without_bias(W_1, W_2, x, y, c):
    """What is true. Two classes, no biases, a misclassified sample: at least c times, for every c ≥ 1.

    Without biases the network is homogeneous: c x gives c z at every layer, and the gates stay. For two
    classes δ = (1 − p_y) u with a u that only the class decides. So the gradient is multiplied by
    c (1 − p_y(c z)) / (1 − p_y(z)), and p_y falls as c grows if y has the lower score.
    """
    z_1, z = W_1 @ x, bare(W_1, W_2, x)
    u = 1 - 2 * indicator(y, z)
    yield bp.assume(jnp.vdot(u, z) > 0, r"z_y < z_{\text{other}}")

    def gradient(x):
        return jax.grad(lambda W_1, W_2: stable_J(bare(W_1, W_2, x), y), (0, 1))(W_1, W_2)

    yield line(
        r"\frac{\partial J}{\partial W^{(1)}},\; \frac{\partial J}{\partial W^{(2)}} \text{ at } c x",
        jax.grad(lambda W_1, W_2: stable_J(bare(W_1, W_2, c * x), y), (0, 1))(W_1, W_2),
        "definition",
    )
    delta = jax.nn.softmax(bare(W_1, W_2, c * x)) - indicator(y, z)
    yield line(
        r"\left((W^{(2)})^{\top} \delta(c x) * 1(z^{(1)}(c x) \ge 0)\right) (c x)^{\top},\;"
        r" \delta(c x)\, a^{(1)}(c x)^{\top}",
        (
            ((W_2.T @ delta) * one_if(W_1 @ (c * x) >= 0))[:, None] @ (c * x)[None, :],
            delta[:, None] @ relu(W_1 @ (c * x))[None, :],
        ),
        "the general form",
    )
    yield line(
        r"c \left((W^{(2)})^{\top} \delta(c x) * 1(z^{(1)} \ge 0)\right) x^{\top},\;"
        r" c\, \delta(c x)\, (a^{(1)})^{\top}",
        (
            c * ((W_2.T @ delta) * one_if(z_1 >= 0))[:, None] @ x[None, :],
            c * delta[:, None] @ relu(z_1)[None, :],
        ),
        "homogeneous: z^(1)(c x) = c z^(1), the gates stay, a^(1)(c x) = c a^(1)",
    )
    yield line(
        r"c\, (1 - p_y(c z)) \left((W^{(2)})^{\top} u * 1(z^{(1)} \ge 0)\right) x^{\top},\;"
        r" c\, (1 - p_y(c z))\, u\, (a^{(1)})^{\top}",
        (
            c * missing(c * z, y) * ((W_2.T @ u) * one_if(z_1 >= 0))[:, None] @ x[None, :],
            c * missing(c * z, y) * u[:, None] @ relu(z_1)[None, :],
        ),
        "two classes: δ = (1 − p_y) u, with u = −1 at y and +1 at the other",
    )
    yield line(
        r"c\, \frac{1 - p_y(c z)}{1 - p_y(z)} \left(\frac{\partial J}{\partial W^{(1)}},\;"
        r" \frac{\partial J}{\partial W^{(2)}}\right) \text{ at } x",
        jax.tree.map(lambda of_W: c * missing(c * z, y) / missing(z, y) * of_W, gradient(x)),
        "the same with c = 1, divided",
    )
    yield line(
        r"1 - p_y(c z) \ge 1 - p_y(z)",
        bp.at_least(missing(c * z, y), missing(z, y)),
        "p_y falls: y has the lower score",
    )
    for l, (large, small) in enumerate(zip(gradient(c * x), gradient(x), strict=True), start=1):
        yield line(
            rf"\left|\frac{{\partial J}}{{\partial W^{{({l})}}}}\right|_{{c x}} \ge"
            rf" c \left|\frac{{\partial J}}{{\partial W^{{({l})}}}}\right|_x",
            bp.at_least(jnp.abs(large), c * jnp.abs(small)),
            "so the claim holds here, for every entry",
        )
    yield line(
        r"|\delta|_{c x} \le 2 |\delta|_x",
        bp.at_most(missing(c * z, y), 2 * missing(z, y)),
        "½ ≤ 1 − p_y ≤ 1: a bias gains at most 2",
    )


@bp.derivation(
    r"\left|\frac{\partial J}{\partial W^{(l)}}\right| \text{ at } c x",
    items=("S3.18",),
    uses=(misclassified_without_bias,),
    args=[*BARE, bp.array("", low=2, high=100)],
)
def classified_rightly_without_bias(W_1, W_2, x, y, c):
    """The other half: a sample that is classified rightly gains less than c."""
    z = bare(W_1, W_2, x)
    u = 1 - 2 * indicator(y, z)
    yield bp.assume(jnp.vdot(u, z) < -1e-3, r"z_y > z_{\text{other}}")
    net = bp.mlp((x.size, len(W_1), 2), gate_open)
    params = ({"W": W_1, "b": jnp.zeros(len(W_1))}, {"W": W_2, "b": jnp.zeros(2)})
    large = bp.value_and_grad(net, cross_entropy)(params, c * x, y)[1]
    small = bp.value_and_grad(net, cross_entropy)(params, x, y)[1]
    yield line(
        r"1 - p_y(c z) < 1 - p_y(z)",
        bp.less(missing(c * z, y), missing(z, y)),
        "p_y rises: y has the higher score",
    )
    yield line(
        r"\left\|\frac{\partial J}{\partial W^{(2)}}\right\|_{c x} <"
        r" c \left\|\frac{\partial J}{\partial W^{(2)}}\right\|_x",
        bp.less(jnp.linalg.norm(large[1]["W"]), c * jnp.linalg.norm(small[1]["W"])),
        "the last W gains less than c",
    )
    yield line(
        r"\left|\frac{\partial J}{\partial W^{(1)}}\right|_{c x} \le"
        r" c \left|\frac{\partial J}{\partial W^{(1)}}\right|_x",
        bp.at_most(jnp.abs(large[0]["W"]), c * jnp.abs(small[0]["W"])),
        "and the first one no more",
    )


@bp.derivation(r"z = (0,\; 0.1,\; -10)\, x", items=("S3.18",), uses=(misclassified_without_bias,), args=[ONE])
def three_classes_fail(one):
    """With a third class even a misclassified sample may gain less: x = 0.01, c = 100."""
    small, large = (
        jnp.linalg.norm(of_weight(cross_entropy, [[0.0], [0.1], [-10.0]], x * one, jnp.array(0)))
        for x in (0.01, 1.0)
    )
    yield line(
        r"\|\nabla_W J\|_{c x} < 100\, \|\nabla_W J\|_x",
        bp.less(large, 100 * small),
        "class 1, while class 2 scores highest",
    )
    yield line(
        r"\text{ratio } 92.4",
        bp.at_most(jnp.abs(large / small - 92.4), 0.05),
        "the third class leaves the sum",
    )
