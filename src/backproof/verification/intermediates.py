"""The gradient by every named value inside a function, each against autodiff: which is the first wrong?

A scalar function names its intermediate values by `tap`. The gradient by each is written by hand; autodiff
gives it by a zero added at the tap. The backward pass goes through the taps in reverse, so the first that is
wrong in that order is where it went wrong, and the values after it may only have inherited that.
"""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from backproof import session
from backproof.errors import GradientError, UsageError, message
from backproof.numerics.comparison import units
from backproof.numerics.leaves import all_finite
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.verification.claims.of_taps import (
    Args,
    ByHand,
    claim_of_taps,
    coarser,
    traceable,
    widened,
    written,
)
from backproof.verification.claims.samples import example, shapes
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.claims.taps import tapped
from backproof.verification.diagnosis.causes import name_cause
from backproof.verification.diagnosis.diagnosis import Diagnosis, diagnose
from backproof.verification.intermediates_report import Intermediate, Intermediates
from backproof.verification.judging.judge import GRAVE, Outcome, judge_all
from backproof.verification.points.domain import domain_of
from backproof.verification.points.draws import Points, widened_by_shape
from backproof.verification.points.hypothesis_draws import draw
from backproof.verification.points.values import MODERATE
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point

NOT_GIVEN = functools.partial(Intermediate, verdict="not given")


def verify_intermediates(
    function: Callable[..., Any], args: Any, by_hand: ByHand, *, examples: int = 40, seed: int = 0
) -> Intermediates:
    """Return whether the gradients by the named values inside a scalar function are right, one by one.

        def loss(x, W, b):
            z = bp.tap("z", x @ W + b)
            a = bp.tap("a", jnp.tanh(z))
            return jnp.sum(a**2)

        bp.verify_intermediates(loss, [x, W, b], {"a": 2 * a, "z": 2 * a * (1 - a**2)})

    Args:
        function: a scalar function of arrays, of JAX or of NumPy, that calls `tap`.
        args: a specification for each argument as in `verify`; or arrays, where `by_hand` holds values.
        by_hand: the gradients by name, as values at `args`; or a function of the arguments that returns them,
            which is then judged at many points, and whose wrong line is looked for.
        examples: how many points are drawn for such a function.
        seed: the seed of every draw.

    Raises:
        UsageError: the function taps nothing, or a name is given by hand that it does not tap.
    """
    began = time.perf_counter()
    examples, seed = session.settled(examples, seed)
    with session.verifying():
        report = _report(function, args, by_hand, examples, seed)
    _note(report, time.perf_counter() - began)
    return report


def _report(
    function: Callable[..., Any], args: Any, by_hand: ByHand, examples: int, seed: int
) -> Intermediates:
    held, name = StaticArguments.among(args), function.__name__
    function = held.left_out_of(function)
    if not isinstance(by_hand, Mapping):
        by_hand = held.left_out_of(by_hand)
    points = None if isinstance(by_hand, Mapping) else domain_of(held.args, function, styles=MODERATE)
    first = tuple(held.args) if points is None else example(points)
    if first is None:
        raise UsageError(_nowhere(args))
    function, hand = traceable(function, first), written(by_hand, first)
    order = list(tapped(function, shapes(first)))[::-1]
    given = hand(*first)
    _require_tapped(given, order)
    kept = tuple(name for name in order if name in given)
    places = [[widened(first)]] if points is None else _drawn(points, examples, seed)
    own = None if points else coarser(first, given)

    def claimed(*names: str) -> Evaluators:
        return Evaluators(claim_of_taps(function, hand, names, points, own))

    looks = _looks(claimed(*kept), places)
    values = tuple(_judged(one, looks, claimed) if one in kept else NOT_GIVEN(one) for one in order)
    report = Intermediates(name, values, len(looks))
    wrong = report.first_wrong
    if wrong is None:
        return report
    # a mend must leave right what comes before it on the way back
    upto = kept[: kept.index(wrong) + 1]
    found = _diagnosed(claimed(*upto), looks, upto, points)
    return replace(report, **found)


def check_intermediates(
    function: Callable[..., Any], args: Any, by_hand: ByHand, *, examples: int = 40, seed: int = 0
) -> Intermediates:
    """Return what `verify_intermediates` returns, and raise `GradientError` unless every value agrees."""
    __tracebackhide__ = True  # pytest then shows the caller's line
    report = verify_intermediates(function, args, by_hand, examples=examples, seed=seed)
    if not report.ok:
        raise GradientError(str(report), report) from None
    return report


