"""The verifier: a verdict on a hand-written derivative, without a tolerance to set."""

from backproof.verification.claims.conventions import accumulating, cached
from backproof.verification.claims.host import host
from backproof.verification.engine import check, verify, verify_seeds
from backproof.verification.memory import forget
from backproof.verification.report import Counterexample, Report, Verdict

__all__ = [
    "Counterexample",
    "Report",
    "Verdict",
    "accumulating",
    "cached",
    "check",
    "forget",
    "host",
    "verify",
    "verify_seeds",
]
