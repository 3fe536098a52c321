"""The verifier's functions, `verify` and `check`, and the steps from a claim to a report."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec

import numpy as np

from backproof import session
from backproof.errors import GradientError, UsageError, message
from backproof.rule import Loss, Rule
from backproof.verification.campaign import Campaign
from backproof.verification.claims import of_functions, of_rules
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.conventions import outputs_of
from backproof.verification.claims.declared import Declared, excused, in_words, not_compared
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.conclusion import conclude, needs_diagnosis
from backproof.verification.diagnosis.diagnosis import diagnose
from backproof.verification.findings import Settings
from backproof.verification.fingerprint import Fingerprint
from backproof.verification.judging.judge import Outcome
from backproof.verification.memory import recalled, remember
from backproof.verification.report import Report
from backproof.verification.running.clock import Clock
from backproof.verification.running.low_precision import DTYPES

P = ParamSpec("P")


def verify(
    fn: Any = None,
    *,
    of: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    grad: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    args: Any = None,
    argnums: int | Sequence[int] | None = None,
    declared: Mapping[str, Declared] | None = None,
    examples: int = 200,
    seed: int = 0,
    dtypes: Sequence[str] | None = None,
    second_order: bool = True,
    repeats: int = 8,
    budget: float | None = None,
) -> Report:
    """Return whether a derivative written by hand is that of its function, entry by entry.

    Each entry is compared in float64 with autodiff of the primal; the tolerance is the rounding noise
    measured at that point, so none is stated. At a kink any subgradient is right. What a call traces and
    compiles is kept for later calls about the same functions, until `backproof.forget()`.

    Args:
        fn: a `Rule`, a `Loss`, or a function that carries its own rule (`jax.custom_vjp`,
            `jax.custom_jvp`); None where a derivative is given by keyword.
        of: the plain function; without it, the undecorated primal of `fn`.
        vjp: `vjp(args, cotangent)` -> a tuple of cotangents, None where not differentiable.
        grad: `grad(*args)` -> the gradient(s) of a scalar function, as `jax.grad` gives them.
        jvp: `jvp(args, tangents)` -> the tangent of the result.
        args: specifications (`backproof.array`, `backproof.integers`), example arrays or pytrees, a
            Hypothesis strategy that draws the whole tuple, or None where `of` has jaxtyping shapes.
        argnums: the arguments that are differentiated, as in `jax.grad`; by default 0 for `grad`, and all
            floating ones for `vjp` and `fn`.
        declared: arguments whose derivative is not meant to be the gradient, by name, and what it is
            instead, e.g. `{"x": "straight-through"}`; they are not compared. With a predicate,
            `{"x": ("guard", lambda x: abs(x) < 1e-7)}`, that holds for the entries in a region only.
        examples: how many points are drawn.
        seed: the seed of every draw; the same call with the same seed gives the same report.
        dtypes: the precisions in which the implementation itself is judged, of float32, bfloat16 and float16.
            By default those of the arguments; the code then runs in the others too, and the report says what
            was seen there, but no verdict depends on it.
        second_order: whether the derivative of the derivative is probed.
        repeats: how often the compiled code runs on one input; a difference in a bit is a finding.
        budget: the seconds after which nothing new is begun; `report.reach` says what was left out. By
            default everything is tried.

    Returns:
        a report: `report.verdict`, `report.counterexample`, `str(report)`.

    Raises:
        UsageError: the call does not say what is to be checked, or where.
    """
    examples, seed = session.settled(examples, seed)
    asked = session.asked().budget
    clock = Clock(budget if asked is None else asked)
    settings = _settings(examples, seed, dtypes, second_order, repeats)
    claimed = {"fn": fn, "of": of, "vjp": vjp, "grad": grad, "jvp": jvp, "args": args, "argnums": argnums}
    call = {**claimed, "declared": declared}
    with session.verifying():
        before = Fingerprint(**call)
        known = recalled(call, before)
        campaign = known or Campaign(_declared(_claim(**claimed), fn, of, args, declared))
        try:
            report = _report(campaign, in_words(declared or {}), settings, clock)
        finally:
            campaign.release()
        if known is None:
            remember(campaign, call, before)
    _note(report, [vjp, grad, jvp] if fn is None else _judged(fn), campaign.claim)
    return report


def _judged(fn: Any) -> list[Any]:
    """Return the objects that are judged where `fn` is: the object with the rule, or both of its passes."""
    return [fn.forward, fn.backward] if isinstance(fn, Rule | Loss) else [of_functions.own_rule(fn)[0]]


def _note(report: Report, judged: Sequence[Any], claim: Claim) -> None:
    """Tell a run of tests about a report."""
    session.note(
        session.Heard(
            "gradient",
            report.name,
            str(report.verdict),
            report.cause,
            report.ok,
            report.examples,
            float(report.worst),
            report.seconds,
            session.references(one for one in judged if one is not None),
            claim.inside,
        )
    )


def _declared(claim: Claim, fn: Any, of: Any, args: Any, declared: Mapping[str, Declared] | None) -> Claim:
    """Return the claim without what the caller declared not to be a gradient."""
    if not declared:
        return claim
    held = None if isinstance(fn, Rule | Loss) else StaticArguments.among(args, of_functions.nondiff_of(fn))
    return not_compared(claim, fn if of is None else of, declared, held)


def _raising(verify: Callable[P, Report]) -> Callable[P, Report]:
    """Return `verify` with the same parameters, so that `help` shows them, and an error for a bad report."""

    @functools.wraps(verify, assigned=())
    def check(*args: P.args, **settings: P.kwargs) -> Report:
        """Return what `verify` returns, and raise an error unless the report is good.

        It takes the arguments of `verify`.

        Raises:
            GradientError: the derivative was not shown to be right; the text is the report.
            UsageError: the call does not say what is to be checked, or where.
        """
        __tracebackhide__ = True  # pytest then shows the caller's line
        report = verify(*args, **settings)
        if not report.ok:
            raise GradientError(str(report), report) from None
        return report

    check.__qualname__ = "check"
    return check


check = _raising(verify)


def verify_seeds(
    rule: Rule | Loss,
    seeds: Iterable[int],
    *,
    examples: int = 200,
    dtypes: Sequence[str] | None = None,
    second_order: bool = True,
) -> Iterator[Report]:
    """Yield what `verify(rule, seed=…)` returns for each seed; all of them share the compiled programs."""
    campaign = Campaign(_claim(rule, None, None, None, None, None, None))
    for seed in seeds:
        yield _report(campaign, {}, _settings(examples, seed, dtypes, second_order, 2), Clock())


def _report(campaign: Campaign, declared: Mapping[str, str], settings: Settings, clock: Clock) -> Report:
    """Return the report on the claim of a campaign."""
    claim = campaign.claim
    with np.errstate(all="ignore"):  # points are drawn at which numbers overflow
        found = campaign.investigate(_fitting(settings, claim), clock)
        judged = [one.point for one in found.judged if one.outcome is not Outcome.NO_EVIDENCE]
        found = replace(found, notes=(*claim.notes, *excused(claim, judged), *found.notes))
        diagnosis = None
        if needs_diagnosis(found):
            diagnosis = diagnose(campaign.evaluators, found.judged, found.looks, clock)
    return conclude(claim, found, diagnosis, declared, seed=settings.seed, seconds=clock.seconds)


def _fitting(settings: Settings, claim: Claim) -> Settings:
    """Return the settings without what does not apply to NumPy code."""
    if claim.by_point:
        settings = replace(settings, dtypes=(), second_order=False)
    return replace(settings, second_order=settings.second_order and not claim.host)


def _settings(
    examples: int, seed: int, dtypes: Sequence[str] | None, second_order: bool, repeats: int
) -> Settings:
    for name, number, least in (("examples", examples, 1), ("repeats", repeats, 2)):
        if number < least:
            raise UsageError(
                message(
                    must=f"{name} must be at least {least}",
                    found=f"{name}={number}",
                    where="verify",
                    do="pass a larger number",
                )
            )
    unknown = [dtype for dtype in dtypes or () if dtype not in DTYPES]
    if unknown:
        raise UsageError(
            message(
                must=f"dtypes must be among {', '.join(DTYPES)}",
                found=f"dtypes={dtypes!r}",
                where="verify",
                do="write e.g. dtypes=('float32',); float64, in which formulas are judged, is always used",
            )
        )
    return Settings(examples, seed, None if dtypes is None else tuple(dtypes), second_order, repeats)


def _require_one_derivative(fn: Any, by_keyword: Sequence[Any], args: Any) -> None:
    """Require that a call gives one derivative, and no arguments where the rule has its own.

    Raises:
        UsageError: it does not.
    """
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
                must="args must be left out for a Rule or a Loss, which is tried on its own domain",
                found="args=…",
                where=f"verify({fn.name})",
                do="leave args out, or change the domain with rule._replace(domain=…)",
            )
        )


def _claim(fn: Any, of: Any, vjp: Any, grad: Any, jvp: Any, args: Any, argnums: Any) -> Claim:
    _require_one_derivative(fn, [way for way in (vjp, grad, jvp) if way is not None], args)
    if isinstance(fn, Rule):
        return of_rules.of_rule(fn, of)
    if isinstance(fn, Loss):
        return of_rules.of_loss(fn, of)
    held = StaticArguments.among(args, of_functions.nondiff_of(fn))
    if fn is not None:
        return of_functions.of_function(fn, of, held, argnums)
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
        return of_functions.of_vjp(outputs_of(of, vjp), vjp, held, argnums)
    return (
        of_functions.of_grad(of, grad, held, argnums)
        if grad is not None
        else of_functions.of_jvp(of, jvp, held)
    )
