"""The verifier's two functions, `verify` and `check`, and the road from a claim to a report."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from backproof.errors import GradientError, UsageError, message
from backproof.rule import Loss, Rule
from backproof.verification import claim as claims
from backproof.verification.campaign import Settings, investigate
from backproof.verification.claim import Claim
from backproof.verification.conclusion import conclude
from backproof.verification.declared import not_compared
from backproof.verification.runners import Runners
from backproof.verification.statics import Statics
from backproof.verification.verdict import Report


def verify(
    fn: Any = None,
    *,
    of: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    grad: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    args: Any = None,
    argnums: int | Sequence[int] | None = None,
    declared: dict[str, str] | None = None,
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
        argnums: the arguments that are differentiated, as in `jax.grad`: 0 for `grad` unless said,
            all floating ones for `vjp` and `fn` unless said.
        declared: arguments whose derivative is not meant to be the gradient, by name, and what it is
            instead, e.g. `{"x": "straight-through"}`; they are not compared.
        **settings: `examples` (how many points are drawn), `seed`, `dtypes` (the precisions in which
            the implementation is judged) and `second_order`.

    Returns:
        a report: `report.verdict`, `report.counterexample`, `str(report)`.

    Raises:
        UsageError: the call does not say what is to be checked, or where.
    """
    began = time.perf_counter()
    chosen = _settings(settings)
    claim = _claim(fn, of, vjp, grad, jvp, args, argnums)
    said = declared or {}
    claim = claim if not said else not_compared(claim, fn if of is None else of, said)
    runners = Runners(claim)
    found = investigate(runners, chosen)
    report = conclude(claim, runners.float64, found, said, seed=chosen.seed)
    return replace(report, seconds=time.perf_counter() - began)


def verify_seeds(rule: Rule | Loss, seeds: Iterable[int], **settings: Any) -> Iterator[Report]:
    """Yield what `verify(rule, seed=…)` returns for each seed; what one compiles serves them all."""
    claim = claims.of_rule(rule, None) if isinstance(rule, Rule) else claims.of_loss(rule, None)
    runners = Runners(claim)
    for seed in seeds:
        began = time.perf_counter()
        found = investigate(runners, _settings({**settings, "seed": seed}))
        report = conclude(claim, runners.float64, found, {}, seed=seed)
        yield replace(report, seconds=time.perf_counter() - began)


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
    if isinstance(fn, Rule | Loss) and args is not None:
        raise UsageError(
            message(
                must="a Rule or a Loss is tried on its own domain",
                found="args=…",
                where=f"verify({fn.name})",
                do="leave out args, or change the domain with rule._replace(domain=…)",
            )
        )
    if isinstance(fn, Rule):
        return claims.of_rule(fn, of)
    if isinstance(fn, Loss):
        return claims.of_loss(fn, of)
    held = Statics.among(args)
    if fn is not None:
        return claims.of_function(fn, of, held, argnums)
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
        return claims.of_vjp(of, vjp, held, argnums)
    return claims.of_grad(of, grad, held, argnums) if grad is not None else claims.of_jvp(of, jvp, held)
