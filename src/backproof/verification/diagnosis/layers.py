"""Finds the first layer of a network whose gradient is wrong, and the part of that gradient that is.

Taps of zero added to each pre-activation z^l give the true δ^l = ∂J/∂z^l by autodiff. Seen from the
output, the first layer whose ∂W or ∂b differs holds the slip; the layers below inherit its effect. For a
single sample ∂b^l is the claimed δ^l, so a wrong δ can be distinguished from a wrong product δ aᵀ. The
conservation laws of `balances` are the second witness: they need no oracle, only the results of the sweep.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.network import Layer
from backproof.numerics.comparison import agree
from backproof.numerics.noise import measure
from backproof.numerics.tracing import float64
from backproof.rule import Rule
from backproof.rules._affine import affine_forward, affine_grads
from backproof.verification.diagnosis.balances import inner, layer_balance, parameter_balance
from backproof.verification.diagnosis.layer_slips import slips_of
from backproof.verification.running.point import Point

# The slips of one step that are tried, in words, and the name of the cause of each.
CAUSES = {
    "the opposite sign": "sign",
    "twice the value": "factor",
    "half the value": "factor",
    "zero in its place": "missing",
    "σ′ left out": "dropped-factor",
    "σ′(a) for σ′(z)": "slope-at-output",
    "W for Wᵀ": "argument-transposed",
    "z for a": "wrong-residual",
    "the cotangent left out": "cotangent-ignored",
}


class WrongLayer(NamedTuple):
    """Says where a network's gradient first goes wrong.

    Attributes:
        layer: the number of the layer, the first above the input being 1; 0 for ∂J/∂x.
        of: how many layers there are.
        what: the wrong part, in words.
        slips: the slips of this one step that give exactly the claimed value; keys of `CAUSES`.
        unbalanced: the conservation laws that fail, in words; empty where none is known to.
    """

    layer: int
    of: int
    what: str
    slips: tuple[str, ...]
    unbalanced: tuple[str, ...]

    @property
    def slip(self) -> str | None:
        """Return the first slip that explains what is wrong; None where none does."""
        return self.slips[0] if self.slips else None

    @property
    def cause(self) -> str | None:
        """Return the name of the slip in the list of causes."""
        return CAUSES[self.slip] if self.slip else None

    def notes(self) -> list[str]:
        """Return the finding as sentences: the layer, and the conservation laws that fail."""
        where = f"layer {self.layer} of {self.of}" if self.layer else "∂J/∂x"
        slip = f"; exactly this results with {self.slip}" if self.slip else ""
        above = "; everything above it is right" if self.layer < self.of else ""
        found = f"seen from the output, {where} is the first that is wrong: {self.what}{slip}{above}"
        laws = "a conservation law shows" if len(self.unbalanced) == 1 else "conservation laws show"
        said = f"{laws} it without autodiff: {', '.join(self.unbalanced)}"
        return [found, *([said] if self.unbalanced else [])]


class Sides(NamedTuple):
    """Holds one layer at one point: its claimed gradient, the true one, and both sides of the laws."""

    claimed: Layer
    true: Layer
    follows: Layer
    slips: dict[str, dict[str, Any]]
    balance: tuple[Any, Any]
    gate: tuple[Any, Any]
    above: tuple[Any, Any]


def first_wrong_layer(rule: Rule, points: Sequence[Point]) -> WrongLayer | None:
    """Return the first wrong layer of an `mlp`, seen from the output; None if the rule is no `mlp`.

    A slip is named only if it gives the claimed value wherever that layer is the first that is wrong.

    Args:
        rule: the network, with the backward that is being checked.
        points: where its result is wrong, each `((params, x), delta_y)`, the smallest first.
    """
    points = [point for point in points if is_layered(rule, point.args[0])]
    found = [one for one in (_first_of(rule, point) for point in points) if one]
    if not found:
        return None
    last = max(one.layer for one in found)
    there = [one for one in found if one.layer == last]
    common = set.intersection(*(set(one.slips) for one in there))
    return there[0]._replace(slips=tuple(slip for slip in CAUSES if slip in common))


def _first_of(rule: Rule, point: Point) -> WrongLayer | None:
    """Return the first wrong layer at one point, from each sample of its batch alone, then from all."""
    places = [place for place in (*_samples(point), point) if _runs(rule, place)]
    return next((one for one in (_located(rule, place) for place in places) if one), None)


def is_layered(rule: Rule, params: Any) -> bool:
    """Return whether a rule is made like an `mlp`: an affine map and an activation for each `{W, b}`."""
    return (
        isinstance(params, tuple | list)
        and len(rule.parts) == 2 * len(params) > 0
        and all(isinstance(layer, dict) and set(layer) == {"W", "b"} for layer in params)
    )


def _samples(point: Point) -> list[Point]:
    """Return the point for each sample of its batch alone; batch axes stay, of size 1."""
    params, x = point.args
    rows, deltas = (
        np.reshape(v, (-1, *(1,) * (np.ndim(v) - 1), np.shape(v)[-1])) for v in (x, point.direction)
    )
    return [Point((params, row), delta) for row, delta in zip(rows, deltas, strict=True)]


def _runs(rule: Rule, place: Point) -> bool:
    """Return whether the backward that is checked runs here, and returns gradients like the parameters."""
    params, x = place.args

    def grads(params: Any, x: Any, delta_y: Any) -> Any:
        return rule.backward(params, rule.forward(params, x)[1], delta_y)

    try:
        with float64():
            found = jax.eval_shape(grads, params, x, place.direction)
    except Exception:
        # A backward may be written for the whole batch only; then a single sample shows nothing.
        return False
    shapes = [leaf.shape for leaf in jax.tree.leaves(found)]
    return shapes == [np.shape(leaf) for leaf in jax.tree.leaves((params, x))]


def _located(rule: Rule, point: Point) -> WrongLayer | None:
    single = int(np.prod(np.shape(point.args[1])[:-1])) == 1

    def compared(args: tuple[Any, Any], delta_y: Any) -> tuple[tuple[Sides, ...], tuple[Any, Any]]:
        return _sides(rule, args, delta_y)

    value, noise = measure(compared, *point)
    layers, noises = value[0], noise[0]
    pairs = list(enumerate(zip(layers, noises, strict=True), 1))
    for number, (side, loud) in pairs[::-1]:
        wrong = [name for name in ("W", "b") if _differ(side.claimed[name], side.true[name], loud, name)]
        if wrong:
            delta = _is_delta(side, loud, wrong, single)
            what = _what(wrong, delta, number, len(layers))
            slips = _slips_seen(side, loud, "delta" if delta else wrong[0]) if single else ()
            return WrongLayer(number, len(layers), what, slips, _unbalanced(pairs) if single else ())
    (mine, true), (own, other) = value[1], noise[1]
    if not np.all(agree(mine, true, own + other)):
        return WrongLayer(0, len(layers), "the last step, (W^1)ᵀ δ^1; every ∂W and ∂b is right", (), ())
    return None


def _differ(one: Any, other: Any, noise: Sides, name: str) -> bool:
    return not np.all(agree(one, other, noise.claimed[name] + noise.true[name]))


def _is_delta(side: Sides, noise: Sides, wrong: list[str], single: bool) -> bool:
    """Return whether δ itself is wrong: ∂b = δ is wrong, and ∂W = δ aᵀ holds with that δ.

    ∂W may still be right, where a is zero.
    """
    spread = noise.claimed["W"] + noise.follows["W"]
    follows = bool(np.all(agree(side.claimed["W"], side.follows["W"], spread)))
    return "b" in wrong and single and follows


def _what(wrong: list[str], delta: bool, number: int, count: int) -> str:
    """Return the wrong part in words: the products, or the δ from which both follow."""
    if delta:
        step = f"the step from δ^{number + 1}" if number < count else "the step from ∂J/∂a"
        return f"δ^{number} ({step}), and with it ∂W = δaᵀ and ∂b = δ"
    return " and ".join(f"∂{name}^{number}" for name in wrong) + ("" if len(wrong) > 1 else " alone")


def _slips_seen(side: Sides, noise: Sides, which: str) -> tuple[str, ...]:
    """Return the slips of this one step that give the claimed value."""
    name = "b" if which == "delta" else which
    claimed, spread = side.claimed[name], noise.claimed[name]
    return tuple(
        words
        for words, value in side.slips[which].items()
        if np.all(agree(claimed, value, spread + noise.slips[which][words]))
    )


def _unbalanced(pairs: Sequence[tuple[int, tuple[Sides, Sides]]]) -> tuple[str, ...]:
    """Return the conservation laws that the results of the sweep do not satisfy."""
    broken = []
    for number, (side, noise) in pairs[::-1]:
        if _apart(side.balance, noise.balance):
            broken.append(f"⟨W,∂W⟩ + ⟨b,∂b⟩ ≠ ⟨z,δ⟩ at layer {number}")
        # the law between two layers holds for gates a = z σ′(z), such as relu
        if number < len(pairs) and not _apart(side.gate, noise.gate) and _apart(side.above, noise.above):
            broken.append(f"⟨z,δ⟩ at layer {number} ≠ ⟨z − b,δ⟩ at layer {number + 1}")
    return tuple(broken)


def _apart(sides: tuple[Any, Any], noise: tuple[Any, Any]) -> bool:
    return not np.all(agree(*sides, noise[0] + noise[1]))


def _sides(rule: Rule, args: tuple[Any, Any], delta_y: Any) -> tuple[tuple[Sides, ...], tuple[Any, Any]]:
    """Return both sides of every layer, and of ∂J/∂x."""
    params, x = args
    grads, delta_x = rule.backward(params, rule.forward(params, x)[1], delta_y)
    values, deltas, true_x = _tapped(rule, params, x, delta_y)
    single = deltas[0].size == deltas[0].shape[-1]
    claimed = [
        grad["b"].reshape(delta.shape) if single else delta for grad, delta in zip(grads, deltas, strict=True)
    ]
    layers = []
    for number, layer in enumerate(params):
        below, z, after = (value[number] for value in values)
        top = number + 1 == len(params)
        upper = number if top else number + 1
        above = delta_y if top else claimed[upper]
        z_below = values[1][number - 1] if number else None
        known = (rule.parts[2 * number + 1], (z_below, below, z), deltas[number], above)
        layers.append(
            Sides(
                claimed=grads[number],
                true=affine_grads(below, deltas[number]),
                follows=affine_grads(below, claimed[number]),
                slips=slips_of(*known, None if top else params[upper]["W"]) if single else {},
                balance=parameter_balance(layer, grads[number], z, claimed[number]),
                gate=_homogeneous(rule.parts[2 * number + 1], z, after),
                above=layer_balance(z, claimed[number], params[upper]["b"], values[1][upper], claimed[upper]),
            )
        )
    return tuple(layers), (delta_x, true_x)


def _tapped(
    rule: Rule, params: Sequence[Layer], x: Any, delta_y: Any
) -> tuple[tuple[list[Any], list[Any], list[Any]], list[Any], Any]:
    """Return (inputs a, z, outputs a) of every layer, and by autodiff every δ and ∂J/∂x."""

    def forward(taps: Sequence[Any], a: Any) -> tuple[Any, tuple[list[Any], list[Any], list[Any]]]:
        below, z, after = [], [], []
        for layer, sigma, tap in zip(params, rule.parts[1::2], taps, strict=True):
            below.append(a)
            z.append(affine_forward(layer, a)[0] + tap)
            a = sigma.forward((), z[-1])[0]
            after.append(a)
        return a, (below, z, after)

    taps = [jnp.zeros((*x.shape[:-1], layer["b"].shape[0]), x.dtype) for layer in params]
    _, pulled, values = jax.vjp(forward, taps, x, has_aux=True)
    return values, *pulled(delta_y)


def _homogeneous(sigma: Rule, z: Any, a: Any) -> tuple[Any, Any]:
    """Return both sides of z σ′(z) = a, which holds for relu, as sums with unequal weights."""
    weights = jnp.sin(1.0 + jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape)
    slope = sigma.backward((), sigma.forward((), z)[1], jnp.ones_like(z))[1]
    return inner(weights, z * slope), inner(weights, a)
