"""How many mutants were detected, and how many of them called by their name."""

from typing import NamedTuple

from backproof.selftest.mutants import Mutant
from backproof.verification import Report, Verdict


class Tally(NamedTuple):
    """Counts what the verifier said of mutants.

    Attributes:
        mutants: how many there were.
        detected: how many were WRONG.
        named: how many of them by their label.
        misnamed: the names of those that got another name than their label and `unknown`.
        missed: the names of those that were not WRONG.
    """

    mutants: int = 0
    detected: int = 0
    named: int = 0
    misnamed: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    def with_report(self, mutant: Mutant, report: Report) -> "Tally":
        """Return the tally with the report on one mutant more."""
        detected = report.verdict is Verdict.WRONG
        named = detected and report.cause in mutant.mutation.labels
        misnamed = detected and not named and report.cause != "unknown"
        return Tally(
            self.mutants + 1,
            self.detected + detected,
            self.named + named,
            (*self.misnamed, *([f"{mutant.name}: {report.cause}"] if misnamed else [])),
            (*self.missed, *([f"{mutant.name}: {report.verdict}"] if not detected else [])),
        )
