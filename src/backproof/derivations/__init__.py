"""Executable derivations: which line of my derivation is wrong?"""

from backproof.derivations.files import find
from backproof.derivations.form import Derivation, Verifications, derivation, verify_each
from backproof.derivations.lines import assume, at_least, at_most, differ, equal, holds, less, line
from backproof.derivations.report import DerivationReport, DerivationVerdict, Mark, Refutes
from backproof.derivations.ruled import custom_vjp_of

__all__ = [
    "Derivation",
    "DerivationReport",
    "DerivationVerdict",
    "Mark",
    "Refutes",
    "Verifications",
    "assume",
    "at_least",
    "at_most",
    "custom_vjp_of",
    "derivation",
    "differ",
    "equal",
    "find",
    "holds",
    "less",
    "line",
    "verify_each",
]