def _note(report: Intermediates, seconds: float) -> None:
    """Tell a run of tests about a report."""
    agreeing = [one.distance for one in report.values if one.verdict == "AGREES"]
    told = (report.function, report.verdict, report.cause, report.ok, report.points)
    session.note(session.Heard("intermediates", *told, max(agreeing, default=0.0), seconds))


def _require_tapped(given: Mapping[str, Any], order: list[str]) -> None:
    unknown = [name for name in given if name not in order]
    if unknown:
        raise UsageError(
            message(
                must="a gradient must be given by the name of a tap",
                found=f"{unknown[0]!r}, where the taps are {', '.join(order[::-1])}",
                where="by_hand",
                do=f"tap it in the function: value = backproof.tap({unknown[0]!r}, value)",
            )
        )


def _nowhere(args: Any) -> str:
    return message(
        must="the arguments must exist without an empty axis",
        found=repr(args),
        where="verify_intermediates",
        do="give a specification that something satisfies",
    )


def _drawn(points: Points, examples: int, seed: int) -> list[list[Args]]:
    return widened_by_shape([*points.plain(), *draw(points, examples, seed, "intermediates")])


def _looks(evaluators: Evaluators, places: list[list[Args]]) -> list[Look]:
    """Return both sides at each point where autodiff is finite."""
    found = []
    for group in places:
        points = [Point(args, ()) for args in group]
        hands, truths = evaluators.hand.each(points), evaluators.truth.each(points)
        for point, mine, true in zip(points, hands, truths, strict=True):
            if all_finite(true.value):
                noise = jax.tree.map(_sum, true.noise, mine.noise)
                found.append(Look(point, mine.value, Measured(true.value, noise), tied=False))
    return found


def _sum(one: Any, other: Any) -> Any:
    return one + other if np.shape(one) == np.shape(other) else one


def _judged(name: str, looks: list[Look], claimed: Callable[..., Evaluators]) -> Intermediate:
    """Return the judgement of one value at all points; at a kink another choice of slope is right."""
    far, differing = 0.0, []
    for one in looks:
        said = _other_shape(one, name)
        if said:
            return Intermediate(name, "WRONG", np.inf, said)
        mine, true, noise = one.hand[name], one.truth.value[name], one.truth.noise[name]
        apart = float(np.max(units(mine, true, noise), initial=0.0))
        if apart > AGREES_WITHIN:
            differing.append(_of(one, (name,)))
        else:
            far = max(far, apart)
    judged = judge_all(claimed(name), differing, Clock()) if differing else []
    wrong = [one.distance for one in judged if one.outcome in GRAVE]
    if wrong:
        return Intermediate(name, "WRONG", max(wrong))
    outcomes = {one.outcome for one in judged}
    if len(differing) == len(looks) and outcomes <= {Outcome.NO_EVIDENCE}:
        return Intermediate(name, "not seen", 0.0, "no point gives evidence")
    return Intermediate(
        name, "AGREES", far, "another choice at kinks" if Outcome.SUBGRADIENT in outcomes else ""
    )


def _other_shape(look: Look, name: str) -> str:
    """Return how the shape of a gradient differs from that of its value; empty if it does not."""
    mine, true = np.shape(look.hand[name]), np.shape(look.truth.value[name])
    return "" if mine == true else f"has shape {mine}, and the value has {true}"


def _diagnosed(
    evaluators: Evaluators, looks: list[Look], names: tuple[str, ...], points: Points | None
) -> dict[str, Any]:
    """Return what is known about the last of some values, the first wrong one, as fields of the report."""
    name, own = names[-1], [_of(look, names) for look in looks]
    shapes_differ = [look for look in own if _other_shape(look, name)]
    if shapes_differ:
        return {"cause": "contract-shape", "explanation": _other_shape(shapes_differ[0], name)}
    judged = judge_all(evaluators, own, Clock())
    if points is None:
        found = Diagnosis(judged[0], name_cause(evaluators, judged, judged[0], judged))
    else:
        found = diagnose(evaluators, judged, own, Clock())
    if found is None or found.named is None:
        return {"cause": "unknown", "explanation": "it differs from autodiff"}
    shown = {"cause": found.named[0], "explanation": found.named[1], "blame": found.blame}
    small = found.small
    if points is not None:
        shown["example"] = small.point.args
    return shown | ({"worst": small.worst} if small.worst else {})


def _of(look: Look, names: tuple[str, ...]) -> Look:
    """Return both sides of some values."""
    hand, value, noise = ({name: part[name] for name in names} for part in (look.hand, *look.truth))
    return look._replace(hand=hand, truth=Measured(value, noise))
