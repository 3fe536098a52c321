"""Counts how many mutants were detected, and how many of them were named by their label."""

from typing import NamedTuple

from backproof.selftest.mutants import Mutant
from backproof.verification import Report, Verdict


class Tally(NamedTuple):
    """Counts the verifier's verdicts on mutants.

    Attributes:
        mutants: how many mutants were verified.
        detected: how many of them were WRONG.
        named: how many of the detected ones have one of their labels as the cause.
        misnamed: the detected mutants whose cause is neither one of their labels nor `unknown`.
        missed: the mutants that were not WRONG.
    """

    mutants: int = 0
    detected: int = 0
    named: int = 0
    misnamed: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    def with_report(self, mutant: Mutant, report: Report) -> "Tally":
        """Return the tally with the report on one more mutant counted."""
        detected = report.verdict is Verdict.WRONG
        named = detected and report.cause in mutant.slip.labels
        misnamed = detected and not named and report.cause != "unknown"
        return Tally(
            self.mutants + 1,
            self.detected + detected,
            self.named + named,
            (*self.misnamed, *([f"{mutant.name}: {report.cause}"] if misnamed else [])),
            (*self.missed, *([f"{mutant.name}: {report.verdict}"] if not detected else [])),
        )
