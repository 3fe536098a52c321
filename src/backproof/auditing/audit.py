"""The audit of a gradient test: slips are planted in the rule under test, and those that pass are reported.

The test is run once as it is, and must pass. It is run again while the calls of backward passes are watched,
and then once for each slip. Then, leaf by leaf, the smallest factor is searched that makes it fail.
"""

import math
import time
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from backproof.auditing.call import FUNCTION
from backproof.auditing.ended import PASSED, Ended, Run
from backproof.auditing.interception import is_of_jax, strays
from backproof.auditing.named import Target, captured, target_of
from backproof.auditing.one_rule import Clock, Progress, rule_audit, slips_in
from backproof.auditing.property_tests import repeatable
from backproof.auditing.report import AuditReport
from backproof.auditing.runs import with_runs
from backproof.auditing.session import Session
from backproof.auditing.slips import KINDS
from backproof.auditing.watching import Seen, Watch
from backproof.errors import UsageError, did_you_mean, message


def audit(
    test: Callable[..., Any] | str,
    *args: Any,
    rule: Any = None,
    cotangent: str | None = None,
    slips: Sequence[str] | None = None,
    tolerances: bool = True,
    timeout: float | None = None,
    budget: float = 600.0,
    progress: Progress | None = None,
) -> AuditReport:
    """Run a gradient test against slips planted in the rule under test, and report those that it lets pass.

    Args:
        test: a function that raises where a gradient is wrong, or the node id of a test of pytest, such as
            `"tests/test_kernels.py::test_layernorm"`. Any style of comparison will do.
        args: the arguments of the function.
        rule: what slips are planted in: a `jax.custom_vjp`, a `jax.custom_jvp`, a `Rule`, a `Loss` or a plain
            function that returns the gradient, or its text `module:name`, or a list of these. By default each
            custom_vjp, custom_jvp, Rule and Loss whose backward pass the test runs, except those of JAX and
            optax.
        cotangent: the parameter of a plain function that takes the cotangent, if its name does not say so.
        slips: the kinds of slips that are planted; all by default.
        tolerances: whether the factor by which the tolerance is too loose is searched, leaf by leaf.
        timeout: seconds after which one run is ended, and the slip counts as seen; by default 30, or twenty
            times what the test takes by itself if that is more.
        budget: seconds after which no further slip is planted; what is left out is reported.
        progress: is told how many slips are done, of how many, and the next one.

    Returns:
        the report; `ok` says whether the test saw every slip.

    Raises:
        UsageError: the test does not pass as it is, it reaches no such rule, a name is unknown, or a time is
            no positive number.
    """
    began = time.perf_counter()
    _must_be_positive("budget", budget)
    if timeout is not None:
        _must_be_positive("timeout", timeout)
    kinds = _known(slips)

    def audited(run: Run) -> AuditReport:
        with Session(test, run, timeout) as session:
            _must_pass(session.plain(), session.name, "the test must pass first")
            session.targets = [target_of(one, cotangent, session.spaces) for one in _listed(rule)]
            watch = Watch(_wanted(session.targets))
            functions = [one for one in session.targets if one.kind == FUNCTION]
            with strays(functions[0] if len(functions) == 1 else None) as calls:
                ended = session.watched(watch)
            _must_pass(ended, session.name, "the test must pass also while its backward passes are watched")
            rules = _rules(watch, session.targets, calls, session.name)
            plans = [[slip for slip in slips_in(one) if slip.kind in kinds] for one in rules]
            clock = Clock(began + budget, sum(map(len, plans)), progress)
            found = [
                rule_audit(session, one, plan, clock, calls, tolerances)
                for one, plan in zip(rules, plans, strict=True)
            ]
            return AuditReport(session.name, tuple(found), session.runs, time.perf_counter() - began)

    with repeatable():  # before pytest imports the test, whose decorators read the settings
        return with_runs(test, args, audited)


def _listed(rule: Any) -> list[Any]:
    return [] if rule is None else list(rule) if type(rule) in (list, tuple) else [rule]


def _known(slips: Sequence[str] | None) -> Sequence[str]:
    """Return the kinds of slips to plant, or raise `UsageError` if one is unknown."""
    for name in slips or ():
        if name not in KINDS:
            raise UsageError(
                message(
                    must=f"a slip must be one of {', '.join(KINDS)}",
                    found=repr(name),
                    where="audit",
                    do=did_you_mean(name, KINDS),
                )
            )
    return KINDS if slips is None else slips


def _must_be_positive(name: str, seconds: Any) -> None:
    if not isinstance(seconds, Real) or isinstance(seconds, bool) or not 0 < float(seconds) < math.inf:
        raise UsageError(
            message(
                must=f"{name} must be a finite number of seconds above 0",
                found=f"{name}={seconds!r}",
                where="audit",
                do=f"pass e.g. {name}=60.0, or leave it out",
            )
        )


def _must_pass(ended: Ended, test: str, must: str) -> None:
    if ended.how != PASSED:
        found = f"it {ended.how}" if not ended.detail else f"it {ended.how}: {ended.detail}"
        do = "mend the test, or the rule, before auditing it"
        raise UsageError(message(must=must, found=found, where=test, do=do))


def _wanted(targets: Sequence[Target]) -> Callable[[str, bool], bool]:
    """Return which rules are looked at: those named, or the outermost ones that are not JAX's own."""
    names = {one.name for one in targets}
    if names:
        return lambda name, _: name in names
    return lambda name, inside: not inside and not is_of_jax(name)


def _rules(watch: Watch, targets: Sequence[Target], calls: Sequence[str], test: str) -> list[Seen]:
    """Return the rules to plant slips in: those named, or those whose backward pass ran, or those called."""
    for one in targets:
        if calls and one.kind == FUNCTION and one.name not in watch.seen:
            holders = ", ".join(captured(one)) or "another object"
            raise UsageError(
                message(
                    must="the rule must be called by its name in a module or class, where it can be replaced",
                    found=f"{one.name} called by {calls[0]} through {holders} that holds the function itself",
                    where=test,
                    do="look it up by its name where it is called, or name the function that holds it",
                )
            )
    if targets:
        return [watch.seen.get(one.name, Seen(one.name, one.kind)) for one in targets]
    ran = [one for one in watch.seen.values() if one.executed or one.traced]
    if watch.seen:
        return ran or list(watch.seen.values())
    raise UsageError(
        message(
            must="the test must reach a custom_vjp, a custom_jvp, a Rule or a Loss",
            found="none",
            where=test,
            do="name the function that computes the gradient, as module:function",
        )
    )
