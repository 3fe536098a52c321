"""The verifier's two functions, `verify` and `check`, and the road from a claim to a report."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import HealthCheck, Phase

from backproof.errors import GradientError, UsageError, message
from backproof.rule import Loss, Rule
from backproof.verification import claim as claims
from backproof.verification.causes import name_cause
from backproof.verification.claim import Claim
from backproof.verification.contract import broken_contract
from backproof.verification.judge import Judgement, Outcome, first_look, judge
from backproof.verification.noise import Measured
from backproof.verification.oracles import Point, Runner, point_of, shapes_of
from backproof.verification.points import Drawn
from backproof.verification.shrink import plainer
from backproof.verification.verdict import Counterexample, Report, Verdict

Look = tuple[Point, Any, Measured]
# Wrong points looked at in full: one gives the verdict, a few more keep the cause from being a coincidence.
ENOUGH = 5
VERDICTS = {
    Outcome.AGREES: Verdict.AGREES,
    Outcome.SUBGRADIENT: Verdict.SUBGRADIENT,
    Outcome.REFERENCE_SUSPECT: Verdict.REFERENCE_SUSPECT,
    Outcome.UNSTABLE: Verdict.UNSTABLE,
    Outcome.WRONG: Verdict.WRONG,
}


@dataclass(frozen=True)
class Settings:
    """Holds the few settings of a verification.

    Attributes:
        examples: how many points are drawn.
        seed: the seed of every draw; the same seed gives the same points.
    """

    examples: int = 200
    seed: int = 0


def verify(
    fn: Any = None,
    *,
    of: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    grad: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    args: Any = None,
    argnums: int | Sequence[int] | None = None,
    **settings: Any,
) -> Report:
    """Return whether a derivative written by hand is that of its function, entry by entry.

    Each entry is compared in float64 with autodiff of the primal; the tolerance is the rounding noise
    measured at that point, so none is stated. At a kink any subgradient is right.

    Args:
        fn: a `Rule`, a `Loss`, or a function that carries its own rule (`jax.custom_vjp`,
            `jax.custom_jvp`); None where a derivative is given by keyword.
        of: the plain function; without it, the undecorated primal of `fn`.
        vjp: `vjp(args, cotangent)` -> a tuple of cotangents, None where not differentiable.
        grad: `grad(*args)` -> the gradient(s) of a scalar function, as `jax.grad` gives them.
        jvp: `jvp(args, tangents)` -> the tangent of the result.
        args: specifications (`backproof.array`, `backproof.integers`), example arrays or pytrees, a
            Hypothesis strategy that draws the whole tuple, or None where `of` has jaxtyping shapes.
        argnums: with `grad`, the arguments it differentiates, as in `jax.grad`.
        **settings: `examples` (how many points are drawn) and `seed`.

    Returns:
        a report: `report.verdict`, `report.counterexample`, `str(report)`.

    Raises:
        UsageError: the call does not say what is to be checked, or where.
    """
    began = time.perf_counter()
    chosen = _settings(settings)
    claim = _claim(fn, of, vjp, grad, jvp, args, argnums)
    return _report(claim, chosen, began)


def check(fn: Any = None, **how: Any) -> Report:
    """Return what `verify` returns, and raise `GradientError` unless the report is good."""
    report = verify(fn, **how)
    if not report.ok:
        raise GradientError(str(report))
    return report


def _settings(given: dict[str, Any]) -> Settings:
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        raise UsageError(
            message(
                must=f"the settings are {', '.join(Settings.__dataclass_fields__)}",
                found=", ".join(sorted(unknown)),
                where="verify",
                do="drop it, or mend its name",
            )
        )
    chosen = Settings(**given)
    if chosen.examples < 1:
        raise UsageError(
            message(
                must="examples must be at least 1",
                found=f"examples={chosen.examples}",
                where="verify",
                do="raise it",
            )
        )
    return chosen


def _claim(fn: Any, of: Any, vjp: Any, grad: Any, jvp: Any, args: Any, argnums: Any) -> Claim:
    by_keyword = [way for way in (vjp, grad, jvp) if way is not None]
    if (fn is not None) + len(by_keyword) != 1:
        raise UsageError(
            message(
                must="exactly one derivative must be given: a first argument that carries its own, "
                "or vjp=, grad= or jvp=",
                found=f"{(fn is not None) + len(by_keyword)} of them",
                where="verify",
                do="write e.g. verify(rule), or verify(of=function, vjp=hand_vjp, args=[…])",
            )
        )
    if isinstance(fn, Rule):
        return claims.of_rule(fn, of)
    if isinstance(fn, Loss):
        return claims.of_loss(fn, of)
    if fn is not None:
        return claims.of_function(fn, of, args)
    if of is None:
        raise UsageError(
            message(
                must="a derivative needs its function",
                found="of=None",
                where="verify",
                do="pass of=the plain function",
            )
        )
    if vjp is not None:
        return claims.of_vjp(of, vjp, args)
    return claims.of_grad(of, grad, args, argnums) if grad is not None else claims.of_jvp(of, jvp, args)


def draw(claim: Claim, settings: Settings) -> list[Drawn]:
    """Return the drawn argument tuples: `settings.examples` of them, the same for the same seed."""
    drawn: list[Drawn] = []

    @hypothesis.seed(settings.seed)
    @hypothesis.settings(
        max_examples=settings.examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        # the metaclass of HealthCheck hides its type
        suppress_health_check=tuple(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    @hypothesis.given(claim.points)
    def collect(one: Drawn) -> None:
        drawn.append(one)

    collect()
    return drawn


def _report(claim: Claim, settings: Settings, began: float) -> Report:
    runner = Runner(claim)
    drawn = sorted(draw(claim, settings), key=_size)
    groups = [list(group) for _, group in itertools.groupby(drawn, key=_shape_text)]
    looks: list[Look] = []
    for group in groups:
        points = _judgeable(claim, group)
        if points is None:
            continue
        broken = broken_contract(claim, group[0].args)
        if broken:
            return Report(claim.name, Verdict.WRONG, *broken, seconds=time.perf_counter() - began)
        tried = zip(points, runner.hand_values(points), runner.truths(points), strict=True)
        looks += [look for look, finite in zip(tried, runner.finite(points), strict=True) if finite]
    judged = _judge_all(runner, looks)
    examples = len(looks) - sum(found.outcome is Outcome.SKIPPED for found in judged)
    return Report(
        claim.name,
        **_conclusion(runner, judged),
        examples=examples,
        skipped=len(drawn) - examples,
        worst=max((found.distance for found in judged if found.outcome is Outcome.AGREES), default=0.0),
        shapes=tuple(_shape_text(group[0]) for group in groups),
        seconds=time.perf_counter() - began,
    )


def _judge_all(runner: Runner, looks: list[Look]) -> list[Judgement]:
    """Return the judgement of each point, the smallest first, those that agree at once before the rest.

    The rest is taken in turn from every shape; once a few points are WRONG the verdict stands, and
    what is left would add nothing to it.
    """
    judged = [first_look(*look) for look in looks]
    agreeing = [found for found in judged if found.outcome is Outcome.AGREES]
    suspects = [
        look for look, found in zip(looks, judged, strict=True) if found.outcome is not Outcome.AGREES
    ]
    second: list[Judgement] = []
    for look in _in_turn(suspects):
        second.append(judge(runner, *look))
        if sum(found.outcome is Outcome.WRONG for found in second) >= ENOUGH:
            break
    return agreeing + second


def _in_turn(looks: list[Look]) -> list[Look]:
    """Return the first look at each shape, then the second at each, and so on."""
    by_shape = [
        list(group) for _, group in itertools.groupby(looks, key=lambda look: shapes_of(look[0].args))
    ]
    rounds = itertools.zip_longest(*by_shape)
    return [look for one_round in rounds for look in one_round if look is not None]


def _conclusion(runner: Runner, judged: list[Judgement]) -> dict[str, Any]:
    """Return verdict, cause, explanation and counterexample."""
    if not any(found.outcome is not Outcome.SKIPPED and found.says_something for found in judged):
        return {
            "verdict": Verdict.INCONCLUSIVE,
            "explanation": "nothing could have been seen: wherever it was tried, the function is not finite, "
            "does not exist, or has no entry to differentiate",
        }
    outcome = max(found.outcome for found in judged)
    if outcome in (Outcome.AGREES, Outcome.SKIPPED):
        return {"verdict": Verdict.AGREES}
    failing = [found for found in judged if found.outcome is outcome]
    small = plainer(runner, failing[0])
    if outcome is Outcome.SUBGRADIENT:
        named = {"cause": None, "explanation": _convention(runner.claim, small)}
    else:
        cause, explanation = name_cause(runner, failing, small, judged)
        named = {"cause": cause, "explanation": explanation}
    return {"verdict": VERDICTS[outcome], **named, "counterexample": _counterexample(small)}


def _convention(claim: Claim, found: Judgement) -> str:
    at = found.worst
    seen = (
        f"at a kink {at.hand:g} is taken where autodiff takes {at.truth:g}; both are subgradients"
        if at
        else ""
    )
    return f"{claim.at_kinks}: {seen}" if claim.at_kinks else seen


def _counterexample(found: Judgement) -> Counterexample | None:
    at = found.worst
    return at and Counterexample(found.point.args, found.point.direction, *at)


def _judgeable(claim: Claim, group: Sequence[Drawn]) -> list[Point] | None:
    """Return the points of one shape, or None where the function itself does not exist at that shape."""
    try:
        return [point_of(claim, one) for one in group]
    except Exception:
        if _exists_at_full_size(group[0]):
            raise
        return None


def _exists_at_full_size(drawn: Drawn) -> bool:
    """Return whether no axis is empty: a function may refuse an empty axis, nothing else."""
    return all(0 not in np.shape(leaf) for leaf in jax.tree.leaves(drawn.args))


def _size(drawn: Drawn) -> tuple[bool, int, str]:
    """Order points by size, those of one shape together, and empty arrays last."""
    empty = any(np.size(leaf) == 0 for leaf in jax.tree.leaves(drawn.args))
    return empty, sum(np.size(leaf) for leaf in jax.tree.leaves(drawn.args)), _shape_text(drawn)


def _shape_text(drawn: Drawn) -> str:
    return " ".join(f"{jnp.result_type(leaf)}{list(np.shape(leaf))}" for leaf in jax.tree.leaves(drawn.args))
