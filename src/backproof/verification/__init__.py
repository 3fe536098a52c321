"""The verifier: a verdict on a hand-written derivative, without a tolerance to set."""

from backproof.verification.claims.conventions import accumulating, cached
from backproof.verification.claims.host import host
from backproof.verification.claims.taps import tap
from backproof.verification.engine import check, verify, verify_seeds
from backproof.verification.intermediates import check_intermediates, verify_intermediates
from backproof.verification.intermediates_report import Intermediates
from backproof.verification.memory import forget
from backproof.verification.report import Counterexample, Report, Verdict

__all__ = [
    "Counterexample",
    "Intermediates",
    "Report",
    "Verdict",
    "accumulating",
    "cached",
    "check",
    "check_intermediates",
    "forget",
    "host",
    "tap",
    "verify",
    "verify_intermediates",
    "verify_seeds",
]
