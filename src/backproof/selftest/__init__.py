"""The verifier's own test: wrong derivatives that it must detect, and right ones that it must accept."""

from backproof.selftest.blind_spots import CASES as BLIND_SPOTS
from backproof.selftest.case import Case
from backproof.selftest.corpus import CASES as CORPUS
from backproof.selftest.false_alarms import CASES as FALSE_ALARMS
from backproof.selftest.mutants import cross_section, mutants
from backproof.selftest.run import Outcome, Rate, rates, run
from backproof.selftest.tally import Tally

__all__ = [
    "BLIND_SPOTS",
    "CORPUS",
    "FALSE_ALARMS",
    "Case",
    "Outcome",
    "Rate",
    "Tally",
    "cross_section",
    "mutants",
    "rates",
    "run",
]
