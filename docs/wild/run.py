"""Verify the published rules of `rules.py` as their maintainers would, and compare the verdicts with mpmath.

    python docs/wild/run.py [NAME …] [--examples N] [--witness] [--markdown] [--full]

Each NAME is a part of a rule's name. `--witness` leaves the verifier out and shows only what mpmath says of
the points written down. `--markdown` prints the table of the documentation, `--full` each report as well.
The exit status is 1 if a verdict is false, or if a point is not as written down.
"""

import argparse
import sys
import time
import warnings

import mpmath
from record import AS_AUTODIFF, Published, returned

import backproof as bp
import rules

LOST = 1e-5  # relative; float32 has seven digits, and a result with fewer than five of them has lost two


def main() -> int:
    """Run what the command line asks for; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--witness", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    chosen = [r for r in rules.RULES if not options.names or any(n in r.name for n in options.names)]
    warnings.simplefilter("ignore")  # of the packages, which are not ours to mend
    if options.witness:
        return sum(not holds(rule) for rule in chosen) > 0
    if options.markdown:
        print(
            "| rule | package, version | domain | truth | verdict | cause | seconds | fair |\n"
            + "|---" * 8
            + "|"
        )
    rows = [verdict_row(rule, options.examples, options.markdown, options.full) for rule in chosen]
    print(f"\n{sum(rows)} of {len(rows)} verdicts are as mpmath says")
    return not all(rows)


def holds(rule: Published) -> bool:
    """Print what mpmath says at each point of a rule; return whether all is as written down."""
    as_written = True
    for witness in rule.witnesses:
        at, found = returned(rule.call().fn, witness)
        exact = witness.exact(*at)
        error = abs(found - exact) / abs(exact) if exact else abs(mpmath.mpf(found))
        right = bool(error < LOST)  # NaN is not
        as_written &= right == witness.right
        print(
            f"{'as written' if right == witness.right else 'NOT AS WRITTEN':14s} {rule.name} at {witness.at}, argument "
            f"{witness.argument}, {witness.dtype}: returned {found:.9g}, right {mpmath.nstr(exact, 12)}",
            flush=True,
        )
    return as_written


def verdict_row(rule: Published, examples: int, markdown: bool, full: bool) -> bool:
    """Print the verdict on a rule beside what is true of it; return whether the verdict is not false."""
    began, call = time.perf_counter(), rule.call()
    try:
        report = bp.verify(call.fn, of=call.of, args=call.args, **{"examples": examples, **call.settings})
        verdict, cause, text = str(report.verdict), report.cause or "", str(report)
    except Exception as error:  # a crash is a finding here, and the next rule is still tried
        verdict, cause, text = f"raised {type(error).__name__}", "", str(error)
    verdict = verdict.rpartition(".")[2]
    agreed = is_fair(rule, verdict)
    seconds, fair = f"{time.perf_counter() - began:.0f}", "yes" if agreed else "**no**"
    if markdown:
        cells = (
            f"`{rule.name}`",
            f"{rule.package} {rule.version}",
            rule.domain,
            rule.truth,
            verdict,
            cause,
            seconds,
            fair,
        )
        print("| " + " | ".join(cells) + " |", flush=True)
    else:
        mark = "fair " if agreed else "FALSE"
        print(f"{mark} `{rule.name}`  {verdict}  {cause or '-'}  {seconds} s  {rule.truth}", flush=True)
    if full:
        print(text, flush=True)
    return agreed


def is_fair(rule: Published, verdict: str) -> bool:
    """Return whether a verdict says of a rule what is true of it."""
    good, bad = verdict in ("AGREES", "SUBGRADIENT", "DECLARED"), verdict in ("WRONG", "UNSTABLE")
    return bad if rule.is_faulty else good or (bad and rule.truth.startswith(AS_AUTODIFF))


if __name__ == "__main__":
    sys.exit(main())
